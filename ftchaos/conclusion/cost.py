"""The part of the evidence that says what a drill cost: the prices that it was told before, over the measured time."""

from __future__ import annotations

from datetime import datetime

from ftchaos import evidence
from ftchaos.conclusion.raw import Raw
from ftchaos.platforms.aws.cost import Cost, Line

BILLED = ("copy:instance", "copy:cluster")


def cost(raw: Raw) -> evidence.Cost | None:
    """None for a run that made nothing which is billed."""
    told = raw.fact("decide").get("cost")
    if told is None:
        return None
    estimated = Cost(told["duration_s"], tuple(Line(**line) for line in told["lines"]))
    found = evidence.Cost(estimated_usd=estimated.total_usd, words=estimated.words())
    duration_s = _there_s(raw)
    if duration_s is None:
        return found
    actual = estimated.over(duration_s)
    return evidence.Cost(
        estimated_usd=estimated.total_usd, usd=actual.total_usd, duration_s=duration_s, words=actual.words()
    )


def _there_s(raw: Raw) -> float | None:
    """For how long it was there: from its announcement until its removal; None while it is not known to be gone."""
    spans = [
        (datetime.fromisoformat(one.recorded_at), datetime.fromisoformat(one.healed_at))
        for one in raw.undo
        if one.heal in BILLED and one.recorded_at and one.healed_at
    ]
    if not spans:
        return None
    return (max(until for _, until in spans) - min(since for since, _ in spans)).total_seconds()
