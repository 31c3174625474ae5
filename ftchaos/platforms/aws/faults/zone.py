"""A zone loses its power, or its subnets are cut off while everything in them lives on."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ftchaos.errors import Invalid, Refused
from ftchaos.guard import Target
from ftchaos.platforms.aws.faults import (
    balancing,
    blackhole,
    capacity,
    experiment,
    power,
    shards,
    shift,
    signs,
    takeover,
)
from ftchaos.platforms.aws.faults.mending import Mending
from ftchaos.platforms.aws.inventory import Balancer, Database, Group, Inventory, Shard
from ftchaos.platforms.base import COMPONENTS, Harm

if TYPE_CHECKING:
    from ftchaos.platforms.aws.access import Access

OUTAGE, PARTITION, POWER = "outage", "partition", "power"
CLAUSES = {
    OUTAGE: "{zone} lost its power",
    PARTITION: "{zone} was cut off from the network",
    POWER: "AWS FIS interrupted the power of {zone}",
}


def plan(inventory: Inventory, zone: str = "primary", manner: str = OUTAGE) -> Harm:
    """What falls with a zone.

    Args:
        zone: its name, or ``primary`` for that of the MySQL writer, the hardest.
        manner: ``outage``: its instances are stopped, its subnets cut off, auto scaling groups find no capacity there,
            and what RDS and ElastiCache manage does there what it does when a zone dies: it fails over.
            ``partition``: only its subnets are cut off, and nobody is told. ``power``: AWS FIS does what the template
            of the environment says.

    Raises:
        Invalid: there is no such zone or manner.
        Refused: nothing there carries the tag, the run's own clients are there, nobody could see it fall, or the
            template cannot be used.
    """
    if manner not in CLAUSES:
        raise Invalid(f"a zone of AWS cannot fail in the manner {manner!r}", f"choose {', '.join(CLAUSES)}")
    chosen = inventory.database().writer.zone if zone == "primary" else zone
    if chosen not in inventory.zones:
        raise Refused(
            f"nothing in {chosen or 'no zone'} carries the tag {inventory.tag}",
            f"choose {', '.join(inventory.zones) or 'another environment: nothing carries it at all'}",
        )
    inventory.ensure_clients_outside(chosen)
    undo = _undo(inventory, chosen, manner)
    cut_off = [one["subnet"] for one in undo["network"]["subnets"]]
    seen = _signs(inventory, chosen, undo, cut_off)
    if not seen:
        raise Refused(
            f"nothing that would fall in {chosen} can be seen from outside",
            f"tag an instance there with {signs.PORT_TAG} and the port that it listens on, or choose another zone",
        )
    spared = ", ".join(f"{name} is left out: {why}" for name, why in undo["power"]["spared"].items())
    shifted = shift.clause(undo["shift"])
    return Harm(
        CLAUSES[manner].format(zone=chosen) + (f" ({spared})" if spared else "") + (f", {shifted}" if shifted else ""),
        tuple(_targets(inventory, chosen, undo, cut_off)),
        seen,
        undo,
        COMPONENTS,
        quorum_lost=_quorum_lost(inventory, chosen),
        proof_s=signs.PROOF_S,
    )


def _undo(inventory: Inventory, zone: str, manner: str) -> dict[str, Any]:
    network = blackhole.plan(one for one in inventory.subnets if one.zone == zone)
    shifted = shift.plan(inventory, zone)
    undo = {
        "place": dict(inventory.place), "zone": zone, "manner": manner, "network": network, "shift": shifted,
        "experiment": experiment.none(), "power": power.plan([]), "capacity": [], "balancers": [],
        "databases": [], "shards": [],
    }  # fmt: skip
    if manner == POWER:
        return undo | experiment.plan(inventory, zone)
    if manner == PARTITION:
        if not network["subnets"]:
            raise Refused(f"no subnet in {zone} carries the tag {inventory.tag}", "tag those that may be cut off")
        return undo
    # A balancer that is to be led away keeps its node: a shift away from where it has none would lead nothing.
    away = {one["arn"] for one in shifted["balancers"]}
    balancers = [one for one in inventory.balancers if one.arn not in away]
    led = [one for one in inventory.databases if one.writer.zone == zone]
    return undo | {
        "power": power.plan(one for one in inventory.instances if one.zone == zone),
        "capacity": capacity.plan(inventory.groups, zone),
        "balancers": balancing.plan(balancers, zone, [one["subnet"] for one in network["subnets"]]),
        "databases": [takeover.plan(one, zone) for one in led if takeover.able(one, zone)],
        "shards": shards.plan(inventory, [one for one in inventory.shards if one.primary.zone == zone]),
    }


def _targets(inventory: Inventory, zone: str, undo: Mapping[str, Any], cut_off: Collection[str]) -> list[Target]:
    """All that is hit, each of so many of its kind; a group or a balancer counts once for each of its zones."""
    fallen = {*undo["power"]["stopped"], *(one.id for one in inventory.instances if one.subnet in cut_off)}
    found = [Target(zone, "zone", zone, len(inventory.zones))]
    found += [Target(one, "instance", zone, len(inventory.instances)) for one in sorted(fallen)]
    found += [Target(one, "subnet", zone, len(inventory.subnets)) for one in cut_off]
    found += _groups(inventory.groups, zone, undo["capacity"], experiment.groups(undo["experiment"]))
    found += _balancers(inventory.balancers, zone, [*undo["balancers"], *undo["shift"]["balancers"]])
    copies = [copy for one in inventory.databases for copy in one.copies]
    failing = {one["writer"] for one in undo["databases"]} | _inside(inventory.databases, zone, cut_off, sure=False)
    found += [Target(copy.name, "mysql", zone, len(copies)) for copy in copies if copy.name in failing]
    nodes = [node for one in inventory.shards for node in one.copies]
    failing = {one["primary"] for one in undo["shards"]} | _inside(inventory.shards, zone, cut_off, sure=False)
    return found + [Target(node.name, "redis-cluster", zone, len(nodes)) for node in nodes if node.name in failing]


def _groups(
    groups: Sequence[Group], zone: str, undo: Sequence[Mapping[str, Any]], held: Collection[str]
) -> list[Target]:
    of = sum(len(one.zones) for one in groups)
    names = [*(one["name"] for one in undo), *(one.name for one in groups if one.name in held and zone in one.zones)]
    return [Target(f"{name} there", "auto-scaling-group", zone, of) for name in names]


def _balancers(balancers: Sequence[Balancer], zone: str, undo: Sequence[Mapping[str, Any]]) -> list[Target]:
    of = sum(len(set(one.zone_of.values())) for one in balancers)
    return [Target(f"{one['name']} there", "load-balancer", zone, of) for one in undo]


def _inside(stores: Iterable[Database | Shard], zone: str, cut_off: Collection[str], *, sure: bool) -> set[str]:
    """The servers in the zone whose subnets are cut off.

    Args:
        sure: only those that stand in one of them whichever it is; else all that may.
    """
    found = set()
    for one in stores:
        mine = set(one.subnets.get(zone, ()))
        hit = bool(mine) and mine <= set(cut_off) if sure else bool(cut_off) and (not mine or bool(mine & set(cut_off)))
        found |= {copy.name for copy in one.copies if hit and copy.zone == zone}
    return found


def _signs(
    inventory: Inventory, zone: str, undo: Mapping[str, Any], cut_off: Collection[str]
) -> dict[str, Mapping[str, Any]]:
    down = {one["writer"] for one in undo["databases"]} | _inside(inventory.databases, zone, cut_off, sure=True)
    found = [signs.mysql(copy) for one in inventory.databases for copy in one.copies if copy.name in down]
    down = {one["primary"] for one in undo["shards"]} | _inside(inventory.shards, zone, cut_off, sure=True)
    found += [signs.redis(node) for one in inventory.shards for node in one.copies if node.name in down]
    down = {*undo["power"]["stopped"], *(one.id for one in inventory.instances if one.subnet in cut_off)}
    found += [signs.instance(one) for one in inventory.instances if one.id in down and one.state == "running"]
    return {name: sign for each in found for name, sign in each.items()}


def _quorum_lost(inventory: Inventory, zone: str) -> str:
    """The first Redis Cluster of whose primaries no majority stands elsewhere; else empty."""
    for group in dict.fromkeys(one.group for one in inventory.shards if one.clustered):
        votes = [one.primary.zone for one in inventory.shards if one.group == group]
        if (len(votes) - votes.count(zone)) * 2 <= len(votes):
            return f"the Redis Cluster {group}"
    return ""


def inject(access: Access, harm: Harm) -> str:
    undo = harm.undo
    if undo["experiment"]["template"]:
        said = [experiment.inject(access, undo["experiment"]), shift.inject(access, undo["shift"])]
        return f"{harm.clause}: {', '.join(one for one in said if one)}"
    said = [
        capacity.inject(access, undo["capacity"]),  # first, or capacity would come straight back
        blackhole.inject(access, undo["network"]),
        power.inject(access, undo["power"]),
        balancing.inject(access, undo["balancers"]),
        *(takeover.inject(access, one) for one in undo["databases"]),
        shards.inject(access, undo["shards"]),  # late, as the second shard of a group waits for the first
        shift.inject(access, undo["shift"]),
    ]
    return f"{harm.clause}: {', '.join(one for one in said if one)}"


def heal(access: Access, arguments: Mapping[str, Any]) -> str:
    mending = Mending()
    experiment.heal(access, arguments["experiment"], mending)  # first, as it takes back most by itself
    blackhole.heal(access, arguments["network"], mending)
    power.heal(access, arguments["power"], mending)
    balancing.heal(access, arguments["balancers"], mending)
    capacity.heal(access, arguments["capacity"], mending)
    takeover.heal(access, arguments["databases"], mending)
    shards.heal(access, arguments["shards"], mending)
    shift.heal(access, arguments["shift"], mending)
    return mending.end(f"{arguments['zone']} was whole")
