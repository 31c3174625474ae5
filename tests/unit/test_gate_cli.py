"""``ftchaos gate`` over a real store: exit code 0 only when all is proven, whatever is done to the evidence."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import samples
from click.testing import CliRunner, Result
from sample_experiments import zone_outage

from ftchaos import evidence, manifest
from ftchaos.cli import cli
from ftchaos.clock import iso
from ftchaos.errors import FtchaosError
from ftchaos.evidence import Evidence

POLICY = """\
title: Production
objectives: {rto: 4h, rpo: 15m}
requirements:
  - {run: drill/restore, max_age: 31d, recovery_time: 50%, lost: 0}
"""


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FTCHAOS_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    for name in ("GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "gate.yaml").write_text(POLICY)
    (tmp_path / "reports").mkdir()
    return tmp_path / "reports"


def put(store: Path, make: Callable[[], Evidence] = samples.passed, days_ago: float = 1.0, **change: Any) -> Path:
    """A run that ended so many days ago, as complete as a real one."""
    made = make()
    shift = datetime.now(UTC) - timedelta(days=days_ago) - datetime.fromisoformat(made.ended_at)
    began_at = datetime.fromisoformat(made.began_at) + shift
    made.began_at, made.ended_at = iso(began_at), iso(datetime.fromisoformat(made.ended_at) + shift)
    made.environment = "staging"
    for name, value in change.items():
        setattr(made, name, value)
    made.run_id = f"{began_at:%Y%m%dT%H%M%SZ}-{made.name}-{len(list(store.iterdir())):04x}"
    folder = samples.folder(made, store)
    evidence.write(made, folder)
    manifest.write(folder)
    return folder


def gate(*arguments: str, environment: str = "staging") -> Result:
    return CliRunner().invoke(cli, ["gate", *arguments, "--environment", environment])


def said(*arguments: str) -> str:
    """All sentences of the decision."""
    found = json.loads(gate("--json", *arguments).stdout)
    return "\n".join(reason["sentence"] for one in found["requirements"] for reason in one["reasons"])


def test_a_proven_recovery_lets_through(store: Path) -> None:
    put(store)

    result = gate()

    assert result.exit_code == 0
    assert "YES for staging: 2 of 2 requirements met" in result.stdout
    assert said() == ""


def test_without_evidence_nothing_goes_through(store: Path) -> None:
    result = gate()

    assert result.exit_code == 1
    assert "NO for staging: 1 of 2 requirements met" in result.stdout
    assert said() == "there is no run of drill/restore in staging"


@pytest.mark.parametrize(
    ("make", "days_ago", "change", "words"),
    [
        (samples.failed, 1, {}, "failed: The data loss is 16 min 42 s"),
        (samples.inconclusive, 1, {}, "was inconclusive: A step failed"),
        (samples.heal_failed, 1, {}, "A heal failed"),
        (samples.passed, 40, {}, "is 40.1 d old, 31 d are allowed"),
        (samples.passed, 1, {"environment": "lab"}, "ran in lab, not in staging"),
        (samples.passed, -2, {}, "in the future"),
        (zone_outage, 1, {}, "there is no run of drill/restore in staging"),
    ],
)
def test_each_no_says_why(store: Path, make: Any, days_ago: float, change: dict[str, Any], words: str) -> None:
    put(store, make, days_ago, **change)

    assert gate().exit_code == 1
    assert words in said()


def _altered(folder: Path) -> None:
    path = folder / "ledger" / "db-1.outcomes"
    path.write_bytes(path.read_bytes()[:-1] + b"\x03")


def _prettier(folder: Path) -> None:
    path = folder / "evidence.json"
    path.write_text(path.read_text().replace('"lost": 0', '"lost":  0', 1))


def _without_manifest(folder: Path) -> None:
    (folder / "manifest.json").unlink()


def _broken_manifest(folder: Path) -> None:
    (folder / "manifest.json").write_text("{}")


def _more(folder: Path) -> None:
    (folder / "note.txt").write_text("all is well")


def _renamed(folder: Path) -> None:
    folder.rename(folder.with_name(folder.name[:-4] + "ffff"))


@pytest.mark.parametrize("warm", [True, False], ids=["known", "never seen"])
@pytest.mark.parametrize("harm", [_altered, _prettier, _without_manifest, _broken_manifest, _more, _renamed])
def test_evidence_that_does_not_verify_is_a_no(store: Path, harm: Callable[[Path], None], warm: bool) -> None:
    put(store, days_ago=3)
    folder = put(store)
    if warm:
        assert gate().exit_code == 0

    harm(folder)

    assert gate().exit_code == 1


def test_a_failure_that_was_taken_away_is_missed(store: Path) -> None:
    put(store, days_ago=3)
    failure = put(store, samples.failed, 2)
    put(store)
    (store.parent / "gate.yaml").write_text(POLICY.replace("lost: 0", "passes: 2"))
    assert gate().exit_code == 1

    shutil.rmtree(failure)

    assert gate().exit_code == 1
    assert "chain" in said()


@pytest.mark.parametrize("warm", [True, False], ids=["known", "never seen"])
@pytest.mark.parametrize(("old", "new"), [('"staging"', '"lab"'), ('"name": "restore"', '"name": "other"')])
def test_a_failure_cannot_be_passed_off_as_something_else(store: Path, old: str, new: str, warm: bool) -> None:
    put(store, days_ago=3)
    failure = put(store, samples.failed) / "evidence.json"
    if warm:
        assert gate().exit_code == 1

    assert old in failure.read_text()
    failure.write_text(failure.read_text().replace(old, new))

    assert gate().exit_code == 1


def test_the_document_is_one_and_carries_the_exit_code(store: Path) -> None:
    put(store)

    result = gate("--json")

    found = json.loads(result.stdout)
    assert (found["decision"], found["exit_code"], result.exit_code) == ("yes", 0, 0)
    assert found["policy"]["file"] == "gate.yaml"
    assert len(found["policy"]["sha256"]) == 64


def test_github_gets_a_summary_and_annotations_and_no_command_from_evidence(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(store, samples.failed, reasons=["::error::no ##[command]"])
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    (tmp_path / "summary.md").write_text("before\n")

    result = gate("--junit", str(tmp_path / "junit.xml"))

    assert result.stderr.startswith("::error title=Gate%3A restore::The run ")
    lines = result.stdout.splitlines()
    assert lines[0].startswith("::stop-commands::")
    assert lines[-1] == f"::{lines[0].removeprefix('::stop-commands::')}::"
    assert (tmp_path / "summary.md").read_text().startswith("before\n### ❌ Gate: NO for staging")
    assert 'failures="1"' in (tmp_path / "junit.xml").read_text()
    assert json.loads(gate("--json").stdout)["decision"] == "no"


def test_explain_gives_commands_and_the_same_exit_code(store: Path) -> None:
    result = gate("explain")

    assert result.exit_code == 1
    assert "\nftchaos drill run restore --environment staging --reports reports\n" in result.stdout
    assert json.loads(gate("explain", "--json").stdout)["todo"][0]["requirements"] == ["restore"]
    put(store)
    assert gate("explain").exit_code == 0


@pytest.mark.parametrize("text", ["", "requirements: []\n", "requirements: [{run: drill/restore}]\n", "x: 1\n"])
def test_a_policy_that_is_none_is_a_usage_error(store: Path, text: str) -> None:
    put(store)
    (store.parent / "gate.yaml").write_text(text)

    _assert_usage(gate())
    _assert_usage(gate("explain"))


@pytest.mark.parametrize(
    "arguments",
    [
        ["gate"],
        ["gate", "--environment", "staging", "--policy", "absent.yaml"],
        ["gate", "--environment", "staging", "--commit", "2508e40"],
        ["gate", "--environment", "staging", "--image", "app:latest"],
        ["gate", "--environment", "staging", "--junit", "absent/junit.xml"],
        ["gate", "--environment", "staging", "explain"],
        ["gate", "--nonsense"],
    ],
    ids=lambda arguments: " ".join(arguments[1:]) or "nothing",
)
def test_a_question_that_is_none_is_a_usage_error(store: Path, arguments: list[str]) -> None:
    put(store)

    _assert_usage(CliRunner().invoke(cli, arguments))


def _assert_usage(result: Result) -> None:
    code = result.exception.exit_code if isinstance(result.exception, FtchaosError) else result.exit_code

    assert code == 2


def test_a_waiver_lets_through_and_says_so(store: Path) -> None:
    until = f"{datetime.now(UTC) + timedelta(days=5):%Y-%m-%d}"
    waiver = f"waivers: [{{requirement: restore, person: A. Person, reason: moved, until: {until}}}]\n"
    (store.parent / "gate.yaml").write_text(POLICY + waiver)

    result = gate()

    assert result.exit_code == 0
    assert "1 of 2 requirements met, 1 waived" in result.stdout
    assert "WAIVED: by A. Person until" in result.stdout
