"""The writer of the MySQL database steps down by a managed failover, or is cut off: nobody outside AWS can kill it.

What kills a server abruptly is out of reach, so the brutal kinds isolate the subnets that it stands in, with whatever
else is in them. By itself that may move nothing: RDS watches its servers over a network of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ftchaos.errors import Invalid, Refused
from ftchaos.guard import Target
from ftchaos.platforms.aws.faults import blackhole, signs, takeover
from ftchaos.platforms.aws.faults.mending import Mending
from ftchaos.platforms.aws.inventory import Database, Inventory, Subnet
from ftchaos.platforms.base import Harm

if TYPE_CHECKING:
    from ftchaos.platforms.aws.access import Access

POLITE, PARTITION, KILL = "polite", "partition", "kill"
CLAUSES = {
    KILL: "the MySQL writer {name} was cut off with its subnet in {zone}, and RDS told to fail over",
    PARTITION: "the MySQL writer {name} was cut off with its subnet in {zone}",
    POLITE: "RDS was asked to take the lead from the MySQL writer {name}",
}


def plan(inventory: Inventory, manner: str = KILL) -> Harm:
    """What falls with the writer.

    Args:
        manner: ``polite``: a managed failover; ``partition``: its subnets are cut off and nobody is told; ``kill``:
            they are cut off, and the failover is asked for at once, as RDS does by itself for a server that died.

    Raises:
        Invalid: there is no such manner.
        Refused: nobody could take over, its subnets do not carry the tag, or the run's own clients are beside it.
    """
    if manner not in CLAUSES:
        raise Invalid(f"a MySQL writer on AWS cannot fail in the manner {manner!r}", f"choose {', '.join(CLAUSES)}")
    database = inventory.database()
    move = takeover.plan(database)
    writer = database.writer
    subnets = [] if manner == POLITE else _subnets(inventory, database)
    cut_off = {one.id for one in subnets}
    beside = [one for one in inventory.instances if one.subnet in cut_off]
    targets = [Target(writer.name, "mysql", writer.zone, len(database.copies))]
    targets += [Target(one.id, "subnet", one.zone, len(inventory.subnets)) for one in subnets]
    targets += [Target(one.id, "instance", one.zone, len(inventory.instances)) for one in beside]
    return Harm(
        CLAUSES[manner].format(name=writer.name, zone=writer.zone),
        tuple(targets),
        signs.mysql(writer),
        {
            "place": dict(inventory.place), "server": writer.name, "manner": manner, "move": move,
            "network": blackhole.plan(subnets),
        },
        ("database", "api", "queue", "websocket"),  # all work ends in the database, and what is not done is not told
        proof_s=signs.PROOF_S,
    )  # fmt: skip


def _subnets(inventory: Inventory, database: Database) -> list[Subnet]:
    """Those that the writer may stand in: RDS does not say in which of a zone's it does."""
    zone = database.writer.zone
    inventory.ensure_clients_outside(zone)
    tagged = {one.id: one for one in inventory.subnets}
    mine = list(database.subnets.get(zone, ()))
    if not mine or not tagged.keys() >= set(mine):
        missing = ", ".join(one for one in mine if one not in tagged) or "those of its subnet group"
        raise Refused(
            f"the writer {database.writer.name} stands in subnets of {zone} without the tag {inventory.tag}: {missing}",
            "tag those that may be cut off, or choose the manner polite",
        )
    return [tagged[one] for one in mine]


def inject(access: Access, harm: Harm) -> str:
    undo = harm.undo
    said = [blackhole.inject(access, undo["network"])]
    if undo["manner"] != PARTITION:
        said.append(takeover.inject(access, undo["move"]))
    return ", ".join(one for one in said if one)


def heal(access: Access, arguments: Mapping[str, Any]) -> str:
    mending = Mending()
    blackhole.heal(access, arguments["network"], mending)
    takeover.heal(access, [arguments["move"]], mending)
    return mending.end("the database was whole")
