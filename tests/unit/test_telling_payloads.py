"""What is sent to others: it is what their documentation accepts, whatever the evidence says."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable

import jsonschema
import pytest
import sample_experiments
import samples
from documented import GRAFANA, PAGERDUTY, SLACK, otlp
from hypothesis import given, settings
from hypothesis import strategies as st

from ftchaos.evidence import Evidence
from ftchaos.telling import event, grafana, pagerduty, slack, traces, webhook
from ftchaos.telling.event import About, Event

KEY = "0123456789abcdef0123456789abcdef"
REPORT = "https://reports.example.com/r/index.html"
SAMPLES: list[Callable[[], Evidence]] = [
    samples.passed, samples.failed, samples.inconclusive, sample_experiments.zone_outage,
]  # fmt: skip
ALL = ("begin", "failed", "inconclusive")


def _events(found: Evidence) -> list[Event]:
    about = About.evidence(found)
    return [
        event.begin(about),
        event.stop(about, "too many uploads failed"),
        event.end(found),
        event.verdict(found),
        event.broken(about, "the evidence cannot be written: no space left on device", True),
        event.test(),
    ]


def _harmed() -> Evidence:
    found = samples.failed()
    found.exit_code, found.undo.failed = 4, 1
    return found


def _hostile(text: str) -> Evidence:
    """Evidence in which every text that people may write is this one."""
    found = samples.inconclusive()
    found.name = found.environment = found.title = found.platform = text
    found.recovery.fault, found.reasons, found.summary = text, [text], text
    found.steps[0].name, found.steps[0].error, found.recovery.phases[0].name = text, text, text
    return Evidence.model_validate_json(found.model_dump_json())


@pytest.mark.parametrize("sample", SAMPLES)
def test_every_message_is_as_documented(sample: Callable[[], Evidence]) -> None:
    for one in _events(sample()):
        jsonschema.validate(slack.payload(one, REPORT), SLACK)
        for alert in pagerduty.payloads(KEY, one, ALL, REPORT):
            jsonschema.validate(alert, PAGERDUTY)
        json.dumps(webhook.payload(one, REPORT), allow_nan=False)
    for annotation in grafana.of_run(sample(), REPORT):
        jsonschema.validate(annotation, GRAFANA)
    otlp(traces.payload(traces.spans_of(sample())))


# Control characters and lone surrogates do not get into evidence; all else does.
@settings(deadline=None, max_examples=50)
@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=4000))
def test_messages_are_as_documented_whatever_the_evidence_says(text: str) -> None:
    found = _hostile(text)
    for one in _events(found):
        jsonschema.validate(slack.payload(one), SLACK)
        for alert in pagerduty.payloads(KEY, one, ALL):
            jsonschema.validate(alert, PAGERDUTY)
    for annotation in grafana.of_run(found):
        assert "<" not in annotation["text"]
    otlp(traces.payload(traces.spans_of(found)))


def test_stranger_mentions_nobody_in_slack() -> None:
    found = _hostile("<!channel> <https://evil.example.com|the report> &lt;")

    sent = slack.payload(event.verdict(found))

    assert "<" not in sent["text"]
    assert {"plain_text"} == {
        part["type"] for block in sent["blocks"] for part in (block.get("elements") or [block["text"]])
    }


def test_slack_links_to_the_report_when_there_is_one() -> None:
    found = samples.passed()

    assert REPORT in json.dumps(slack.payload(event.verdict(found), REPORT))
    assert REPORT not in json.dumps(slack.payload(event.begin(About.evidence(found)), REPORT))


def _actions(found: Evidence, trigger: tuple[str, ...]) -> list[tuple[str, str]]:
    sent = [
        alert
        for one in (event.begin(About.evidence(found)), event.end(found), event.verdict(found))
        for alert in pagerduty.payloads(KEY, one, trigger)
    ]
    return [(one["event_action"], one.get("payload", {}).get("severity", "")) for one in sent]


def test_alert_of_a_run_under_way_is_resolved_at_its_end() -> None:
    assert [("trigger", "info"), ("resolve", ""), ("resolve", "")] == _actions(samples.passed(), ("begin",))


def test_alert_of_a_failed_run_stays_until_the_same_run_passes() -> None:
    failed = pagerduty.payloads(KEY, event.verdict(samples.failed()), ("failed",))[0]
    passed = pagerduty.payloads(KEY, event.verdict(samples.passed()), ("failed",))[0]

    assert [("trigger", "error")] == _actions(samples.failed(), ("failed",))
    assert ("trigger", "resolve") == (failed["event_action"], passed["event_action"])
    assert failed["dedup_key"] == passed["dedup_key"]


def test_inconclusive_run_alerts_only_where_asked_for() -> None:
    assert [] == _actions(samples.inconclusive(), ("failed",))
    assert [("trigger", "warning")] == _actions(samples.inconclusive(), ("inconclusive",))


def test_harm_that_is_left_always_alerts() -> None:
    about = About.evidence(samples.passed())
    lost = pagerduty.payloads(KEY, event.broken(about, "not healed: zone-a is cut off", True), ())

    assert [("trigger", "critical")] == _actions(_harmed(), ())
    assert ["critical"] == [one["payload"]["severity"] for one in lost]
    assert [] == pagerduty.payloads(KEY, event.broken(about, "no space", False), ())


def test_end_says_loudly_what_is_not_healed() -> None:
    assert "1 of 1 harms are NOT healed" in event.end(_harmed()).text
    assert "Nothing is left harmed: 1 of 1 undone." == event.end(samples.passed()).text


def test_webhook_is_signed_over_what_is_sent() -> None:
    [asked] = webhook.requests("https://h/x", "a secret", event.verdict(samples.failed()))

    wanted = "sha256=" + hmac.new(b"a secret", asked.body, hashlib.sha256).hexdigest()
    assert wanted == asked.headers["X-Ftchaos-Signature-256"]
    assert "verdict" == asked.headers["X-Ftchaos-Event"]
    assert "X-Ftchaos-Signature-256" not in webhook.requests("https://h/x", "", event.test())[0].headers


def test_webhook_has_the_figures_of_the_run() -> None:
    found = samples.failed()

    result = webhook.payload(event.verdict(found))["result"]

    assert ("failed", 1, 13_107, 1002.0) == tuple(
        result[key] for key in ("verdict", "exit_code", "lost_writes", "data_loss_s")
    )
    assert None is webhook.payload(event.begin(About.evidence(found)))["result"]


def test_grafana_shows_the_fault_as_a_region_up_to_the_recovery() -> None:
    fault, recovery = grafana.of_run(samples.passed())

    assert round(samples.RESTORED_S * 1000) == fault["timeEnd"] - fault["time"]
    assert fault["timeEnd"] == recovery["time"]
    assert {"fault"} == set(fault["tags"]) - set(recovery["tags"])


def test_grafana_shows_a_service_that_did_not_come_back_up_to_the_end_of_the_run() -> None:
    [fault] = grafana.of_run(samples.inconclusive())

    assert 24_900 == fault["timeEnd"] - fault["time"]


def test_run_without_a_fault_is_not_annotated() -> None:
    found = samples.passed()
    found.recovery.fault_at = None

    assert [] == grafana.of_run(found)


def test_trace_has_a_span_for_the_run_each_phase_and_each_step() -> None:
    found = samples.passed()

    request = otlp(traces.payload(traces.spans_of(found)))

    spans = list(request.resource_spans[0].scope_spans[0].spans)
    root, recovery = spans[:2]
    phases = [one for one in spans if one.parent_span_id == recovery.span_id]
    steps = [one for one in spans[2:] if one.parent_span_id == root.span_id]
    assert [f"phase {one.name}" for one in found.recovery.phases] == [one.name for one in phases]
    assert [f"step {one.name}" for one in found.steps if one.began_at] == [one.name for one in steps]
    assert 1 == len({one.trace_id for one in spans})
    assert len(spans) == len({one.span_id for one in spans})
    assert samples.RESTORED_S == pytest.approx((recovery.end_time_unix_nano - recovery.start_time_unix_nano) / 1e9)
    assert all(one.start_time_unix_nano <= one.end_time_unix_nano for one in spans)
    assert ["fault", "proven", "detected", "restored"] == [one.name for one in root.events]


def test_trace_says_what_failed() -> None:
    request = otlp(traces.payload(traces.spans_of(samples.inconclusive())))

    spans = list(request.resource_spans[0].scope_spans[0].spans)
    failed = [one for one in spans if one.status.code == 2]
    assert samples.inconclusive().reasons[0] == failed[0].status.message
    assert any("no space left" in one.status.message for one in failed if one.name.startswith("step "))


def test_same_run_told_twice_is_the_same_trace() -> None:
    assert traces.spans_of(samples.passed()) == traces.spans_of(samples.passed())


def test_headers_of_traces_are_those_of_the_standard_variable() -> None:
    assert {"api-key": "a b", "x": "1"} == traces.parsed("api-key=a%20b, x=1")
    for wrong in ("api-key", "a b=c", "x=%0a", "=v"):
        with pytest.raises(Exception, match="the headers are not like"):
            traces.parsed(wrong)
