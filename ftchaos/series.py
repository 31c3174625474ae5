"""Several runs one after the other: a pair, a matrix, or all experiments. Each is a process of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ftchaos.child import Child
from ftchaos.errors import FtchaosError

# Of several runs the worst decides: left harmed, broken, interrupted, unusable, refused, failed, inconclusive, passed.
WORST_FIRST = (4, 70, 130, 2, 5, 1, 3, 0)
MANNERS = ("kill", "lag", "partition")
DURABILITIES = ("configured", "weaker")


@dataclass(frozen=True)
class Choice:
    """One run of a series: an experiment, and the options in which it differs from the others."""

    name: str
    options: Mapping[str, str] = field(default_factory=dict)

    def words(self) -> str:
        """For people: ``mysql-primary-kill, lag, weaker``."""
        return ", ".join((self.name, *self.options.values()))


@dataclass(frozen=True)
class Outcome:
    """What one of them came to: its evidence, or the error that kept it from beginning."""

    choice: Choice
    exit_code: int
    evidence: Mapping[str, Any]
    error: str = ""


def matrix(name: str) -> list[Choice]:
    """A failover experiment in each manner, as configured and weaker."""
    return [Choice(name, {"manner": manner, "durability": one}) for one in DURABILITIES for manner in MANNERS]


def pair(name: str, polite: str) -> list[Choice]:
    """The managed failover and the brutal one."""
    return [Choice(polite), Choice(name)]


def run(
    choices: Sequence[Choice], common: Sequence[str], tell: Callable[[str], None], *, verbose: bool = False
) -> list[Outcome]:
    """Run them one after the other and go on whatever one of them comes to, but not past one that left harm.

    Args:
        common: arguments of every one of them.
        tell: told one line when a run begins and ends.
    """
    outcomes = []
    for number, choice in enumerate(choices, start=1):
        tell(f"[{number}/{len(choices)}] {choice.words()}")
        outcome = _one(choice, common, verbose)
        outcomes.append(outcome)
        tell(f"[{number}/{len(choices)}] {choice.words()}: {_sentence(outcome)}")
        if outcome.exit_code in (4, 130):
            break
    return outcomes


def exit_code(outcomes: Sequence[Outcome]) -> int:
    """That of the worst of them."""
    codes = (one.exit_code if one.exit_code in WORST_FIRST else 70 for one in outcomes)
    return min(codes, key=WORST_FIRST.index, default=0)


def _one(choice: Choice, common: Sequence[str], verbose: bool) -> Outcome:
    options = [f"--{key}={value}" for key, value in choice.options.items()]
    try:
        said = Child(["experiment", "run", choice.name, *options, *common], choice.words(), verbose=verbose).wait()
    except FtchaosError as error:  # it died without a word; the others are still worth running
        return Outcome(choice, 70, {}, error.fact)
    return Outcome(choice, said.exit_code, said.document, said.error)


def _sentence(outcome: Outcome) -> str:
    if not outcome.evidence:
        return outcome.error
    verdict, reasons = outcome.evidence["verdict"], outcome.evidence["reasons"]
    return f"{verdict}: {reasons[0] if reasons else outcome.evidence['summary']}"
