"""The database tier is lost at once: no failover comes between the ends of two servers."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from ftchaos.platforms.lab.supervisor import Supervisor
from ftchaos.platforms.lab.tier import Tier

NAMES = ["mysql-a", "mysql-b", "mysql-c"]


def test_whole_tier_is_killed_by_one_call_before_a_volume_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    servers = {name: SimpleNamespace(name=name, datadir=tmp_path / name / "data") for name in NAMES}
    for server in servers.values():
        server.datadir.mkdir(parents=True)
    calls: list[tuple[str, Any, list[bool]]] = []

    def call(name: str, **arguments: Any) -> None:
        calls.append((name, arguments, [server.datadir.exists() for server in servers.values()]))

    monkeypatch.setattr(Tier, "servers", servers)
    Tier(cast("Any", SimpleNamespace(folder=tmp_path, call=call))).destroy("run")

    assert [("kill_services", {"names": NAMES}, [True] * 3)] == calls
    assert ["data.destroyed-run"] * 3 == [path.name for path in sorted(tmp_path.glob("*/*"))]


def test_services_that_are_killed_together_get_the_signal_before_any_is_waited_for() -> None:
    happened: list[str] = []

    async def kill(name: str, number: int) -> dict[str, Any]:
        happened.append(f"{name} gets {number:d}")
        await asyncio.sleep(0)
        happened.append(f"{name} is gone")
        return {"name": name}

    supervisor = cast("Supervisor", SimpleNamespace(roster=SimpleNamespace(kill=kill)))
    gone = asyncio.run(Supervisor.kill_services(supervisor, NAMES))

    assert NAMES == [one["name"] for one in gone]
    assert [f"{name} gets 9" for name in NAMES] == happened[:3]
