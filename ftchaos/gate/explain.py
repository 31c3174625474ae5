"""What to run to get to green, in order, as commands for a shell. Pure."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass

from ftchaos.gate import words
from ftchaos.gate.decide import Decision, Judged
from ftchaos.gate.policy import NO_OPEN_HARM, SAME, Requirement
from ftchaos.gate.question import Reason

_ID = re.compile(r"\d{8}T\d{6}Z-[A-Za-z0-9._-]{1,180}")
_RUN = re.compile(r"(drill|experiment|gameday)/[a-z0-9][a-z0-9-]*")


@dataclass(frozen=True)
class Todo:
    """One step to green.

    Attributes:
        requirements: the names of those that it is for.
        why: a sentence.
        command: for a shell; empty where no command helps.
        times: how often it must pass.
    """

    requirements: tuple[str, ...]
    why: str
    command: str
    times: int = 1


def todos(decision: Decision, location: str) -> list[Todo]:
    """The steps in order: heal, look at what does not verify or did not pass, then the runs that are missing.

    Args:
        location: of the evidence, as the commands name it.
    """
    # What is harmed comes first: nothing can be proven on it.
    unmet = sorted(
        (one for one in decision.judged if one.state == "not met"), key=lambda one: one.requirement is not None
    )
    found = [*_heals(unmet), *_looks(unmet, location)]
    runs: dict[str, Todo] = {}
    for todo in _runs(decision, unmet, location):
        known = runs.get(todo.command)
        if known is not None:  # two requirements that one row of runs meets
            names = (*known.requirements, *todo.requirements)
            todo = Todo(names, known.why, todo.command, max(known.times, todo.times))
        runs[todo.command] = todo
    return [*found, *runs.values()]


def script(decision: Decision, location: str, again: str) -> str:
    """The same as a script: what is not a command is a comment.

    Args:
        again: the command that asks the gate once more.
    """
    lines = [f"# {words.headline(decision)}"]
    for number, todo in enumerate(todos(decision, location), start=1):
        lines += ["", f"# {number}. {', '.join(todo.requirements)}: {words.plain(todo.why)}"]
        if todo.times > 1:
            lines.append(f"for run in $(seq {todo.times}); do {todo.command} || break; done")
        elif todo.command:
            lines.append(todo.command)
    return "\n".join([*lines, "", again])


def _heals(unmet: list[Judged]) -> Iterator[Todo]:
    for one in unmet:
        if one.name == NO_OPEN_HARM:
            yield Todo((one.name,), one.reasons[0].sentence, "ftchaos recover")


def _looks(unmet: list[Judged], location: str) -> Iterator[Todo]:
    seen = set()
    for one in unmet:
        for reason in one.reasons:
            if (reason.kind, reason.run_id) not in seen:
                seen.add((reason.kind, reason.run_id))
                yield from _look(one, reason, location)


def _look(judged: Judged, reason: Reason, location: str) -> Iterator[Todo]:
    known = bool(_ID.fullmatch(reason.run_id))
    run, where = f" {reason.run_id}" if known else " --all", f" --reports {shlex.quote(location)}"
    if reason.kind == "unverifiable":
        yield Todo((judged.name,), reason.sentence, f"ftchaos report verify{run}{where}")
    elif reason.kind in ("failed", "inconclusive", "objective", "harm") and known and judged.requirement:
        yield Todo((judged.name,), reason.sentence, f"ftchaos report show{run}{where}")
    elif reason.kind == "future":
        yield Todo((judged.name,), f"{reason.sentence}; set the clock that is wrong, here or where it ran", "")


def _runs(decision: Decision, unmet: list[Judged], location: str) -> Iterator[Todo]:
    for one in unmet:
        requirement = one.requirement
        if requirement is not None:
            times = requirement.needed - len(one.row)
            command = _command(requirement.run, one.environment, location) + _about(decision, requirement)
            yield Todo((one.name,), one.reasons[0].sentence, command, times)
        elif one.name == NO_OPEN_HARM:
            for reason in one.reasons:
                if _RUN.fullmatch(reason.run):  # the words of evidence, not of the policy
                    command = _command(reason.run, reason.environment, location)
                    yield Todo((one.name,), reason.sentence, command)


def _command(run: str, environment: str, location: str) -> str:
    kind, _, name = run.partition("/")
    return f"ftchaos {kind} run {name} --environment {shlex.quote(environment)} --reports {shlex.quote(location)}"


def _about(decision: Decision, requirement: Requirement) -> str:
    """What the run must be about."""
    asked, extra = decision.asked, ""
    for option, wanted, given in (
        ("commit", requirement.commit, asked.commit),
        ("image", requirement.image, asked.image),
    ):
        if wanted:
            extra += f" --{option} {shlex.quote(given if wanted == SAME else wanted)}"
    return extra
