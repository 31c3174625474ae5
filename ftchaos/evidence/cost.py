"""What a drill cost that made something which is billed."""

from __future__ import annotations

from ftchaos.evidence.part import Part
from ftchaos.evidence.types import Seconds, Text


class Cost(Part):
    """The list prices of what was made, over the time for which it was there; null where a part of it is not known."""

    estimated_usd: float | None = None
    """Before the drill, for the time that was promised."""
    usd: float | None = None
    duration_s: Seconds | None = None
    words: Text = ""
    """Each position, and what is not known and why."""
