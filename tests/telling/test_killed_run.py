"""A run that was killed can tell nobody that it ended: whoever completes its evidence does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from just_begun import folder_of

from ftchaos import evidence, notes, recover

RUN = "20261123T061500Z-killed-7f3a"
CONFIGURATION = 'notify: {{audit: {{kind: webhook, url: "{url}/webhook"}}}}\n'


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a run that died as soon as it had begun."""
    monkeypatch.setenv("FTCHAOS_STATE", str(tmp_path / "state"))
    return folder_of(RUN, tmp_path)


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
