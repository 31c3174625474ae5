"""The volume with the binary log of a MySQL server is full: really full, so that the kernel says ENOSPC.

Each commit needs room there. Neither flavour fails for the lack of it: the commit waits, all others wait behind it,
and only once a minute the server looks whether somebody made room. Connections and reads go on as ever.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from pymysql.err import MySQLError

from ftchaos.errors import Inconclusive, Invalid, StepFailed
from ftchaos.guard import Target
from ftchaos.mysql import session as sessions
from ftchaos.mysql.server import Server
from ftchaos.platforms.base import Harm
from ftchaos.platforms.lab import volume
from ftchaos.platforms.lab.faults import mending, signs
from ftchaos.platforms.lab.lab import Lab
from ftchaos.platforms.lab.layout import ensure_zone
from ftchaos.platforms.lab.standing import Standing
from ftchaos.platforms.lab.tier import Tier

# Asking for the logs waits for whoever writes one.
WRITES_LOGS = "SHOW BINARY LOGS"
HITS = ("api", "database", "queue", "websocket")
GOES_ON_WITHIN_S = 90.0
_ANSWER_S = 1.0


def plan(standing: Standing, zone: str = "primary") -> Harm:
    """Whose volume is full.

    Args:
        zone: that of the server, or ``primary`` or ``replica`` for that of the MySQL primary or its first replica.
    """
    if standing.layout.mode == "loopback":
        raise Invalid(
            "a zone on loopback addresses has no volumes of its own",
            "run as root, or allow unprivileged user namespaces; `ftchaos doctor` says how",
        )
    replicas = [one.zone for one in standing.of_kind("mysql") if one.name != standing.primary]
    chosen = {"primary": standing.zone_of(standing.primary), "replica": replicas[0]}.get(zone) or ensure_zone(zone)
    (member,) = (one for one in standing.of_kind("mysql") if one.zone == chosen)
    sign = signs.mysql(standing, member, WRITES_LOGS, matches="^Log_name: ")
    return Harm(
        f"the volume with the binary log of {member.name} was full",
        (Target(member.name, member.kind, chosen, len(standing.of_kind("mysql"))),),
        {f"{member.name} writes its log": sign},
        {"server": member.name, "zone": chosen},
        HITS if member.name == standing.primary else ("database",),
    )


def inject(lab: Lab, harm: Harm) -> str:
    server, zone = _server(lab, harm.undo), harm.undo["zone"]
    volume.mount(lab, zone, server.datadir)
    _next_log(server)
    volume.fill(lab, zone, server.datadir)
    return f"not one byte more fits on the volume with the binary log of {server.name}"


def heal(lab: Lab, arguments: Mapping[str, Any]) -> str:
    server, zone = _server(lab, arguments), arguments["zone"]
    with mending.healing(lab):
        if not lab.status()["places"][zone]["alive"]:
            mending.begin_zone(lab, zone)
        volume.make_room(lab, zone, server.datadir)
        runs = _goes_on(lab, server)
        volume.leave(lab, zone, server.datadir)
        if runs:
            _next_log(server)
        volume.keep(lab, zone, server.datadir)
        said = mending.until_whole(lab, (mending.DATABASE,))
    return f"{server.name} writes its binary log to its disk again{said}"


def _server(lab: Lab, arguments: Mapping[str, Any]) -> Server:
    return Tier(lab).servers[arguments["server"]]


def _next_log(server: Server) -> None:
    with server.connect() as session:
        sessions.execute(session, ["FLUSH BINARY LOGS"])


def _goes_on(lab: Lab, server: Server) -> bool:
    """Whether a server runs, and no commit waits for room any more.

    The primary is waited for. A replica that waits is killed instead: nobody misses it, and it goes on at once.

    Raises:
        StepFailed: the primary still waits.
    """
    deadline_at = time.monotonic() + GOES_ON_WITHIN_S
    while lab.status()["services"][server.name]["alive"]:
        if _answers(server):
            return True
        if Tier(lab).primary.name != server.name:
            lab.call("kill_service", name=server.name)
        elif time.monotonic() > deadline_at:
            raise StepFailed(
                f"{server.name} does not go on {GOES_ON_WITHIN_S:g} s after there is room",
                f"read {server.datadir.parent}/error.log",
            )
        time.sleep(0.1)
    return False


def _answers(server: Server) -> bool:
    try:
        with sessions.connect(server.datadir, timeout_s=_ANSWER_S, answer_timeout_s=_ANSWER_S) as session:
            sessions.rows(session, WRITES_LOGS)
    except (Inconclusive, MySQLError, OSError):
        return False
    return True
