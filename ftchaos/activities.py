"""How each activity of the definition goes, noted in the run's record as Chaos Toolkit tells it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ftchaos import run as runs
from ftchaos.clock import now
from ftchaos.record import NOT_DONE, Part, Step

_part: Part | None = None


def part_begins(part: Part | None) -> None:
    """Note which part of the definition the activities that follow belong to; a second hypothesis is the one after.

    Args:
        part: None before the first.
    """
    global _part
    if part == "hypothesis before" and _part is not None:
        part = "hypothesis after"
    _part = part


def hypothesis_ended(state: Mapping[str, Any]) -> None:
    """Keep whether the steady state was met, and which probe said otherwise."""
    if (active := runs.active()) is None or _part is None:
        return
    if state.get("steady_state_met") is None:
        return
    unmet = [] if state["steady_state_met"] else [probe["activity"]["name"] for probe in state["probes"][-1:]]
    active.record.unmet[_part.removeprefix("hypothesis ")] = unmet
    active.save()


def step_begins(activity: Mapping[str, Any]) -> None:
    """Take the time of an activity."""
    if (active := runs.active()) is not None and _part is not None:
        active.record.steps.append(Step(_part, str(activity["name"]), now()))
        active.progress.step(str(activity["name"]))


def step_ended(outcome: Mapping[str, Any]) -> None:
    """Keep how the activity went."""
    active = runs.active()
    if active is None or not active.record.steps:
        return
    step = active.record.steps[-1]
    step.duration_s = now() - step.began_at
    step.status = "succeeded" if outcome.get("status") == "succeeded" else "failed"
    step.output = outcome.get("output")
    step.error = _sentence(outcome.get("exception"))
    if step.error and not step.error.startswith(NOT_DONE):  # a consequence needs no line of its own
        active.progress.note(f"{step.name}: {step.error}")
    active.save()


def _sentence(exception: Any) -> str:
    """The fact and the hint of chaoslib's formatted exception, without the names of its classes."""
    lines = [line for line in "".join(exception or ()).splitlines() if line.strip()]
    begins = next((i for i, line in enumerate(lines) if line.startswith("chaoslib.exceptions.ActivityFailed:")), None)
    if begins is None:
        return lines[-1].strip() if lines else ""
    first = lines[begins].removeprefix("chaoslib.exceptions.ActivityFailed:").strip()
    if first.startswith("ftchaos.errors."):
        first = first.partition(": ")[2]
    return "\n".join([first, *(line.strip() for line in lines[begins + 1 :])])
