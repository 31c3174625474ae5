"""Labs for tests: each test module has a state folder of its own, so that labs never meet."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from small_labs import bring_up, bring_up_bare

from ftchaos.platforms.lab.lab import Lab


@pytest.fixture(scope="module")
def state() -> Iterator[Path]:
    """An isolated state folder, set as FTCHAOS_STATE; its labs are ended after the module."""
    folder = Path(tempfile.mkdtemp(prefix="ftchaos-"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FTCHAOS_STATE", str(folder))
        yield folder
        for name in [entry.name for entry in (folder / "lab").glob("*")]:
            Lab.take_down(name)
    shutil.rmtree(folder)


@pytest.fixture(scope="module", params=["root", "user", "loopback"])
def bare_lab(request: pytest.FixtureRequest, state: Path) -> Iterator[Lab]:
    """A lab without services, once in every mode."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FTCHAOS_LAB_MODE", request.param)
        lab = bring_up_bare(f"bare-{request.param}")
        yield lab
        lab.down()


@pytest.fixture(scope="module", params=["mariadb", "mysql"])
def full_lab(request: pytest.FixtureRequest, state: Path) -> Iterator[Lab]:
    """A lab with everything in it, once with each flavour."""
    lab = bring_up(f"full-{request.param}", request.param)
    yield lab
    lab.down()
