"""Metrics in the programs that they are for: promtool, a node exporter, a Pushgateway, and Prometheus itself."""

from __future__ import annotations

import json
import math
import re
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import samples
from prometheus_client.parser import text_string_to_metric_families

from ftchaos import config, telling
from ftchaos.evidence import Evidence
from ftchaos.telling import event, metrics

EXAMPLES = Path(__file__).resolve().parents[2] / "docs" / "examples"
Begin = Callable[..., str]


def _tell(folder: Path, text: str, *found: Evidence) -> None:
    (folder / "ftchaos.yaml").write_text(text)
    for one in found:
        outcomes = telling.tell(
            telling.places(config.load(folder / "ftchaos.yaml")), [event.end(one), event.verdict(one)], 10.0
        )

        assert [] == telling.problems(outcomes)
        assert 1 == sum(outcome.deliveries for outcome in outcomes)


def _pushgateway(begin: Begin) -> str:
    """A Pushgateway that keeps nothing: the one of Debian would find on disk what another one left."""
    return begin(
        "prometheus-pushgateway", "--web.listen-address=127.0.0.1:{port}", "--persistence.file=", ready="/-/ready"
    )


def _read(url: str) -> str:
    with urllib.request.urlopen(url, timeout=10) as answer:
        text: str = answer.read().decode()
    return text


def _samples(text: str) -> dict[tuple[str, str], float]:
    """Values of ftchaos by the metric and the verdict or phase."""
    return {
        (one.name, one.labels.get("verdict", one.labels.get("phase", ""))): one.value
        for family in text_string_to_metric_families(text)
        for one in family.samples
        if one.name.startswith("ftchaos_")
    }


def _failed_later() -> Evidence:
    found = samples.inconclusive()
    found.ended_at = samples.at(90)
    return found


def test_promtool_finds_nothing_to_say_about_the_metrics() -> None:
    for found in (samples.passed(), samples.inconclusive()):
        text = metrics.text(metrics.registry(found))
        checked = subprocess.run(
            ["promtool", "check", "metrics"], input=text, capture_output=True, text=True, timeout=60, check=False
        )

        assert (0, "") == (checked.returncode, checked.stdout + checked.stderr)


def test_promtool_accepts_the_alerts_and_they_fire(tmp_path: Path) -> None:
    labels = '{name="restore", kind="drill", environment="lab"}'
    passed = 'ftchaos_run_verdict{name="restore", kind="drill", environment="lab", verdict="passed"}'
    fired = {
        "RecoveryNotProven": {"ftchaos_run_verdict": "0x5"},
        "RecoveryProofOverdue": {"ftchaos_last_passed_timestamp_seconds": "-3024100x5"},
        "RecoveryNeverProven": {"ftchaos_run_timestamp_seconds": "1x5"},
        "RecoveryObjectiveNear": {
            "ftchaos_recovery_time_seconds": "81x5",
            "ftchaos_recovery_time_objective_seconds": "100x5",
        },
        "LeftHarmed": {"ftchaos_unhealed_harms": "1x5"},
    }
    rules = (EXAMPLES / "prometheus-alerts.yml").read_text()
    (tmp_path / "rules.yml").write_text(rules)
    assert sorted(fired) == sorted(re.findall(r"alert: (\w+)", rules))
    queries = []
    for alert, values in fired.items():
        series = [
            {"series": passed if name == "ftchaos_run_verdict" else name + labels, "values": value}
            for name, value in values.items()
        ]
        count = f'count(ALERTS{{alertname="{alert}", alertstate="firing"}})'
        expected = {"expr": count, "eval_time": "2m", "exp_samples": [{"labels": "{}", "value": 1}]}
        queries.append({"interval": "1m", "input_series": series, "promql_expr_test": [expected]})
    # JSON is YAML too.
    (tmp_path / "tests.yml").write_text(json.dumps({"rule_files": ["rules.yml"], "tests": queries}))

    checked = subprocess.run(
        ["promtool", "test", "rules", "tests.yml"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert 0 == checked.returncode, checked.stdout + checked.stderr


def test_node_exporter_offers_what_the_run_wrote(tmp_path: Path, begin: Begin) -> None:
    (tmp_path / "metrics").mkdir()
    other = _failed_later()
    other.name = "restore-backup"
    _tell(tmp_path, "metrics: {textfile: metrics}\n", samples.passed(), other)

    address = begin(
        "prometheus-node-exporter", "--web.listen-address=127.0.0.1:{port}", "--collector.disable-defaults",
        "--collector.textfile", f"--collector.textfile.directory={tmp_path}/metrics", ready="/metrics",
    )  # fmt: skip

    text = _read(f"{address}/metrics")
    assert "node_textfile_scrape_error 0" in text
    assert f"}} {samples.RESTORED_S}\n" in text
    assert {"restore", "restore-backup"} == set(re.findall(r'ftchaos_run_exit_code{.*name="([^"]+)"', text))


def test_pushgateway_keeps_when_a_run_last_passed_and_nothing_else_of_it(tmp_path: Path, begin: Begin) -> None:
    address = _pushgateway(begin)
    text = f'metrics: {{pushgateway: {{url: "{address}"}}}}\n'

    _tell(tmp_path, text, samples.passed())
    before = _samples(_read(f"{address}/metrics"))
    _tell(tmp_path, text, _failed_later())
    after = _samples(_read(f"{address}/metrics"))

    assert samples.RESTORED_S == before["ftchaos_recovery_time_seconds", ""]
    assert math.isnan(after["ftchaos_recovery_time_seconds", ""])
    assert (0.0, 1.0) == (after["ftchaos_run_verdict", "passed"], after["ftchaos_run_verdict", "inconclusive"])
    last = "ftchaos_last_passed_timestamp_seconds"
    assert before[last, ""] == after[last, ""]
    assert ("ftchaos_phase_duration_seconds", "warm") not in after


@pytest.mark.parametrize("name", ["a/b", "zone \u00e9 outage", 'quote"\\back\nline'])
def test_pushgateway_takes_any_name(tmp_path: Path, begin: Begin, name: str) -> None:
    address = _pushgateway(begin)
    found = samples.passed()
    found.name = name

    _tell(tmp_path, f'metrics: {{pushgateway: {{url: "{address}"}}}}\n', found)

    families = text_string_to_metric_families(_read(f"{address}/metrics"))
    names = {one.labels["name"] for family in families for one in family.samples if "kind" in one.labels}
    assert {name} == names


def test_every_panel_of_the_dashboard_shows_something_in_prometheus(tmp_path: Path, begin: Begin) -> None:
    gateway = _pushgateway(begin)
    _tell(tmp_path, f'metrics: {{pushgateway: {{url: "{gateway}"}}}}\n', samples.passed())
    scrape = {"job_name": "ftchaos", "honor_labels": True, "static_configs": [{"targets": [gateway[7:]]}]}
    (tmp_path / "prometheus.yml").write_text(
        json.dumps({"global": {"scrape_interval": "1s"}, "scrape_configs": [scrape]})
    )
    prometheus = begin(
        "prometheus", "--config.file=prometheus.yml", "--storage.tsdb.path=data",
        "--web.listen-address=127.0.0.1:{port}", ready="/-/ready",
    )  # fmt: skip
    _await(lambda: _query(prometheus, "ftchaos_run_exit_code"))

    board = json.loads((EXAMPLES / "grafana-dashboard.json").read_text())
    for panel in board["panels"]:
        for target in panel["targets"]:
            found = _query(prometheus, re.sub(r"\$\w+", ".*", target["expr"]))

            assert found, f"{panel['title']}: {target['expr']}"
    for variable in board["templating"]["list"][1:]:
        values = json.loads(_read(f"{prometheus}/api/v1/label/{variable['name']}/values"))["data"]

        assert values
        assert f", {variable['name']})" in variable["definition"]


def _query(prometheus: str, expression: str) -> list[Any]:
    answer = json.loads(_read(f"{prometheus}/api/v1/query?query={urllib.parse.quote(expression)}"))
    found: list[Any] = answer["data"]["result"]
    return found


def _await(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.2)
