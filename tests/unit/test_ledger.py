"""The ledger's format: nothing that was attempted is ever silently missing, and times come back."""

from __future__ import annotations

import resource
from collections.abc import Callable
from pathlib import Path

import pytest

from ftchaos import ledger
from ftchaos.errors import Inconclusive
from ftchaos.ledger import CHUNK_WRITES, HEADER_BYTES, Outcome, TornLedger
from ftchaos.workload import book

ANCHOR_AT = 1000.0


def filled(folder: Path, outcomes: list[Outcome], *, close: bool = True) -> book.Book:
    """A ledger of one writer, a write each 10 ms with an answer after 5 ms."""
    (one,) = book.create(folder, [("mysql", 7)], ANCHOR_AT)
    for index, outcome in enumerate(outcomes):
        seq = one.attempt(ANCHOR_AT + 0.01 * (index + 1))
        if outcome is not Outcome.ATTEMPTED:
            one.settle(seq, outcome, ANCHOR_AT + 0.01 * (index + 1) + 0.005)
    if close:
        one.close()
    return one


EACH = [Outcome.ACKNOWLEDGED, Outcome.FAILED, Outcome.ATTEMPTED, Outcome.INDETERMINATE, Outcome.ACKNOWLEDGED]


def test_what_was_recorded_is_read_back(tmp_path: Path) -> None:
    filled(tmp_path, EACH)

    (writer,) = book.read(tmp_path).writers

    assert ("mysql", 7, 5) == (writer.kind, writer.writer, writer.attempted)
    assert EACH == [writer.outcome(seq) for seq in range(1, 6)]
    assert Outcome.NEVER == writer.outcome(6)
    assert [(1, 1), (5, 5)] == list(writer.acknowledged())
    assert pytest.approx(ANCHOR_AT + 0.02, abs=2 * ledger.TICK_S) == writer.sent_at(2)
    assert pytest.approx(ANCHOR_AT + 0.025, abs=2 * ledger.TICK_S) == writer.known_at(2)


def test_write_costs_nine_bytes(tmp_path: Path) -> None:
    filled(tmp_path, [Outcome.ACKNOWLEDGED] * 1000)

    sizes = sum((tmp_path / f"mysql-7.{part}").stat().st_size for part in ("outcomes", "times"))

    assert 9 * 1000 + 2 * HEADER_BYTES == sizes


def test_ledger_that_was_not_closed_has_every_write(tmp_path: Path) -> None:
    filled(tmp_path, EACH, close=False)

    assert 5 == book.read(tmp_path).writers[0].attempted
    assert 5 == book.read(tmp_path, live=True).writers[0].attempted


def test_ledger_grows_past_a_chunk(tmp_path: Path) -> None:
    filled(tmp_path, [Outcome.ACKNOWLEDGED] * (CHUNK_WRITES + 3), close=False)

    (writer,) = book.read(tmp_path).writers

    assert [(1, CHUNK_WRITES + 3)] == list(writer.acknowledged())


def test_disk_that_is_full_ends_the_ledger_and_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(book, "CHUNK_WRITES", 64)
    (one,) = book.create(tmp_path, [("mysql", 7)], ANCHOR_AT)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (700, hard))
    try:
        first, *_ = [one.attempt() for _ in range(64)]
        with pytest.raises(OSError, match="too large"):
            one.attempt()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    one.settle(first, Outcome.ACKNOWLEDGED)

    assert [(1, 1)] == list(book.read(tmp_path).writers[0].acknowledged())
    one.close()
    assert 64 == book.read(tmp_path).writers[0].attempted


def test_write_that_was_timed_but_never_attempted_is_not_one(tmp_path: Path) -> None:
    """Kill -9 between the two stores of an attempt."""
    one = filled(tmp_path, EACH, close=False)
    one._times[10] = 999

    assert 5 == book.read(tmp_path).writers[0].attempted


def test_book_killed_in_the_middle_of_closing_is_whole(tmp_path: Path) -> None:
    one = filled(tmp_path, EACH, close=False)
    header = ledger.Header(one._header.ledger, 7, "mysql", 5, closed=5)
    with (tmp_path / "mysql-7.times").open("r+b") as file:
        file.write(header.pack("times"))

    assert 5 == book.read(tmp_path).writers[0].attempted


def test_earliest_answer_is_found_among_answers_out_of_order() -> None:
    times = [1, 100, 2, 10, 3, 50, 200, 1]
    writer = ledger.WriterLedger("uploads", 1, 0.0, bytes([2] * 4), times)

    assert pytest.approx(12 * ledger.TICK_S) == writer.earliest_known_at(1, 4)


def test_clock_that_ends_is_an_error(tmp_path: Path) -> None:
    (one,) = book.create(tmp_path, [("mysql", 1)], ANCHOR_AT)

    with pytest.raises(Inconclusive, match=r"clock ends 59\.7 hours"):
        one.attempt(ANCHOR_AT + ledger.MAX_DURATION_S + 1)


def test_second_ledger_in_a_folder_is_refused(tmp_path: Path) -> None:
    filled(tmp_path, EACH)

    with pytest.raises(FileExistsError):
        book.create(tmp_path, [("mysql", 7)])


def cut(part: str, size_bytes: int) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        with (folder / f"mysql-7.{part}").open("r+b") as file:
            file.truncate(size_bytes)

    return damage


def blank(part: str, begin: int, end: int) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        with (folder / f"mysql-7.{part}").open("r+b") as file:
            file.seek(begin)
            file.write(bytes(end - begin))

    return damage


def remove(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def replace(name: str, content: bytes) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_bytes(content) and None


@pytest.mark.parametrize("closed", [True, False])
@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(cut("outcomes", 5000), id="outcomes cut off"),
        pytest.param(cut("outcomes", 10), id="outcomes cut off in the header"),
        pytest.param(cut("outcomes", 0), id="outcomes empty"),
        pytest.param(cut("times", 5000), id="times cut off"),
        pytest.param(cut("times", 0), id="times empty"),
        pytest.param(blank("outcomes", 512, 1024), id="sector of outcomes lost"),
        pytest.param(blank("outcomes", 8704, 9064), id="last sector of outcomes lost"),
        pytest.param(blank("outcomes", 0, 512), id="first sector of outcomes lost"),
        pytest.param(blank("times", 512, 1024), id="sector of times lost"),
        pytest.param(blank("times", 71680, 72064), id="last sector of times lost"),
        pytest.param(remove("mysql-7.outcomes"), id="outcomes missing"),
        pytest.param(remove("mysql-7.times"), id="times missing"),
        pytest.param(remove("ledger.json"), id="ledger.json missing"),
        pytest.param(replace("ledger.json", b"{}"), id="ledger.json empty"),
        pytest.param(replace("ledger.json", b"\xff"), id="ledger.json binary"),
        pytest.param(replace("mysql-8.outcomes", b""), id="writer that is not named"),
        pytest.param(replace("mysql-7.outcomes", bytes(10000)), id="outcomes of something else"),
    ],
)
def test_torn_or_foreign_file_is_an_error(tmp_path: Path, damage: Callable[[Path], None], closed: bool) -> None:
    filled(tmp_path, [Outcome.ACKNOWLEDGED] * 9000, close=closed)

    damage(tmp_path)

    with pytest.raises(TornLedger):
        book.read(tmp_path)


def test_book_of_another_ledger_is_foreign(tmp_path: Path) -> None:
    filled(tmp_path / "one", EACH)
    filled(tmp_path / "other", EACH)

    (tmp_path / "other/mysql-7.times").replace(tmp_path / "one/mysql-7.times")

    with pytest.raises(TornLedger, match="belongs to another ledger"):
        book.read(tmp_path / "one")


def test_write_id_carries_writer_and_sequence() -> None:
    assert 3 * 2**40 + 9 == ledger.write_id(3, 9)
    assert "3298534883337" == ledger.content(ledger.write_id(3, 9))
