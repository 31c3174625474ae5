"""The wall clock of one MySQL server jumps, from one second to the next."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import closing
from typing import Any

from ftchaos.errors import Invalid, StepFailed
from ftchaos.guard import Target
from ftchaos.mysql import session as sessions
from ftchaos.mysql.server import Server
from ftchaos.platforms.base import Harm
from ftchaos.platforms.lab import clocks
from ftchaos.platforms.lab.faults import mending, signs
from ftchaos.platforms.lab.lab import Lab
from ftchaos.platforms.lab.standing import Standing
from ftchaos.platforms.lab.tier import Tier
from ftchaos.units import duration_s, human_duration

SMALLEST_S = 2.0  # two clocks read one after the other on a busy machine differ as well
MOVED_WITHIN_S = 10.0
HITS = ("api", "database", "queue", "websocket")


def plan(standing: Standing, by: str = "1h", of: str = "primary") -> Harm:
    """Whose clock jumps, and how far.

    Args:
        by: a duration; with a minus before it, back.
        of: ``primary``, ``replica`` for the first of them, or the name of a MySQL server.
    """
    if standing.layout.mode == "loopback":
        raise Invalid("servers on loopback addresses have no clock of their own", "run as root, or allow namespaces")
    if clocks.library() is None:
        raise Invalid(
            "no clock can be moved, for libfaketime is missing",
            f"apt-get install {clocks.PACKAGE}, and bring the lab up anew",
        )
    by_s = -duration_s(by[1:]) if by.startswith("-") else duration_s(by)
    if abs(by_s) < SMALLEST_S:
        raise Invalid(f"a jump by {by} cannot be told from none", f"choose {human_duration(SMALLEST_S)} or more")
    names = [member.name for member in standing.of_kind("mysql")]
    roles = {"primary": standing.primary, "replica": next(name for name in names if name != standing.primary)}
    name = roles.get(of, of)
    if name not in names:
        raise Invalid(f"there is no MySQL server {of!r}", f"choose primary, replica, {', '.join(names)}")
    member = standing.members[name]
    right = f"SELECT ABS(UNIX_TIMESTAMP(NOW(6)) - {{now}}) < {abs(by_s) / 2:g}"
    return Harm(
        f"the clock of {name} jumped {_way(by_s)}",
        (Target(name, member.kind, member.zone, len(names)),),
        {f"{name} has the time": signs.mysql(standing, member, right)},
        {"server": name, "by_s": by_s},
        HITS if name == standing.primary else ("database",),
    )


def inject(lab: Lab, harm: Harm) -> str:
    server, by_s = Tier(lab).servers[harm.undo["server"]], harm.undo["by_s"]
    clocks.move(server.datadir, by_s)
    _wait_moved(server, by_s)
    return f"the clock of {server.name} is {_way(by_s)}"


def heal(lab: Lab, arguments: Mapping[str, Any]) -> str:
    server = Tier(lab).servers[arguments["server"]]
    with mending.healing(lab):
        clocks.move(server.datadir, 0)
        said = mending.until_whole(lab, (mending.DATABASE,))
        _wait_moved(server, 0)
    return f"the clock of {server.name} is right again{said}"


def _way(by_s: float) -> str:
    return f"{human_duration(abs(by_s))} {'ahead' if by_s > 0 else 'back'}"


def _wait_moved(server: Server, by_s: float) -> None:
    deadline_at = time.monotonic() + MOVED_WITHIN_S
    with closing(server.connect()) as session:
        while True:
            off_s = float(sessions.value(session, "SELECT UNIX_TIMESTAMP(NOW(6))")) - time.time()
            if abs(off_s - by_s) < SMALLEST_S / 2:
                return
            if time.monotonic() > deadline_at:
                raise StepFailed(
                    f"the clock of {server.name} does not move",
                    "was the lab begun before libfaketime was installed? bring it up anew",
                )
            time.sleep(0.05)
