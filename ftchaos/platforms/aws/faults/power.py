"""EC2 instances without power: stopped without the operating system being asked, never terminated.

Only those that ran are stopped, and only those that were stopped here are begun again. What an auto scaling group or
somebody else has terminated meanwhile is named, as nobody can begin it again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from ftchaos.platforms.aws.faults.mending import Mending
from ftchaos.platforms.aws.inventory import Instance
from ftchaos.platforms.aws.survey import chunks

if TYPE_CHECKING:
    from ftchaos.platforms.aws.access import Access

BATCH = 100
STOPPED_S = 900.0
RUNNING_S = 600.0
UP = ("pending", "running")


def plan(instances: Iterable[Instance]) -> dict[str, Any]:
    """Which of these are stopped, and which are left out and why."""
    every = list(instances)
    return {
        "stopped": [one.id for one in every if one.state == "running" and not one.spared],
        "spared": {one.id: one.spared for one in every if one.spared},
    }


def inject(access: Access, undo: Mapping[str, Any]) -> str:
    for some in chunks(undo["stopped"], BATCH):
        access.client("ec2").stop_instances(InstanceIds=some, Force=True, SkipOsShutdown=True)
    said = [f"{len(undo['stopped'])} instances lost their power"] if undo["stopped"] else []
    said += [f"{name} was left out: {why}" for name, why in undo["spared"].items()]
    return ", ".join(said)


def heal(access: Access, undo: Mapping[str, Any], mending: Mending) -> None:
    """Begin again what was stopped here."""
    if not undo["stopped"]:
        return

    def states() -> dict[str, str]:
        found: dict[str, str] = {}
        for some in chunks(undo["stopped"]):
            which = [{"Name": "instance-id", "Values": some}]
            for reservation in access.pages("ec2", "describe_instances", "Reservations", Filters=which):
                found |= {one["InstanceId"]: one["State"]["Name"] for one in reservation["Instances"]}
        return found

    def begin() -> str | None:
        now = access.until(
            states, lambda found: "stopping" not in found.values(), STOPPED_S, "the instances are stopped"
        )
        down = [name for name in undo["stopped"] if now.get(name) == "stopped"]
        gone = [name for name in undo["stopped"] if now.get(name) not in (*UP, "stopped")]
        begun: list[str] = []
        for some in chunks(down, BATCH):
            begun += mending.attempt_all(
                some, "the instance", lambda names: access.client("ec2").start_instances(InstanceIds=names)
            )
        if begun:
            now = access.until(
                states,
                lambda found: all(found.get(name) != "pending" for name in begun),
                RUNNING_S,
                f"{', '.join(begun)} run",
            )
            mending.failed += [f"the instance {name} did not begin" for name in begun if now.get(name) != "running"]
        said = [f"{len(begun)} instances run again"] if begun else []
        said += (
            [f"{', '.join(gone)} had been terminated meanwhile, by an auto scaling group or somebody"] if gone else []
        )
        return ", ".join(said) or None

    mending.attempt("the stopped instances", begin)
