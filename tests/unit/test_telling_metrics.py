"""Metrics of a run, the file that they are in, and the dashboard and the alerts that are made of them."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

import pytest
import samples
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from ftchaos.telling import event, metrics, pushgateway, textfile

EXAMPLES = Path(__file__).resolve().parents[2] / "docs" / "examples"
LABELS = {"name": "restore", "kind": "drill", "environment": "lab"}


def _samples(text: str) -> dict[tuple[str, str], float]:
    """Values by the metric and the label that only some have."""
    found = {}
    for family in text_string_to_metric_families(text):
        for one in family.samples:
            extra = next((value for key, value in one.labels.items() if key not in LABELS), "")
            assert LABELS == {key: one.labels[key] for key in LABELS}
            found[one.name, extra] = one.value
    return found


def test_metrics_say_what_the_run_came_to() -> None:
    found = _samples(metrics.text(metrics.registry(samples.passed())))

    assert 1.0 == found["ftchaos_run_verdict", "passed"]
    assert 0.0 == found["ftchaos_run_verdict", "failed"]
    assert samples.RESTORED_S == found["ftchaos_recovery_time_seconds", ""]
    assert 14400.0 == found["ftchaos_recovery_time_objective_seconds", ""]
    assert pytest.approx(1.92 + 1.14) == found["ftchaos_phase_duration_seconds", "verify"]
    assert found["ftchaos_run_timestamp_seconds", ""] == found["ftchaos_last_passed_timestamp_seconds", ""]
    assert set(metrics.METRICS) == {name for name, _ in found}


def test_what_was_not_measured_is_no_number_and_never_an_old_one() -> None:
    found = _samples(metrics.text(metrics.registry(samples.inconclusive())))

    assert math.isnan(found["ftchaos_recovery_time_seconds", ""])
    assert math.isnan(found["ftchaos_lost_writes", ""])
    assert ("ftchaos_last_passed_timestamp_seconds", "") not in found


def test_run_that_did_not_pass_keeps_the_instant_at_which_one_did(tmp_path: Path) -> None:
    passed, failed = samples.passed(), samples.failed()
    failed.ended_at = samples.at(90)
    for one in (passed, failed):
        [file] = textfile.deliveries(tmp_path, event.verdict(one))
        file.attempt(1)

    [path] = tmp_path.iterdir()
    found = _samples(path.read_text())
    assert "ftchaos_lab_drill_restore.prom" == path.name
    assert 1.0 == found["ftchaos_run_verdict", "failed"]
    assert 65.1 == pytest.approx(
        found["ftchaos_run_timestamp_seconds", ""] - found["ftchaos_last_passed_timestamp_seconds", ""]
    )


def test_older_run_does_not_replace_a_newer_one(tmp_path: Path) -> None:
    newer = samples.failed()
    newer.ended_at = samples.at(90)
    textfile.deliveries(tmp_path, event.verdict(newer))[0].attempt(1)

    with pytest.raises(Exception, match="the metrics of a newer run are there already"):
        textfile.deliveries(tmp_path, event.verdict(samples.passed()))[0].attempt(1)


def test_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="cannot be written: No such file or directory"):
        textfile.deliveries(tmp_path / "missing", event.verdict(samples.passed()))[0].attempt(1)


@given(st.text(max_size=300), st.text(max_size=300))
def test_file_name_leads_out_of_no_folder(name: str, environment: str) -> None:
    found = samples.passed().model_copy(update={"name": name, "environment": environment})

    assert re.fullmatch(r"ftchaos_[A-Za-z0-9_-]{1,120}\.prom", textfile.file_name(found))


def test_different_runs_have_different_files() -> None:
    names = [("a", "b_c"), ("a_b", "c"), ("a/b", "c"), ("a-b", "c"), ("x" * 150, "c"), ("x" * 151, "c")]
    found = [samples.passed().model_copy(update={"environment": one, "name": other}) for one, other in names]

    assert len(names) == len({textfile.file_name(one) for one in found})


@example(": 0")
@given(st.text(max_size=5000))
def test_whatever_stands_in_the_file_before_does_not_matter(text: str) -> None:
    assert all(isinstance(value, float) for value in metrics.read(text).values())


@settings(deadline=None, max_examples=50)
@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=200))
def test_any_name_makes_metrics_that_can_be_read(name: str) -> None:
    found = samples.passed().model_copy(update={"name": name})

    text = metrics.text(metrics.registry(found))

    names = {sample.labels["name"] for one in text_string_to_metric_families(text) for sample in one.samples}
    assert {name} == names


def test_push_goes_to_the_group_of_the_run_and_adds_to_it() -> None:
    [asked] = pushgateway.requests("http://h:9091", "me", "password", event.verdict(samples.passed()))

    path, *group = asked.url.removeprefix("http://h:9091/metrics/job/").split("/")
    assert "ftchaos" == path
    assert LABELS == dict(zip(group[::2], group[1::2], strict=True))
    assert "POST" == asked.method
    assert "Basic bWU6cGFzc3dvcmQ=" == asked.headers["Authorization"]


def _names(query: str) -> set[str]:
    return set(re.findall(r"ftchaos_\w+", query))


def _panels() -> list[dict[str, Any]]:
    panels: list[dict[str, Any]] = json.loads((EXAMPLES / "grafana-dashboard.json").read_text())["panels"]
    return panels


def test_dashboard_asks_only_for_metrics_that_exist() -> None:
    text = (EXAMPLES / "grafana-dashboard.json").read_text()

    shown = set().union(*(_names(target["expr"]) for panel in _panels() for target in panel["targets"]))
    assert _names(text) <= set(metrics.METRICS)
    assert set(metrics.METRICS) - shown == {
        "ftchaos_run_verdict", "ftchaos_run_timestamp_seconds", "ftchaos_acknowledged_writes", "ftchaos_success_ratio",
    }  # fmt: skip


def test_dashboard_uses_only_labels_that_exist() -> None:
    known = {*metrics.RUN, "phase", "verdict"}
    for panel in _panels():
        for target in panel["targets"]:
            used = set(re.findall(r"{{(\w+)}}", target["legendFormat"])) | set(re.findall(r"(\w+)=~", target["expr"]))

            assert used <= known


def test_dashboard_imports_without_an_edit() -> None:
    whole = json.loads((EXAMPLES / "grafana-dashboard.json").read_text())
    variables = {one["name"]: one for one in whole["templating"]["list"]}

    assert "datasource" == variables["datasource"]["type"]
    assert "__inputs" not in whole
    assert None is whole["id"]
    for panel in whole["panels"]:
        assert "${datasource}" == panel["datasource"]["uid"]
        assert {"${datasource}"} == {target["datasource"]["uid"] for target in panel["targets"]}
    used = set(re.findall(r"\$(\w+)", " ".join(one["expr"] for panel in whole["panels"] for one in panel["targets"])))
    assert used <= set(variables)
    assert len(whole["panels"]) == len({panel["id"] for panel in whole["panels"]})
    assert ["ftchaos"] == whole["annotations"]["list"][0]["target"]["tags"]


def test_panels_do_not_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in _panels():
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}

        assert at["x"] + at["w"] <= 24
        assert not cells & taken
        taken |= cells


def test_alerts_ask_only_for_metrics_that_exist() -> None:
    rules = yaml.safe_load((EXAMPLES / "prometheus-alerts.yml").read_text())["groups"][0]["rules"]

    assert set().union(*(_names(rule["expr"]) for rule in rules)) <= set(metrics.METRICS)
