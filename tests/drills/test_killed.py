"""kill -9 of a drill at any instant: `ftchaos recover` leaves nothing, and no evidence already written is lost."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from residue import gone_within, surroundings
from workplaces import Workplace

from ftchaos import evidence, manifest
from ftchaos.workload import book

SEED = 20261123
# Progress lines of a drill, from the first sign of life to the last heal; each is a place to die at.
LINES = 40
SIZE = "--size=8MiB"  # what is killed does not depend on it, how long it all takes does
FLAVOURS = ["mariadb"] * 10 + ["mysql"] * 4  # a hundred instants: benchmarks/experiments.py killed


def instants() -> Iterator[tuple[str, int, float]]:
    """Flavour, line and delay after it: spread over all lines, so over all phases."""
    chosen = random.Random(SEED)
    for flavour in ("mariadb", "mysql"):
        count = FLAVOURS.count(flavour)
        for index in range(count):
            yield flavour, index * LINES // count, round(chosen.uniform(0, 0.4), 3)


@pytest.mark.parametrize(("flavour", "line", "delay_s"), list(instants()))
def test_a_killed_drill_leaves_nothing_after_recover(
    flavour: str, line: int, delay_s: float, shared_workplace: Workplace
) -> None:
    place = shared_workplace
    before, known = surroundings(), set(place.runs())

    _kill(place, flavour, line, delay_s)
    recovered = place.run("recover")

    assert recovered.exit_code == 0, recovered.stderr
    assert place.run("recover").stdout == f"nothing to recover in {place.state}\n"
    assert gone_within(place.state, 2)
    assert surroundings() == before
    assert not list((place.state / "lab").glob("*"))
    for folder in set(place.runs()) - known:
        _assert_evident(folder)


def _kill(place: Workplace, flavour: str, line: int, delay_s: float) -> None:
    process = place.begin("drill", "restore", "--mysql-flavour", flavour, SIZE)
    assert process.stderr is not None
    for _ in range(line):
        process.stderr.readline()
    time.sleep(delay_s)
    process.kill()
    # Whoever outlives it would keep the pipe open.
    process.communicate(timeout=60)


def _assert_evident(folder: Path) -> None:
    found = evidence.read(folder)
    assert found.verdict == "inconclusive" or found.exit_code == 0
    assert found.undo.recorded == found.undo.healed
    assert manifest.verify(folder).problems() == []
    if (folder / "ledger" / book.FILE).exists():
        attempted = sum(writer.attempted for writer in book.read(folder / "ledger", live=True).writers)
        assert found.data.attempted in (attempted, None if attempted == 0 else attempted)


@pytest.mark.parametrize("flavour", ["mariadb", "mysql"])
def test_the_drill_after_all_that_passes(flavour: str, shared_workplace: Workplace) -> None:
    done = shared_workplace.run("drill", "restore", "--mysql-flavour", flavour, SIZE)

    assert done.exit_code == 0, done.stderr
