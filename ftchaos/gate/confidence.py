"""How much a number of passing runs proves, said honestly: less than one thinks.

The bounds are one-sided, at 95 %, after Clopper and Pearson (1934); for n of n passes theirs is ``0.05 ** (1 / n)``.
They hold for runs that are independent and alike, which is the best case.
"""

from __future__ import annotations

import math

CONFIDENCE = 0.95
_ROUNDS = 60


def proven_rate(passed: int, runs: int) -> float:
    """The success rate that is proven at 95 %: a smaller one would have given as many passes in 5 % of cases at most.

    Args:
        passed: runs that passed.
        runs: all of them, at least as many.

    Returns:
        0.0 where nothing passed; 0.549 for 5 of 5, 0.95 for 59 of 59.
    """
    if not 0 <= passed <= runs:
        raise ValueError(f"{passed} of {runs} runs cannot have passed")
    if passed == 0:
        return 0.0
    if passed == runs:
        return float((1 - CONFIDENCE) ** (1 / runs))
    low, high = 0.0, passed / runs
    for _ in range(_ROUNDS):
        middle = (low + high) / 2
        if _at_least(passed, runs, middle) > 1 - CONFIDENCE:
            high = middle
        else:
            low = middle
    return low


def passes_for(rate: float) -> int:
    """How many passes in a row prove a success rate at 95 %; 59 for 95 %.

    Args:
        rate: between 0 and 1, both excluded.
    """
    needed = max(1, math.ceil(math.log(1 - CONFIDENCE) / math.log(rate)))
    # The logarithms may be wrong in their last digit, on either side.
    if needed > 1 and proven_rate(needed - 1, needed - 1) >= rate:
        return needed - 1
    return needed if proven_rate(needed, needed) >= rate else needed + 1


def _at_least(passed: int, runs: int, rate: float) -> float:
    """The probability of so many passes or more, where each run passes at this rate (0 < rate < 1)."""
    logs = (
        math.lgamma(runs + 1)
        - math.lgamma(count + 1)
        - math.lgamma(runs - count + 1)
        + count * math.log(rate)
        + (runs - count) * math.log1p(-rate)
        for count in range(passed, runs + 1)
    )
    return math.fsum(math.exp(one) for one in logs)
