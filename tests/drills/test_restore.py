"""`ftchaos drill restore`, whole, on real servers: measured, audited, evident, and nothing left behind."""

from __future__ import annotations

import json
import signal
import statistics
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from residue import gone_within, surroundings
from workplaces import FLAVOURS, Workplace

from ftchaos import evidence
from ftchaos.definitions import find
from ftchaos.ledger import TICK_S
from ftchaos.record import RunRecord
from ftchaos.traffic import LEDGER
from ftchaos.workload import book

PHASES = ["detect", "decide", "provision", "restore", "verify", "replay", "verify", "cut over", "warm"]


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_the_drill_passes_with_evidence_and_leaves_nothing(flavour: str, workplace: Workplace) -> None:
    before = surroundings()

    done = workplace.run("drill", "restore", "--json", "--mysql-flavour", flavour)

    assert done.exit_code == 0, done.stderr
    found = done.json
    jsonschema.validate(found, evidence.schema())
    assert (found["verdict"], found["reasons"]) == ("passed", [])
    assert found["system"]["mysql"].startswith(flavour)
    (folder,) = workplace.runs()
    _assert_measured(found, folder)
    assert {path.name for path in folder.iterdir()} >= {
        "evidence.json", "journal.json", "ledger", "observations", "undo.jsonl", "report.html", "report.md",
        "junit.xml", "manifest.json", "run.json",
    }  # fmt: skip
    assert json.loads((folder / "evidence.json").read_text()) == found
    assert workplace.run("report", "verify").exit_code == 0
    assert workplace.run("recover").stdout == f"nothing to recover in {workplace.state}\n"
    assert gone_within(workplace.state, 2)
    assert surroundings() == before


def _assert_measured(found: dict[str, Any], folder: Path) -> None:
    recovery, data = found["recovery"], found["data"]
    assert [phase["name"] for phase in recovery["phases"]] == PHASES
    parts_s = sum(phase["duration_s"] for phase in recovery["phases"])
    assert parts_s == pytest.approx(recovery["recovery_time_s"], abs=0.001)
    assert recovery["fault_at"] < recovery["proven_at"] < recovery["restored_at"]
    _assert_resolution(folder, recovery)
    assert data["acknowledged"] > 1000
    assert data["ok"] + data["lost"] == data["acknowledged"]
    assert data["corrupt"] == data["duplicate"] == data["unexpected"] == 0
    assert data["self_test"] == "passed"
    assert data["backup_age_s"] > 0
    assert found["service"]["unavailable_s"] > 0
    assert found["witness"]["proven"] is True
    assert found["undo"]["recorded"] == found["undo"]["healed"] > 0
    assert found["replay"]["transactions"] > 0
    assert all(check["passed"] for check in found["verification"]["checks"])
    assert {step["status"] for step in found["steps"]} == {"succeeded"}


def _assert_resolution(folder: Path, recovery: dict[str, Any]) -> None:
    """It is the ledger's own gap before the restored service; of busy machines only the median gap is as it should."""
    (uploads,) = book.read(folder / LEDGER).of("uploads")
    sent_at = [uploads.sent_at(seq) for seq in range(1, uploads.attempted + 1)]
    fault_at = RunRecord.read(folder).fault_at
    assert fault_at is not None
    restored_at = fault_at + recovery["recovery_time_s"]
    first = min(range(1, len(sent_at)), key=lambda index: abs(sent_at[index] - restored_at))
    assert sent_at[first] == pytest.approx(restored_at, abs=TICK_S)
    assert recovery["resolution_s"] == pytest.approx(sent_at[first] - sent_at[first - 1], abs=TICK_S)
    assert statistics.median(later - earlier for earlier, later in pairwise(sent_at)) <= 0.021


def test_plain_chaos_run_comes_to_the_same(workplace: Workplace) -> None:
    definition = find("drill", "restore")

    done = workplace.run("run", str(definition), program="chaostoolkit")

    assert done.exit_code == 0, done.stderr
    (folder,) = workplace.runs()
    found = evidence.read(folder)
    assert found.verdict == "passed"
    _assert_measured(found.model_dump(), folder)
    assert gone_within(workplace.state, 2)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_heals_and_leaves_evidence_that_says_interrupted(number: signal.Signals, workplace: Workplace) -> None:
    process = workplace.begin("drill", "restore", "--mysql-flavour", "mariadb")
    assert process.stderr is not None
    for line in process.stderr:
        if "detect the disaster" in line:
            break
    process.send_signal(number)
    process.communicate(timeout=60)

    assert process.returncode == 130
    (folder,) = workplace.runs()
    found = evidence.read(folder)
    assert (found.verdict, found.exit_code) == ("inconclusive", 130)
    assert number.name in found.reasons[0]
    assert found.undo.recorded == found.undo.healed == 2
    assert workplace.run("recover").stdout == f"nothing to recover in {workplace.state}\n"
    assert gone_within(workplace.state, 2)


def test_a_second_run_is_refused_with_the_name_of_the_first(workplace: Workplace) -> None:
    first = workplace.begin("drill", "restore", "--mysql-flavour", "mariadb")
    deadline = time.monotonic() + 30
    while not list(workplace.state.glob("runs/*.json")):
        assert time.monotonic() < deadline
        time.sleep(0.05)

    second = workplace.run("drill", "restore", "--json")

    assert second.exit_code == 5
    assert workplace.runs()[0].name in second.json["error"]["fact"]
    first.terminate()
    first.communicate(timeout=60)
    assert len(workplace.runs()) == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["drill", "restore", "--rto", "4 hours-ish"], "'4 hours-ish' is not a duration"),
        (["drill", "restore", "--to", "yesterday"], "'yesterday' is not a time to restore to"),
        (["drill", "restore", "--size", "big"], "'big' is not a size"),
        (["drill", "restore", "--environment", "nowhere"], "no environment is called 'nowhere'"),
        (["drill", "restore", "--config", "absent.yaml"], "absent.yaml cannot be read"),
        (["drill", "restore", "--lab", "absent"], "'absent' is not up"),
        (["drill", "restore", "--reports", "occupied"], "the reports folder occupied cannot be written"),
        (["drill", "restore", "--binlogs", "."], "--binlogs goes with --from"),
        (["drill", "run", "absent"], "no drill is called 'absent'"),
        (["drill", "run", "broken.yaml"], "broken.yaml, line 2"),
    ],
)
def test_bad_input_is_refused_with_words_and_touches_nothing(
    arguments: list[str], said: str, workplace: Workplace
) -> None:
    (workplace.folder / "occupied").write_text("a file, not a folder")
    (workplace.folder / "broken.yaml").write_text("title: [\n")

    done = workplace.run(*arguments)

    assert done.exit_code == 2
    assert said in done.stderr
    assert not workplace.runs()
    assert not list((workplace.state / "lab").glob("*"))


def test_the_dry_run_names_its_targets_and_touches_nothing(workplace: Workplace) -> None:
    done = workplace.run("drill", "restore", "--dry-run", "--json")

    assert done.exit_code == 0
    assert len(done.json["targets"]) == 3
    assert not workplace.state.exists() or not any(workplace.state.iterdir())
    assert not workplace.reports.exists()


def test_a_dry_run_of_chaos_toolkit_touches_nothing_either(workplace: Workplace) -> None:
    done = workplace.run("run", "--dry", "activities", str(find("drill", "restore")), program="chaostoolkit")

    assert done.exit_code == 0, done.stderr
    assert not workplace.state.exists()
    assert not workplace.reports.exists()


def test_a_missing_server_is_named_with_the_command_that_gets_it(
    workplace: Workplace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FTCHAOS_MYSQL_HOME", str(tmp_path))
    monkeypatch.setenv("FTCHAOS_CACHE", str(tmp_path))

    done = workplace.run("drill", "restore", "--mysql-flavour", "mysql")

    assert done.exit_code == 2
    assert "scripts/fetch-mysql" in done.stderr
    assert gone_within(workplace.state, 2)
