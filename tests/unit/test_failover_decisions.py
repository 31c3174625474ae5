"""What the failover manager and others tell each other through files."""

from __future__ import annotations

from pathlib import Path

import pytest

from ftchaos.errors import Invalid
from ftchaos.platforms.lab.decisions import Facts, Folder, Place

FACTS = Facts("mysql-a", {"mysql-a": Place("10.77.0.11", 3306), "mysql-b": Place("10.77.0.12", 3306)})


def folder_in(path: Path) -> Folder:
    folder = Folder.of(path)
    folder.path.mkdir(parents=True)
    return folder


def test_facts_survive_their_file(tmp_path: Path) -> None:
    folder = folder_in(tmp_path)
    folder.tell(FACTS)

    assert folder.facts() == FACTS


def test_telling_the_same_again_is_noticed(tmp_path: Path) -> None:
    folder = folder_in(tmp_path)
    folder.tell(FACTS)
    before = folder.told()
    folder.tell(FACTS)

    assert folder.told() != before


@pytest.mark.parametrize(
    "text", ["", "[]", '{"primary": "x", "servers": {}}', '{"primary": "a", "servers": {"a": {"port": 1}}}']
)
def test_facts_that_make_no_sense_are_refused(text: str) -> None:
    with pytest.raises(Invalid, match=r"servers.json"):
        Facts.from_json(text)


def test_a_line_half_written_is_not_there_yet(tmp_path: Path) -> None:
    folder = folder_in(tmp_path)
    folder.log.write_text('{"at": 1.0, "event": "suspected"}\n{"at": 2.0, "event": "detected"}\n{"at": 3.0, "ev')

    assert [event["event"] for event in folder.events()] == ["suspected", "detected"]
    assert [event["event"] for event in folder.events(since_at=1.5)] == ["detected"]


def test_a_pause_nobody_obeys_is_told_so_and_stays_until_it_is_taken_back(tmp_path: Path) -> None:
    folder = folder_in(tmp_path)

    assert not folder.pause(timeout_s=0)
    assert folder.paused()
    folder.resume()
    folder.resume()
    assert not folder.paused()
