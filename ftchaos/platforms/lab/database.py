"""The lab's database servers: how one is begun as a service, and who they are by ``lab.json``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ftchaos.mysql.flavour import Flavour, Options, find
from ftchaos.mysql.server import Server
from ftchaos.platforms.lab import clocks
from ftchaos.platforms.lab.layout import MYSQL_PORT, ZONES, Layout
from ftchaos.platforms.lab.service import ServiceSpec

READY_TIMEOUT_S = 120.0
# MySQL leaves its pid in a lock file, and in a zone that was begun anew somebody else has that pid. And temporary files
# are named by pid as well: servers of two labs have equal ones, so that each needs a folder for itself.
_ALONE = "rm -rf mysql.sock.lock ../tmp && mkdir ../tmp && mkdir -p log"
# The binary log has a folder of its own, as it often has a volume of its own: one that can be full.
LOGS = "log"
_LOG_OPTIONS: Mapping[str, Options] = {
    "mariadb": {"log-bin": f"{LOGS}/binlog", "ignore-db-dirs": LOGS},
    "mysql": {"log-bin": f"{LOGS}/binlog"},
}


def server(flavour: Flavour, layout: Layout, folder: Path, zone: str, server_id: int, name: str = "") -> Server:
    """A database server of a zone, with its home made and its data folder still missing.

    Args:
        folder: the lab's folder.
        name: by default that of the zone's first server, such as ``mysql-a``.
    """
    name = name or f"mysql-{zone[-1]}"
    home = folder / zone / name
    home.mkdir(parents=True, exist_ok=True)
    return Server(name, flavour, home / "data", layout.address(zone), MYSQL_PORT, server_id)


def spec(server: Server, zone: str, options: Options | None = None) -> ServiceSpec:
    """How the supervisor begins a server whose data folder is ready."""
    argv = server.flavour.server_argv(
        server.datadir,
        server_id=server.server_id,
        bind=server.address,
        port=server.port,
        options={
            "tmpdir": str(server.datadir.with_name("tmp")),
            **_LOG_OPTIONS[server.flavour.name],
            **(options or {}),
        },
    )
    return ServiceSpec(
        server.name,
        zone,
        ("sh", "-c", f'{_ALONE} && {clocks.command(server.datadir, server.address)} "$@"', "sh", *argv),
        cwd=str(server.datadir),
        log=str(server.datadir.parent / "error.log"),
        port=server.port,
        ready_timeout_s=READY_TIMEOUT_S,
    )


def facts(primary: Server, servers: Sequence[Server], places: Mapping[str, str]) -> dict[str, Any]:
    """What ``lab.json`` says under ``mysql``.

    Args:
        places: the zone of each server by its name.
    """
    return {
        "primary": primary.name,
        "servers": {
            server.name: {
                "place": places[server.name],
                "datadir": str(server.datadir),
                "address": server.address,
                "port": server.port,
                "server_id": server.server_id,
                "version": server.flavour.version_text,
            }
            for server in servers
        },
    }


def servers(lab: Mapping[str, Any]) -> dict[str, Server]:
    """The lab's database servers by name, from what ``lab.json`` says."""
    flavour = find(lab["flavour"])
    return {
        name: Server(name, flavour, Path(fact["datadir"]), fact["address"], fact["port"], fact["server_id"])
        for name, fact in lab["mysql"]["servers"].items()
    }


def places() -> dict[str, str]:
    """The zone of each server that a lab begins with, by the server's name."""
    return {f"mysql-{zone[-1]}": zone for zone in ZONES}
