"""What a lab consists of, and how it comes up: everything at once, what waits longest first.

:func:`provide` runs in the ftchaos process and makes what is dear and lasting; :func:`bring_up` runs
inside the supervisor.
"""

from __future__ import annotations

import asyncio
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ftchaos.errors import StepFailed
from ftchaos.platforms.lab.layout import EDGE, PUBLIC_PORT, Layout
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
    from ftchaos.platforms.lab import balancer, redis
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

    await asyncio.gather(
        timed("redis: a cluster of 3 masters and 3 replicas, a queue with 2 replicas", redis_whole()),
        timed(
            f"{settings['flavour']}: a primary and 2 replicas",
            _databases(supervisor, settings, secret.read_text().strip()),
        ),
        timed("haproxy: one address", begin(balancer.prepare(layout, folder))),
        timed("application: an API and a worker in every zone", begin(services.prepare(layout, folder, secret))),
    )
    await timed("the lab serves", _serves(layout))


async def _databases(supervisor: Supervisor, settings: dict[str, Any], password: str) -> None:
    from ftchaos.mysql import replication, template
    from ftchaos.mysql.flavour import find
    from ftchaos.platforms.lab import database

    flavour = find(settings["flavour"])
    zones = database.places()

    async def begin(zone: str, server_id: int) -> Server:
        server = database.server(flavour, supervisor.layout, supervisor.folder, zone, server_id)
        await asyncio.to_thread(template.copy, Path(settings["template"]), server.datadir)
        await supervisor.begin_service(database.spec(server, zone))
        return server

    primary, *replicas = await asyncio.gather(*(begin(zone, n) for n, zone in enumerate(zones.values(), 1)))
    await asyncio.to_thread(replication.begin, primary, replicas, password)
    await supervisor.remember(
        {
            "flavour": flavour.name,
            "server_version": flavour.version_text,
            "size_bytes": settings["size_bytes"],
            "mysql": database.facts(primary, [primary, *replicas], zones),
        }
    )


async def _serves(layout: Layout) -> None:
    """Return when the public address answers that the application is healthy."""
    url = f"http://{layout.address(EDGE)}:{PUBLIC_PORT}/health"
    deadline_at = time.monotonic() + _SERVES_WITHIN_S
    while (said := await asyncio.to_thread(_get, url)) != "200":
        if time.monotonic() > deadline_at:
            raise StepFailed(
                f"the application is not healthy after {_SERVES_WITHIN_S:g} s: {said}",
                "read the logs in the zones' folders",
            )
        await asyncio.sleep(0.02)


def _get(url: str) -> str:
    try:
        with urllib.request.urlopen(url, timeout=1) as answer:
            return str(answer.status)
    except urllib.error.HTTPError as error:
        return f"{error.code} {error.read(200).decode(errors='replace')}"
    except OSError as error:
        return str(error)
