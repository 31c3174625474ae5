"""Labs and servers that are up in a moment, for tests of the lab itself."""

from __future__ import annotations

from ftchaos.platforms.lab.lab import Lab
from ftchaos.platforms.lab.service import ServiceSpec


def bring_up_bare(name: str, *, ephemeral: bool = True) -> Lab:
    """A lab that is nothing but places and their network."""
    return Lab.up(name, flavour=None, size_bytes=0, ephemeral=ephemeral, progress=lambda _: None, bare=True)


def small_server(lab: Lab, place: str, *, port: int = 7000, restart: bool = False) -> ServiceSpec:
    """A Redis without persistence: the quickest real server that there is."""
    folder = lab.folder / place / f"redis-{port}"
    folder.mkdir(parents=True, exist_ok=True)
    argv = ("redis-server", "--port", str(port), "--bind", lab.layout.address(place), "--save", "")
    return ServiceSpec(
        f"redis-{place}-{port}", place, argv, str(folder), str(folder / "log"), port=port, restart=restart
    )
