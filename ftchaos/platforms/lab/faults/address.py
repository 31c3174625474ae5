"""The writer's address leads to another server for whoever connects from now on, and no old connection ends.

So does the name of a managed database after a failover in which its former writer lives on as a reader: the name
changes, and whoever keeps a connection stays with a server that refuses writes. A polite failover cuts those
connections, so that clients need not find out by themselves; here they must.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack, closing
from typing import Any

from ftchaos.errors import StepFailed
from ftchaos.guard import Target
from ftchaos.mysql import replication
from ftchaos.mysql import session as sessions
from ftchaos.mysql.server import Server
from ftchaos.mysql.session import Session
from ftchaos.platforms.base import Harm
from ftchaos.platforms.lab import balancer
from ftchaos.platforms.lab.decisions import Facts, Folder
from ftchaos.platforms.lab.faults import mending, signs
from ftchaos.platforms.lab.lab import Lab
from ftchaos.platforms.lab.standing import Standing
from ftchaos.platforms.lab.tier import Tier

CATCH_UP_S = 10.0
ANSWER_S = 15.0


def plan(standing: Standing) -> Harm:
    """Whom the address leaves: the MySQL primary."""
    member = standing.members[standing.primary]
    return Harm(
        f"the writer's address left {member.name}, with its connections open",
        (Target(member.name, member.kind, member.zone, len(standing.of_kind(member.kind))),),
        {f"{member.name} takes writes": signs.mysql(standing, member, signs.TAKES_WRITES)},
        {"server": member.name},
        ("database", "api", "queue", "websocket"),  # as all work ends in the database
    )


def inject(lab: Lab, harm: Harm) -> str:
    manager, tier = Folder.of(lab.folder), Tier(lab)
    old = tier.servers[harm.undo["server"]]
    if not manager.pause():
        raise StepFailed("the failover manager does not pause", f"read {manager.log}")
    new = change_roles(lab, old)
    balancer.move_writer(lab.folder, new.address, new.port)
    # From here on the manager finds everything as it would have it, and cuts nobody off.
    manager.tell(Facts(new.name, manager.facts().servers))
    manager.resume()
    return f"the writer's address leads to {new.name}, and connections to {old.name} live on"


def change_roles(lab: Lab, old: Server) -> Server:
    """Let the replica that has most lead in the place of the primary, which follows it and keeps its clients.

    Raises:
        StepFailed: no replica can lead; the primary leads on.
    """
    flavour, semi_sync = old.flavour, not Folder.of(lab.folder).asynchronous()
    with ExitStack() as opened:

        def session(server: Server) -> Session:
            reached = sessions.connect(server.datadir, timeout_s=2, answer_timeout_s=ANSWER_S)
            return opened.enter_context(closing(reached))

        others = {server.name: (server, session(server)) for server in Tier(lab).replicas()}
        received = {name: flavour.gtid_received(one) for name, (_, one) in others.items()}
        if not received:
            raise StepFailed(f"nobody could lead in the place of {old.name}", "see `ftchaos lab status`")
        new, leader = others.pop(replication.most_advanced(flavour, received))
        former = session(old)
        sessions.execute(former, flavour.read_only(True))
        if not flavour.wait_for_gtid(leader, flavour.gtid_executed(former), CATCH_UP_S):
            replication.lead(flavour, former, semi_sync=semi_sync)
            raise StepFailed(f"{new.name} has not got all that {old.name} has within {CATCH_UP_S:g} s")
        replication.promote(flavour, leader, semi_sync=semi_sync)
        for follower in (former, *(one for _, one in others.values())):
            replication.follow(flavour, follower, new.address, new.port, lab.secret)
    return new


def heal(lab: Lab, arguments: Mapping[str, Any]) -> str:
    with mending.healing(lab):
        Folder.of(lab.folder).resume()
        said = mending.until_whole(lab, (mending.DATABASE,))
        leader = Tier(lab).primary
        if leader.name == arguments["server"]:
            return f"{leader.name} leads{said}"
        balancer.point_writer(lab.folder, leader.address, leader.port)
        balancer.end_writers(lab.folder)
    return f"{leader.name} leads, and nobody is connected to {arguments['server']} by the writer's address{said}"
