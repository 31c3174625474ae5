"""One lab for all experiments of a module; each is run in this process, so that a weakness can be planted half way."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from residue import gone_within
from trials import LAB, Trials
from workplaces import Workplace


@pytest.fixture(scope="module")
def built(request: pytest.FixtureRequest) -> Iterator[Trials]:
    """A lab that stays up; with MariaDB unless the module says otherwise."""
    place = Workplace(Path(tempfile.mkdtemp(prefix="ftchaos-trials-")))
    flavour = getattr(request, "param", "mariadb")
    yield Trials.build(place, LAB, flavour)
    place.run("lab", "down", "--name", LAB)
    assert gone_within(place.state, 5)
    shutil.rmtree(place.folder)


@pytest.fixture
def trials(built: Trials, monkeypatch: pytest.MonkeyPatch) -> Trials:
    monkeypatch.chdir(built.stage.place.folder)
    monkeypatch.setenv("FTCHAOS_STATE", str(built.stage.place.state))
    return built
