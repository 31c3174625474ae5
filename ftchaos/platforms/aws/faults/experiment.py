"""A zone loses its power by an experiment of AWS FIS, from a template of the user's that was checked before.

FIS has an undo of its own: when an experiment is stopped, what its actions did is taken back. What remains of it is
mended from the same records as if ftchaos had done it. An experiment is found by its tag, as its id is not known when
the undo is written.

Source: AWS FIS user guide, experiments; API reference, StartExperiment and StopExperiment.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from datetime import UTC
from typing import TYPE_CHECKING, Any

from ftchaos.errors import Refused, StepFailed
from ftchaos.platforms.aws import templates
from ftchaos.platforms.aws.calls import OWNER
from ftchaos.platforms.aws.faults import blackhole, power, takeover
from ftchaos.platforms.aws.faults.mending import Mending
from ftchaos.platforms.aws.faults.shards import ensure_well
from ftchaos.platforms.aws.inventory import Inventory, Shard

if TYPE_CHECKING:
    from ftchaos.platforms.aws.access import Access

BEGUN_S = 300.0
ENDED_S = 3600.0
ENDED = ("completed", "stopped", "failed", "cancelled")
MARK = ("managedByFIS", "true")
"""The tag of the network ACLs that FIS makes."""


def none() -> dict[str, Any]:
    """The part of the undo where no experiment is begun."""
    return {"template": "", "token": "", "hits": {}}


def groups(undo: Mapping[str, Any]) -> list[str]:
    """The auto scaling groups that find no capacity while it runs."""
    return [name for one in undo["hits"].values() for name in one.get(templates.GROUP, ())]


def plan(inventory: Inventory, zone: str) -> dict[str, Any]:
    """The parts of the undo of a zone that its template harms.

    Raises:
        Refused: there is no template, or it is wrong, or would find nothing, or what cannot be healed.
    """
    template = inventory.template
    if template is None:
        raise Refused(
            "no experiment template of AWS FIS is configured",
            "name one for the environment: fis: {template: EXT...}; or choose the manner outage",
        )
    if wrong := templates.objections(template, inventory.tag, zone):
        raise Refused(
            f"the experiment template {template['id']} cannot be used: {'; '.join(wrong)}",
            "correct it in AWS FIS, then run again",
        )
    hits = templates.hits(template, inventory, zone)
    if empty := sorted(name for name, found in hits.items() if not any(found.values())):
        raise Refused(
            f"the experiment template {template['id']} would find nothing for {', '.join(empty)}",
            f"take it out, or tag what is meant with {inventory.tag}",
        )
    return {"experiment": {"template": template["id"], "token": secrets.token_hex(8), "hits": hits}} | _parts(
        inventory, zone, {(kind, name) for one in hits.values() for kind, names in one.items() for name in names}
    )


def _parts(inventory: Inventory, zone: str, hit: set[tuple[str, str]]) -> dict[str, Any]:
    instances = [one for one in inventory.instances if (templates.INSTANCE, one.id) in hit]
    for one in instances:
        if one.spared:
            raise Refused(f"AWS FIS would stop {one.id}: {one.spared}", "take the tag off it, or choose another zone")
    kinds = (templates.DATABASE, templates.CLUSTER)
    shards = [one for one in inventory.shards if (templates.CACHE, one.group) in hit]
    return {
        "network": blackhole.plan((one for one in inventory.subnets if (templates.SUBNET, one.id) in hit), MARK),
        "power": power.plan(instances),
        "databases": [
            takeover.plan(one, zone) for one in inventory.databases if hit & {(kind, one.name) for kind in kinds}
        ],
        "shards": [one for shard in shards for one in _nodes(shard, zone)],
    }


def _nodes(shard: Shard, zone: str) -> list[dict[str, Any]]:
    """All nodes of a shard that lose their power, replicas too."""
    if not shard.multi_az or (shard.primary.zone == zone and all(one.zone == zone for one in shard.replicas)):
        raise Refused(
            f"the shard {shard} has no Multi-AZ with a replica in another zone",
            "AWS FIS interrupts no other; turn Multi-AZ on",
        )
    ensure_well(shard)
    nodes = [node.name for node in shard.copies if node.zone == zone]
    return [{"group": shard.group, "shard": shard.shard, "primary": name} for name in nodes]


def inject(access: Access, undo: Mapping[str, Any]) -> str:
    """Begin it, and go on when it runs on all that was planned and nothing else.

    Raises:
        StepFailed: it does not run, passes over something, or found something else.
    """
    # The token lets a repeated call begin nothing more.
    made = access.client("fis").start_experiment(
        clientToken=undo["token"], experimentTemplateId=undo["template"], tags={OWNER: undo["token"]}
    )["experiment"]["id"]
    now = access.until(
        lambda: _described(access, made),
        lambda one: one["state"]["status"] not in ("pending", "initiating"),
        BEGUN_S,
        f"the experiment {made} of AWS FIS runs",
    )
    trouble = _trouble(now)
    if now["state"]["status"] != "running" or trouble:
        raise StepFailed(
            f"the experiment {made} of AWS FIS {_ending(now)}" + (f": {trouble}" if trouble else ""),
            "see it in the console of AWS FIS",
        )
    _ensure_as_planned(access, made, undo["hits"])
    return f"the experiment {made} of AWS FIS runs"


def _ensure_as_planned(access: Access, made: str, planned: Mapping[str, Mapping[str, list[str]]]) -> None:
    found: dict[str, set[str]] = {name: set() for name in planned}
    for one in access.pages("fis", "list_experiment_resolved_targets", "resolvedTargets", experimentId=made):
        name = re.split("[:/]", (one.get("targetInformation") or {}).get("arn", ""))[-1]
        found.setdefault(one["targetName"], set()).add(name)
    wanted = {name: {each for names in one.values() for each in names} for name, one in planned.items()}
    missed = sorted(each for name in wanted for each in wanted[name] - found[name])
    beyond = sorted(each for name in found for each in found[name] - wanted.get(name, set()))
    if missed or beyond:
        said = [f"left out {', '.join(missed)}"] if missed else []
        said += [f"hit {', '.join(beyond)}, which was not planned"] if beyond else []
        raise StepFailed(
            f"the experiment {made} of AWS FIS {' and '.join(said)}", "something was tagged just now; run again"
        )


def _described(access: Access, name: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = access.client("fis").get_experiment(id=name)["experiment"]
    return found


def _ending(experiment: Mapping[str, Any]) -> str:
    state = experiment["state"]
    return f"is {state['status']}" + (f" ({state['reason']})" if state.get("reason") else "")


def _trouble(experiment: Mapping[str, Any]) -> str:
    """The actions that were not done, in words; empty for none."""
    actions = {name: one["state"] for name, one in (experiment.get("actions") or {}).items()}
    return ", ".join(
        f"{name} was {state['status']}" + (f" ({state['reason']})" if state.get("reason") else "")
        for name, state in sorted(actions.items())
        if state["status"] in ("skipped", "failed")
    )


def heal(access: Access, undo: Mapping[str, Any], mending: Mending) -> None:
    """Stop it, wait for its end, and say what it passed over, and whether it had ended by itself."""
    if undo["template"]:
        mending.attempt("the experiment of AWS FIS", lambda: _stop(access, undo))


def _stop(access: Access, undo: Mapping[str, Any]) -> str | None:
    return ", ".join(_end(access, name) for name in _mine(access, undo)) or None


def _mine(access: Access, undo: Mapping[str, Any]) -> list[str]:
    every = access.pages("fis", "list_experiments", "experiments", experimentTemplateId=undo["template"])
    return [one["id"] for one in every if (one.get("tags") or {}).get(OWNER) == undo["token"]]


def ended(access: Access, undo: Mapping[str, Any]) -> str:
    """Why the harm is over although nobody has healed it yet, in words; empty while it lasts.

    An alarm stops an experiment, and its duration ends it. What recovers then has recovered from nothing.
    """
    if not undo["template"]:
        return ""
    found = [_described(access, name) for name in _mine(access, undo)]
    over = [one for one in found if one["state"]["status"] != "running"]
    return ", ".join(f"the experiment {one['id']} of AWS FIS {_ending(one)} before its zone was healed" for one in over)


def _end(access: Access, name: str) -> str:
    before = _described(access, name)["state"]["status"]
    if before not in (*ENDED, "stopping"):
        access.client("fis").stop_experiment(id=name)
    now = access.until(
        lambda: _described(access, name),
        lambda one: one["state"]["status"] in ENDED,
        ENDED_S,
        f"the experiment {name} of AWS FIS has ended",
    )
    said = f"the experiment {name} of AWS FIS {_ending(now)}"
    if before in ENDED:
        said += f" since {now['endTime'].astimezone(UTC):%H:%M:%S} UTC" if now.get("endTime") else " already"
    trouble = _trouble(now)
    return said + (f": {trouble}" if trouble else "")
