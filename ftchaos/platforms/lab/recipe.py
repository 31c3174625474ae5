"""What a lab consists of, and how it comes up: everything at once, what waits longest first.

:func:`provide` runs in the ftchaos process and makes what is dear and lasting; :func:`bring_up` runs
inside the supervisor.
"""

from __future__ import annotations

import asyncio
import http.client
import shutil
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ftchaos.errors import StepFailed
from ftchaos.platforms.lab.layout import EDGE, PUBLIC_PORT, WRITER_PORT
from ftchaos.platforms.lab.service import ServiceSpec

if TYPE_CHECKING:
    from ftchaos.mysql.server import Server
    from ftchaos.platforms.lab.supervisor import Supervisor

Progress = Callable[[str], None]
_SERVES_WITHIN_S = 30.0


def provide(flavour: str | None, size_bytes: int, progress: Progress) -> dict[str, Any]:
    """What the supervisor needs to know: the server's flavour and a data folder to copy, made if missing.

    Raises:
        Invalid: there is no such flavour, or the size is too small.
        MissingProgram: a server is not installed.
    """
    from ftchaos.mysql.flavour import find
    from ftchaos.mysql.template import template

    found = find(flavour)
    return {"flavour": found.name, "template": str(template(found, size_bytes, progress)), "size_bytes": size_bytes}


async def bring_up(supervisor: Supervisor, settings: dict[str, Any], progress: Progress) -> None:
    """Bring up all services of the lab and return when the public address serves.

    Args:
        settings: from :func:`provide`.

    Raises:
        FtchaosError: a service did not come up; its log is named.
    """
    from ftchaos.platforms.lab import balancer, decisions, failover, redis
    from ftchaos.platforms.lab.app import services

    layout, folder = supervisor.layout, supervisor.folder
    template = Path(settings["template"])
    secret = folder / "secret"
    shutil.copy2(template.parent / "secret", secret)
    began_at = time.monotonic()

    async def timed(what: str, work: Awaitable[Any]) -> None:
        await work
        progress(f"{what} after {time.monotonic() - began_at:.1f} s")

    async def begin(specs: list[ServiceSpec]) -> None:
        await asyncio.gather(*(supervisor.begin_service(spec) for spec in specs))

    async def redis_whole() -> None:
        await begin(redis.prepare(layout, folder))
        await asyncio.to_thread(redis.wait_ready, layout)

    async def database_tier() -> None:
        servers = await _databases(supervisor, settings, secret)
        places = {server.name: decisions.Place(server.address, server.port) for server in servers}
        await haproxy
        manager = failover.prepare(folder, settings["flavour"], places, servers[0].name, secret)
        await begin([*manager, _archiver(supervisor, settings["flavour"], secret)])

    haproxy = asyncio.ensure_future(begin(balancer.prepare(layout, folder)))
    await asyncio.gather(
        timed("redis: a cluster of 3 masters and 3 replicas, a queue with 2 replicas", redis_whole()),
        timed(f"{settings['flavour']}: a primary and 2 replicas", database_tier()),
        timed("haproxy: one address", haproxy),
        timed("application: an API and a worker in every zone", begin(services.prepare(layout, folder, secret))),
    )
    await timed("the lab serves", _serves(supervisor))


async def _databases(supervisor: Supervisor, settings: dict[str, Any], secret: Path) -> list[Server]:
    from ftchaos.mysql import replication, template
    from ftchaos.mysql.flavour import find
    from ftchaos.platforms.lab import database

    flavour = find(settings["flavour"])
    zones = database.places()

    async def begin(zone: str, server_id: int) -> Server:
        server = database.server(flavour, supervisor.layout, supervisor.folder, zone, server_id)
        await asyncio.to_thread(template.copy, Path(settings["template"]), server.datadir)
        await supervisor.begin_service(database.spec(server, zone))
        # MySQL opens its port a moment before the socket that an administrator needs.
        await asyncio.to_thread(server.wait_ready, timeout_s=database.READY_TIMEOUT_S)
        return server

    primary, *replicas = await asyncio.gather(*(begin(zone, n) for n, zone in enumerate(zones.values(), 1)))
    await asyncio.to_thread(replication.begin, primary, replicas, secret.read_text().strip())
    await supervisor.remember(
        {
            "flavour": flavour.name,
            "server_version": flavour.version_text,
            "size_bytes": settings["size_bytes"],
            "mysql": database.facts(primary, [primary, *replicas], zones),
        }
    )
    return [primary, *replicas]


def _archiver(supervisor: Supervisor, flavour: str, secret: Path) -> ServiceSpec:
    """Archives the binary log of whoever is the writer, outside of all zones."""
    from ftchaos.mysql import archive

    home = supervisor.folder / EDGE / "archiver"
    home.mkdir(parents=True)
    folder = archive_of(supervisor.folder)
    folder.mkdir()
    address = supervisor.layout.address(EDGE)
    config = archive.Config(flavour, address, WRITER_PORT, "replication", str(secret), str(folder))
    argv = config.write(home / "config.json")
    return ServiceSpec("archiver", EDGE, tuple(argv), str(home), str(home / "archiver.log"), restart=True)


def archive_of(folder: Path) -> Path:
    """The archive of binary logs in a lab's folder."""
    return folder / "archive"


async def _serves(supervisor: Supervisor) -> None:
    """Return when the application is healthy at its public address, the tier has a leader, and the archive grows."""
    from ftchaos.mysql import archive
    from ftchaos.platforms.lab.decisions import Folder

    address = supervisor.layout.address(EDGE)
    manager, archived = Folder.of(supervisor.folder), archive_of(supervisor.folder)
    deadline_at = time.monotonic() + _SERVES_WITHIN_S
    while True:
        said = await asyncio.to_thread(_health, address)
        if said == "healthy" and manager.primary() is None:
            said = "nobody leads the database tier"
        if said == "healthy" and archive.newest(archived) is None:
            said = "no binary log is archived"
        if said == "healthy":
            return
        if time.monotonic() > deadline_at:
            raise StepFailed(
                f"the lab does not serve after {_SERVES_WITHIN_S:g} s: {said}", "read the logs in the zones' folders"
            )
        await asyncio.sleep(0.02)


def _health(address: str) -> str:
    # http.client knows no proxies, which a machine may have set for everything else.
    connection = http.client.HTTPConnection(address, PUBLIC_PORT, timeout=1)
    try:
        connection.request("GET", "/health")
        answer = connection.getresponse()
        said = answer.read(200).decode(errors="replace")
        return "healthy" if answer.status == 200 else f"{answer.status} {said}"
    except (OSError, http.client.HTTPException) as error:
        return str(error)
    finally:
        connection.close()
