"""Before a fault the service is not called well until subscribers and every kind of writer were heard of, too."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ftchaos import traffic as traffics
from ftchaos.clock import Clock, now
from ftchaos.errors import Inconclusive, StepFailed
from ftchaos.ledger import Outcome
from ftchaos.objectives import Objectives
from ftchaos.platforms.base import Address, Traffic
from ftchaos.traffic import HEARD_FILE, LEDGER, LEDGER_INSIDE, TrafficProcesses
from ftchaos.workload import book, events

OBJECTIVES = Objectives(sustain_s=0.5)
STEP_S = 0.02
NOWHERE = Traffic("", Address("127.0.0.1", 1), {}, Path("secret"))


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


def test_service_is_well_once_every_kind_of_writer_had_a_success(tmp_path: Path, uploads: book.Book) -> None:
    traffic = _traffic(tmp_path, listens=False)
    (inside,) = book.create(tmp_path / LEDGER_INSIDE, [("redis-inside-a", 2)])
    inside.settle(inside.attempt(), Outcome.FAILED)

    with pytest.raises(Inconclusive, match="no write of redis-inside was acknowledged"):
        traffic.meets_objectives(OBJECTIVES, 0.3)

    thread = threading.Timer(0.3, lambda: inside.settle(inside.attempt(), Outcome.ACKNOWLEDGED))
    thread.start()
    well = traffic.meets_objectives(OBJECTIVES, 30)
    counts = inside.counts[Outcome.ACKNOWLEDGED]
    thread.join()
    inside.close()

    assert (True, 1) == (well, counts)


@pytest.fixture
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[book.Book]]:
    """The books of the clients inside, which are there as soon as these begin."""
    books: list[book.Book] = []

    def spawn(*_: object) -> None:
        books.extend(book.create(tmp_path / LEDGER_INSIDE, [("mysql-inside", 1), ("redis-inside-a", 2)]))
        books[0].settle(books[0].attempt(), Outcome.ACKNOWLEDGED)

    monkeypatch.setattr(TrafficProcesses, "_spawn", spawn)
    yield books
    for one in books:
        one.close()


def test_clients_inside_have_begun_once_each_kind_had_a_success(tmp_path: Path, inside: list[book.Book]) -> None:
    late = threading.Timer(0.3, lambda: inside[1].settle(inside[1].attempt(), Outcome.ACKNOWLEDGED))
    late.start()
    _traffic(tmp_path, listens=False).begin_inside(NOWHERE, list, 1)
    counts = [one.counts[Outcome.ACKNOWLEDGED] for one in inside]
    late.join()

    assert [1, 1] == counts


def test_clients_inside_without_a_success_are_named(
    tmp_path: Path, inside: list[book.Book], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(traffics, "BEGIN_TIMEOUT_S", 0.1)

    with pytest.raises(StepFailed, match="the clients inside had no success with redis-inside"):
        _traffic(tmp_path, listens=False).begin_inside(NOWHERE, list, 1)
