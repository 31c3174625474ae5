"""A MySQL server gets no more memory: the kernel says ENOMEM to each of its requests, and what it has kept is taken.

Whoever is connected goes on; new connections are refused, for a thread needs a stack. The failover manager, connected
all along, sees nothing.
"""

from __future__ import annotations

import re
import resource
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ftchaos.errors import Invalid, StepFailed
from ftchaos.guard import Target
from ftchaos.platforms.base import Harm
from ftchaos.platforms.lab import hog
from ftchaos.platforms.lab.faults import mending, signs
from ftchaos.platforms.lab.lab import Lab
from ftchaos.platforms.lab.standing import Standing

HITS = ("api", "database", "queue", "websocket")
REFUSES_WITHIN_S = 15.0


def plan(standing: Standing, of: str = "primary") -> Harm:
    """Whose memory ends.

    Args:
        of: ``primary``, ``replica`` for the first of them, or the name of a MySQL server.
    """
    names = [member.name for member in standing.of_kind("mysql")]
    roles = {"primary": standing.primary, "replica": next(name for name in names if name != standing.primary)}
    name = roles.get(of, of)
    if name not in names:
        raise Invalid(f"there is no MySQL server {of!r}", f"choose primary, replica, {', '.join(names)}")
    member = standing.members[name]
    return Harm(
        f"{name} got no more memory",
        (Target(name, member.kind, member.zone, len(names)),),
        {f"{name} takes connections": signs.mysql(standing, member, "SELECT 1", anew=True)},
        {"server": name, "zone": member.zone, "hog": f"hog-{name}"},
        HITS if name == standing.primary else ("database",),
    )


def inject(lab: Lab, harm: Harm) -> str:
    name, zone = harm.undo["server"], harm.undo["zone"]
    spec = hog.spec(harm.undo["hog"], zone, lab.layout.address(zone), lab.folder / "secret", lab.folder / zone / "hog")
    _limit(_pid(lab, name))
    lab.call("begin_service", spec=spec.to_json())
    said = _wait_refused(lab, harm.undo["hog"], lab.folder / zone / "hog")
    return f"{name} gets no more memory, and refuses new connections: {said[:60]}"


def heal(lab: Lab, arguments: Mapping[str, Any]) -> str:
    name = arguments["server"]
    with mending.healing(lab):
        if lab.status()["services"][name]["alive"]:
            _lift(_pid(lab, name))
        lab.call("forget_service", name=arguments["hog"])
        if not lab.status()["places"][arguments["zone"]]["alive"]:
            mending.begin_zone(lab, arguments["zone"])
        said = mending.until_whole(lab, (mending.DATABASE,))
    return f"{name} gets memory again{said}"


def _pid(lab: Lab, name: str) -> int:
    pid: int | None = lab.status()["services"][name]["pid"]
    if pid is None:
        raise StepFailed(f"{name} does not run", "begin it first")
    return pid


def _limit(pid: int) -> None:
    """Let a process have no more address space than it has."""
    found = re.search(r"^VmSize:\s+(\d+) kB", (Path("/proc") / str(pid) / "status").read_text(), re.MULTILINE)
    if found is None:
        raise StepFailed(f"process {pid} has no memory", "did it end?")
    _, hard = resource.prlimit(pid, resource.RLIMIT_AS)
    resource.prlimit(pid, resource.RLIMIT_AS, (int(found[1]) * 1024, hard))


def _lift(pid: int) -> None:
    # The hard limit was never touched, so that nobody needs a privilege for the way back.
    _, hard = resource.prlimit(pid, resource.RLIMIT_AS)
    resource.prlimit(pid, resource.RLIMIT_AS, (hard, hard))


def _wait_refused(lab: Lab, name: str, home: Path) -> str:
    deadline_at = time.monotonic() + REFUSES_WITHIN_S
    while not (home / "refused").exists():
        if time.monotonic() > deadline_at or not lab.status()["services"][name]["alive"]:
            raise StepFailed("the server still has memory for new connections", f"read {home}/hog.log")
        time.sleep(0.02)
    return (home / "refused").read_text().strip()
