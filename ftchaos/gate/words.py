"""What all outputs of the gate say alike."""

from __future__ import annotations

from collections.abc import Iterator

from ftchaos.gate.confidence import proven_rate
from ftchaos.gate.decide import Decision, Judged
from ftchaos.gate.policy import SAME, Requirement, Waiver
from ftchaos.gate.question import Asked, days

_CHARACTERS = 600


def plain(text: str) -> str:
    """A text of evidence or of a policy on one line, without what moves a cursor or hides, and not too long.

    Two characters are drawn apart that a runner of GitHub takes for a command wherever they stand.
    """
    short = text if len(text) <= _CHARACTERS else text[: _CHARACTERS - 1] + "…"
    return " ".join("".join(one if one.isprintable() else " " for one in short).replace("##[", "## [").split())


def headline(decision: Decision) -> str:
    """The decision in one line."""
    states = [one.state for one in decision.judged]
    met, waived = states.count("met"), states.count("waived")
    counted = f"{met} of {len(states)} requirements met" + (f", {waived} waived" if waived else "")
    return f"{'YES' if decision.is_yes else 'NO'} for {about(decision.asked)}: {counted}"


def about(asked: Asked) -> str:
    """What the gate was asked about."""
    extra = [f"{name} {plain(value)}" for name, value in (("commit", asked.commit), ("image", asked.image)) if value]
    return ", ".join([plain(asked.environment), *extra])


def wants(judged: Judged) -> str:
    """What is required, as a clause."""
    requirement = judged.requirement
    if requirement is None:
        return f"no harm is left open in {plain(judged.environment)}"
    return plain(", ".join([f"{requirement.run} passed in {judged.environment}", *_conditions(requirement)]))


def _conditions(requirement: Requirement) -> Iterator[str]:
    if requirement.needed > 1:
        yield f"{requirement.needed} times in a row"
    if requirement.max_age is not None:
        yield f"within {days(requirement.max_age)}"
    if requirement.every is not None:
        yield f"every {days(requirement.every)}"
    if requirement.platform:
        yield f"on {requirement.platform}"
    for name, value in (("commit", requirement.commit), ("image", requirement.image)):
        if value:
            yield f"for this {name}" if value == SAME else f"for {name} {value}"
    if requirement.definition:
        yield f"as defined in {requirement.definition[:12]}"
    if requirement.recovery_time is not None:
        share = " of the RTO" if requirement.recovery_time.share is not None else ""
        yield f"recovery time at most {requirement.recovery_time.text}{share}"
    if requirement.data_loss is not None:
        share = " of the RPO" if requirement.data_loss.share is not None else ""
        yield f"data loss at most {requirement.data_loss.text}{share}"
    if requirement.lost is not None:
        yield f"at most {requirement.lost:,} acknowledged writes lost"
    if requirement.signed_by:
        yield "signed"


def why(judged: Judged) -> list[str]:
    """What came of it, in sentences."""
    if judged.reasons:
        return [plain(_sentence(one.sentence)) for one in judged.reasons]
    if judged.requirement is None:
        return []
    return [f"{'The run' if len(judged.row) == 1 else 'The newest run'} {plain(judged.row[0].run_id)} passed."]


def proves(judged: Judged) -> str:
    """What the runs prove, honestly: a success rate, and another one where runs that did not pass lie before them."""
    if judged.requirement is None or not judged.row:
        return ""
    count = len(judged.row)
    words = f"{count} of {count}: at least {_percent(judged.proven)}"
    if judged.runs > count:
        words += f" ({judged.passed} of all {judged.runs}: {_percent(proven_rate(judged.passed, judged.runs))})"
    return words


def waiver(judged: Judged) -> str:
    """Who let a requirement pass, and what became of that; empty without a waiver."""
    given = judged.waiver
    if given is None:
        return ""
    if judged.waiver_refused:
        return f"Not waived: {judged.waiver_refused}. {_granted(given)}"
    if not judged.reasons:
        return f"A waiver that is not needed: {_granted(given)}"
    return f"WAIVED: {_granted(given)}"


def _granted(given: Waiver) -> str:
    return f"by {plain(given.person)} until {given.until}: {plain(given.reason)}"


def _percent(share: float) -> str:
    """Rounded down: what is not proven is not said."""
    return f"{int(share * 1000 + 1e-9) / 10:.1f} %"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")
