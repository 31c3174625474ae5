"""Before a fault the service is not called well until subscribers were heard of, too."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ftchaos.clock import Clock, now
from ftchaos.errors import Inconclusive
from ftchaos.ledger import Outcome
from ftchaos.objectives import Objectives
from ftchaos.traffic import HEARD_FILE, LEDGER, TrafficProcesses
from ftchaos.workload import book, events

OBJECTIVES = Objectives(sustain_s=0.5)
STEP_S = 0.02


@pytest.fixture
def uploads(tmp_path: Path) -> Iterator[book.Book]:
    """Uploads that all succeed, from five seconds ago until a minute from now."""
    began_at = now() - 5
    (one,) = book.create(tmp_path / LEDGER, [("uploads", 1)], began_at)
    for number in range(round(65 / STEP_S)):
        at = began_at + number * STEP_S
        one.settle(one.attempt(at), Outcome.ACKNOWLEDGED, at + 0.001)
    yield one
    one.close()


def _traffic(folder: Path, *, listens: bool) -> TrafficProcesses:
    (folder / "observations").mkdir()
    traffic = TrafficProcesses(folder)
    traffic._listens = listens
    return traffic


def test_service_is_well_once_somebody_heard_of_an_upload_that_was_made_while_he_listened(
    tmp_path: Path, uploads: book.Book
) -> None:
    traffic, file = _traffic(tmp_path, listens=True), tmp_path / HEARD_FILE
    lines = [json.dumps({"at": now(), "user": 1, "upload_key": uploads.write_id(seq)}) for seq in (2, 400)]

    def hear() -> None:
        file.write_text(lines[0] + "\n")  # of one that was made before
        time.sleep(0.3)
        file.write_text("\n".join(lines) + "\n")

    thread = threading.Timer(0.3, hear)
    thread.start()
    well = traffic.meets_objectives(OBJECTIVES, 30)
    heard = file.read_text().splitlines()
    thread.join()

    assert (True, lines) == (well, heard)


def test_a_line_that_is_being_written_is_no_damage_until_nobody_writes_any_more(tmp_path: Path) -> None:
    line = json.dumps({"at": 1.5, "user": 1, "upload_key": 7})
    (file := tmp_path / "heard.jsonl").write_text(f"{line}\n{line[:9]}")

    assert {7: (1.5,)} == events.read(file, live=True).heard
    with pytest.raises(Inconclusive, match=r"line 2 of .* is damaged"):
        events.read(file)


def test_what_was_seen_until_now_lacks_the_line_that_is_being_written(tmp_path: Path, uploads: book.Book) -> None:
    traffic, clock = _traffic(tmp_path, listens=True), Clock.anchored()
    line = json.dumps({"at": 1.5, "user": 1, "upload_key": 7})
    (tmp_path / HEARD_FILE).write_text(f"{line}\n{line[:9]}")

    assert {7: (1.5,)} == traffic.seen(clock).heard


def test_nobody_is_waited_for_where_nobody_listens_or_no_longer_than_patience_lasts(
    tmp_path: Path, uploads: book.Book
) -> None:
    traffic = _traffic(tmp_path, listens=True)

    assert traffic.meets_objectives(OBJECTIVES, 0.3)
    traffic._listens = False
    assert traffic.meets_objectives(OBJECTIVES, 30)
