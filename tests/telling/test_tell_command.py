"""``ftchaos tell``: what it sends, what it says, and with which exit code it leaves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import samples
from click.testing import CliRunner, Result
from documented import GRAFANA, PAGERDUTY, SLACK, otlp

from ftchaos import conclusion
from ftchaos.cli import cli
from ftchaos.evidence import Evidence

KEY = "0123456789abcdef0123456789abcdef"
EVERYBODY = """\
notify:
  ops: {{kind: slack, url_env: SLACK_URL, report_url: "https://reports.example.com/{{run_id}}/report.html"}}
  on-call: {{kind: pagerduty, key_env: PAGERDUTY_KEY, url: "{url}/pagerduty"}}
  audit: {{kind: webhook, url: "{url}/webhook", secret_file: key}}
  dashboards: {{kind: grafana, url: "{url}/grafana/", token_env: PAGERDUTY_KEY}}
  traces: {{kind: opentelemetry, url: "{url}/otlp"}}
metrics:
  textfile: metrics
  pushgateway: {{url: "{url}/push"}}
"""


@pytest.fixture
def everybody(tmp_path: Path, receiver: Any, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a configuration that names every kind of receiver, all of them at one address."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SLACK_URL", f"{receiver.url}/slack")
    monkeypatch.setenv("PAGERDUTY_KEY", KEY)
    (tmp_path / "ftchaos.yaml").write_text(EVERYBODY.format(url=receiver.url))
    (tmp_path / "key").write_text("signs\n")
    (tmp_path / "metrics").mkdir()
    return tmp_path


def _kept(reports: Path, found: Evidence) -> Evidence:
    folder = reports / found.run_id
    folder.mkdir(parents=True)
    return conclusion.write(found, folder)


def _run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["tell", *arguments])


def _by_receiver(receiver: Any) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for one in receiver.asked:
        found.setdefault(one.path.split("/")[1], []).append(one)
    return found


def test_every_receiver_gets_what_its_documentation_asks_for(everybody: Path, receiver: Any) -> None:
    run = _kept(everybody / "reports", samples.failed())

    told = _run()

    got = _by_receiver(receiver)
    assert 0 == told.exit_code, told.output
    assert 7 == len(told.output.splitlines())
    for one in got["slack"]:
        jsonschema.validate(one.json, SLACK)
    assert f"https://reports.example.com/{run.run_id}/report.html" in got["slack"][0].body.decode()
    for one in got["pagerduty"]:
        jsonschema.validate(one.json, PAGERDUTY)
    for one in got["grafana"]:
        jsonschema.validate(one.json, GRAFANA)
        assert f"Bearer {KEY}" == one.headers["Authorization"]
    assert {"/grafana/api/annotations"} == {one.path for one in got["grafana"]}
    assert ["/otlp/v1/traces"] == [one.path for one in got["otlp"]]
    assert otlp(got["otlp"][0].json).resource_spans
    assert ["end", "verdict"] == [one.json["event"] for one in got["webhook"]]
    assert {"application/json"} == {one.headers["Content-Type"] for name in got if name != "push" for one in got[name]}
    assert ["ftchaos_lab_drill_restore.prom"] == [path.name for path in (everybody / "metrics").iterdir()]


def test_test_reaches_everybody_and_says_that_nothing_has_happened(everybody: Path, receiver: Any) -> None:
    told = _run("--test")

    got = _by_receiver(receiver)
    assert 0 == told.exit_code, told.output
    assert {"slack", "pagerduty", "webhook", "grafana", "otlp", "push"} == set(got)
    assert ["trigger", "resolve"] == [one.json["event_action"] for one in got["pagerduty"]]
    assert "Nothing has happened" in got["slack"][0].json["text"]
    assert ["/push/metrics/job/ftchaos-test"] == [one.path for one in got["push"]]
    assert ["ftchaos_test.prom"] == [path.name for path in (everybody / "metrics").iterdir()]


def test_one_place_can_be_told_alone(everybody: Path, receiver: Any) -> None:
    _kept(everybody / "reports", samples.passed())

    told = _run(samples.passed().run_id, "--to", "audit")

    assert (0, "audit: told, in 2 messages\n") == (told.exit_code, told.output)
    assert {"webhook"} == set(_by_receiver(receiver))


def test_place_that_was_not_reached_is_named_and_the_exit_code_is_1(everybody: Path, receiver: Any) -> None:
    receiver.answers = [(404, {})]

    told = _run("--test", "--to", "ops")
    (everybody / "key").unlink()
    as_json = _run("--test", "--to", "audit", "--json")

    assert 1 == told.exit_code
    assert "ops was not told of test: it answered 404 Not Found: the address is wrong, or was revoked\n" == told.output
    assert 1 == as_json.exit_code
    [outcome] = json.loads(as_json.output)
    assert "the file that secret_file names cannot be read: No such file or directory" == outcome["problem"]


@pytest.mark.parametrize(
    ("arguments", "fact"),
    [
        (["--test", "--to", "nobody"], "nobody is called 'nobody' in the configuration"),
        (["20261123T061441Z-none-0000"], "no run"),
        (["--test", "--config", "empty.yaml"], "nobody is to be told"),
    ],
)
def test_what_cannot_be_is_refused(everybody: Path, arguments: list[str], fact: str) -> None:
    (everybody / "empty.yaml").write_text("objectives: {rto: 4h}\n")
    (everybody / "reports").mkdir()

    told = _run(*arguments)

    assert told.exception is not None
    assert fact in str(told.exception)


def test_evidence_with_impossible_instants_is_told_where_none_is_needed(everybody: Path, receiver: Any) -> None:
    found = samples.passed()
    found.ended_at = found.recovery.restored_at = "9999-99-99T99:99:99Z"
    folder = everybody / "reports" / found.run_id
    folder.mkdir(parents=True)
    (folder / "evidence.json").write_text(found.model_dump_json())

    told = _run(str(folder))

    assert 1 == told.exit_code
    assert "audit: told, in 2 messages" in told.output
    assert "traces was not told of verdict: internal error (ValueError)" in told.output
