"""A run that was killed can tell nobody that it ended: whoever completes its evidence does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ftchaos import conclusion, evidence, notes, recover
from ftchaos.clock import Clock
from ftchaos.objectives import Objectives
from ftchaos.record import RunRecord

RUN = "20261123T061500Z-killed-7f3a"
CONFIGURATION = 'notify: {{audit: {{kind: webhook, url: "{url}/webhook"}}}}\n'


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a run that died as soon as it had begun."""
    monkeypatch.setenv("FTCHAOS_STATE", str(tmp_path / "state"))
    path = tmp_path / RUN
    path.mkdir()
    clock = Clock.anchored()
    RunRecord(
        id=RUN, kind="experiment", name="killed", environment="lab", platform="lab", clock=clock,
        began_at=clock.monotonic_s, objectives=Objectives(),
        definition={"path": "a.yaml", "sha256": "0" * 64, "title": "A", "description": "a", "tags": []},
        plan={"scenario": "a", "test_type": "a", "expected": "a", "preconditions": [], "assumptions": [],
              "participants": []},
        arguments={}, planned_steps=[], machine=conclusion.this_machine(), keeps_ledger=False,
    ).save(path)  # fmt: skip
    return path


def _noted(folder: Path, config: Path | None) -> None:
    notes.Note(RUN, str(folder), "lab.killed", "lab", str(config or "")).write()


def test_whoever_heard_of_its_begin_is_told_once_that_it_ended(folder: Path, tmp_path: Path, receiver: Any) -> None:
    (config := tmp_path / "ftchaos.yaml").write_text(CONFIGURATION.format(url=receiver.url))
    _noted(folder, config)
    said: list[str] = []

    (recovered,) = recover.recover(dry_run=False, progress=said.append)
    again = recover.recover(dry_run=False, progress=said.append)

    told = [one.json for one in receiver.asked]
    assert [] == recovered.failed
    assert [] == again
    assert ["end", "verdict"] == [one["event"] for one in told]
    assert "inconclusive" == told[1]["result"]["verdict"]
    assert "inconclusive" == evidence.read(folder).verdict


def test_a_dry_run_tells_nobody(folder: Path, tmp_path: Path, receiver: Any) -> None:
    (config := tmp_path / "ftchaos.yaml").write_text(CONFIGURATION.format(url=receiver.url))
    _noted(folder, config)

    recover.recover(dry_run=True, progress=lambda _: None)

    assert [] == receiver.asked


@pytest.mark.parametrize("broken", ["notify: [", None])
def test_a_configuration_that_is_gone_or_broken_stands_in_no_way(
    folder: Path, tmp_path: Path, broken: str | None
) -> None:
    config = tmp_path / "ftchaos.yaml"
    if broken is not None:
        config.write_text(broken)
    _noted(folder, config)
    said: list[str] = []

    (recovered,) = recover.recover(dry_run=False, progress=said.append)

    assert [] == recovered.failed
    assert any(line.startswith(f"nobody is told of {RUN}: ") for line in said)
    assert not notes.note(RUN).exists()
