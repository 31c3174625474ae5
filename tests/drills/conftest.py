"""Workplaces for drills: an empty folder each, with a state of its own."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from residue import gone_within
from stages import Hooks, Stage
from workplaces import FLAVOURS, Workplace


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


@pytest.fixture(scope="module", params=FLAVOURS)
def build(request: pytest.FixtureRequest, shared_workplace: Workplace) -> Iterator[Stage]:
    """A lab that stays up for all drills of a module, once with each flavour."""
    yield Stage.build(shared_workplace, request.param, request.param)
    shared_workplace.run("lab", "down", "--name", request.param)
    assert gone_within(shared_workplace.state, 5)


@pytest.fixture
def stage(build: Stage, monkeypatch: pytest.MonkeyPatch) -> Stage:
    """The lab, and this process where its drills are run."""
    monkeypatch.chdir(build.place.folder)
    monkeypatch.setenv("FTCHAOS_STATE", str(build.place.state))
    return build


@pytest.fixture
def hooks(monkeypatch: pytest.MonkeyPatch) -> Hooks:
    return Hooks(monkeypatch)


def _take_down(place: Workplace) -> None:
    for lab in (place.state / "lab").glob("*"):
        place.run("lab", "down", "--name", lab.name)
    shutil.rmtree(place.folder)
