"""Workplaces for drills: an empty folder each, with a state of its own."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from workplaces import Workplace


@pytest.fixture
def workplace() -> Iterator[Workplace]:
    """An empty folder with a state of its own; whatever is left in it is taken down."""
    place = Workplace(Path(tempfile.mkdtemp(prefix="ftchaos-drill-")))
    yield place
    _take_down(place)


@pytest.fixture(scope="module")
def shared_workplace() -> Iterator[Workplace]:
    """The same for a whole module."""
    place = Workplace(Path(tempfile.mkdtemp(prefix="ftchaos-drill-")))
    yield place
    _take_down(place)


def _take_down(place: Workplace) -> None:
    for lab in (place.state / "lab").glob("*"):
        place.run("lab", "down", "--name", lab.name)
    shutil.rmtree(place.folder)
