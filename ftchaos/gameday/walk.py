"""A walk through a plan that does nothing: each part as it would be, each definition by its own dry run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ftchaos.child import Child
from ftchaos.gameday.plan import Part, Plan
from ftchaos.units import human_duration


@dataclass(frozen=True)
class Step:
    """One part as it would be.

    Attributes:
        what: what would be done, in words.
        targets: what would be harmed now.
        problem: why it could not be begun now; empty when it could.
        exit_code: of its dry run.
    """

    name: str
    kind: str
    what: str
    targets: list[str] = field(default_factory=list)
    problem: str = ""
    exit_code: int = 0


def walk(plan: Plan, common: Sequence[str]) -> list[Step]:
    """Every part, in order.

    Args:
        common: arguments of every run.
    """
    return [_step(part, common) for part in plan.parts]


def text(plan: Plan, environment: str, steps: Sequence[Step]) -> str:
    """The walk for people."""
    people = [f"  {one.role}: {one.name}" for one in plan.people]
    lines = [
        f"game day {plan.name} in {environment}: nothing is touched now",
        plan.title,
        f"at most {human_duration(plan.time_box)}",
        *(["", "people:", *people] if people else []),
        "",
        "parts:",
    ]
    for number, (part, step) in enumerate(zip(plan.parts, steps, strict=True), start=1):
        lines.append(f"{number:3}. {step.name}: {step.what}{_conditions(part)}")
        lines += [f"     would be harmed: {', '.join(step.targets)}"] if step.targets else []
        lines += [f"     CANNOT BEGIN NOW: {step.problem}"] if step.problem else []
    return "\n".join("".join(letter if letter.isprintable() else " " for letter in line) for line in lines)


def _step(part: Part, common: Sequence[str]) -> Step:
    if part.pause is not None:
        return Step(part.name, part.kind, f"a pause of {human_duration(part.pause)}")
    if part.manual is not None:
        who = part.role or "somebody"
        return Step(part.name, part.kind, f"{who} is asked, for {human_duration(part.within)}: {part.manual}")
    kind, command, *chosen = part.arguments()
    said = Child([kind, command, *common, *chosen, "--dry-run"], part.name).wait()
    what = f"{part.kind} {part.definition}"
    if said.error:
        return Step(part.name, part.kind, what, problem=said.error, exit_code=said.exit_code)
    return Step(part.name, part.kind, what, [str(one) for one in said.document.get("targets", ())])


def _conditions(part: Part) -> str:
    found = []
    if part.only_if_passed:
        found.append("only if the part before passed")
    if part.continue_on_failure:
        found.append("the day goes on whatever comes of it")
    return f" ({', '.join(found)})" if found else ""
