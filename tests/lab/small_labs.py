"""Labs and servers that are up in a moment, for tests."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from ftchaos.mysql.seed import SMALLEST_BYTES
from ftchaos.platforms.lab import state as states
from ftchaos.platforms.lab.lab import Lab
from ftchaos.platforms.lab.service import ServiceSpec


def bring_up_bare(name: str, *, ephemeral: bool = True) -> Lab:
    """A lab that is nothing but places and their network."""
    return Lab.up(name, flavour=None, size_bytes=0, ephemeral=ephemeral, progress=lambda _: None, bare=True)


def bring_up(name: str, flavour: str | None = None, *, ephemeral: bool = True) -> Lab:
    """A lab with everything in it and as few rows as there can be."""
    return Lab.up(
        name, flavour=flavour, size_bytes=SMALLEST_BYTES, ephemeral=ephemeral, progress=logging.getLogger("lab").info
    )


def wait_until(condition: Callable[[], object], timeout_s: float) -> bool:
    """Whether a condition comes true within the time."""
    deadline_at = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline_at:
            return False
        time.sleep(0.05)
    return True


def whole(lab: Lab) -> dict[str, str]:
    """The state of a lab that nothing happens in, once all answer and HAProxy has found all of its servers."""
    looks: list[dict[str, str]] = []

    def good() -> bool:
        looks.append(states.state(lab))
        return not any(said == "closed" or said.startswith("runs, and ") for said in looks[-1].values())

    assert wait_until(good, 60), looks[-1]
    return looks[-1]


def small_server(lab: Lab, place: str, *, port: int = 7000, restart: bool = False) -> ServiceSpec:
    """A Redis without persistence: the quickest real server that there is."""
    folder = lab.folder / place / f"redis-{port}"
    folder.mkdir(parents=True, exist_ok=True)
    argv = ("redis-server", "--port", str(port), "--bind", lab.layout.address(place), "--save", "")
    argv += ("--protected-mode", "no")
    return ServiceSpec(
        f"redis-{place}-{port}", place, argv, str(folder), str(folder / "log"), port=port, restart=restart
    )
