"""Whether all copies of the lab's data are the same: each replica held against the primary, table by table."""

from __future__ import annotations

import time
from functools import partial

from pymysql.err import MySQLError

from ftchaos.clock import now
from ftchaos.errors import FtchaosError
from ftchaos.mysql import verify
from ftchaos.mysql.server import Server
from ftchaos.platforms.base import Step
from ftchaos.platforms.lab.tier import Tier

WITHIN_S = 30.0
AGAIN_S = 0.2
ANSWER_S = 300.0
"""How long a table may take: some GB in a minute. A server that hangs would otherwise be waited for without an end."""


def compare(tier: Tier) -> Step:
    """Hold each replica against the primary; the last of what was written may still be on its way.

    Returns:
        A step whose facts have one check for each replica; one that could not be made has no result.
    """
    primary = tier.primary
    others = [server for name, server in tier.servers.items() if name != primary.name]
    checks = [_check(primary, server) for server in others]
    equal = sum(check["passed"] is True for check in checks)
    return Step(f"{equal} of {len(checks)} replicas hold what {primary.name} holds", facts={"checks": checks})


def _check(primary: Server, replica: Server) -> dict[str, object]:
    check: dict[str, object] = {"name": f"{replica.name} holds what {primary.name} holds", "passed": None}
    deadline, began_at = now() + WITHIN_S, now()
    while True:
        try:
            if _caught_up(primary, replica):
                wanted = verify.record(partial(primary.connect, answer_timeout_s=ANSWER_S))
                found = verify.record(partial(replica.connect, answer_timeout_s=ANSWER_S))
                differing = verify.differences(wanted, found)
                check |= {"passed": not differing, "actual": "; ".join(differing[:3])}
            else:  # late is not damaged
                check |= {"passed": None, "actual": f"it has not caught up within {WITHIN_S:g} s"}
        except (FtchaosError, MySQLError, OSError) as error:
            check |= {"passed": None, "actual": str(error)}
        check["duration_s"] = now() - began_at
        if check["passed"] or now() > deadline:
            return check
        time.sleep(AGAIN_S)


def _caught_up(primary: Server, replica: Server) -> bool:
    """Whether a replica has applied all that the primary has committed until now, waiting for it."""
    with primary.connect() as session:
        position = primary.flavour.gtid_executed(session)
    with replica.connect(timeout_s=WITHIN_S + 5) as session:
        return replica.flavour.wait_for_gtid(session, position, WITHIN_S)
