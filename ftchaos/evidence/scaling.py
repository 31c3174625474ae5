"""What an autoscaler did under a load, as the evidence keeps it."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from ftchaos.evidence.part import Part
from ftchaos.evidence.types import Count, Seconds, Text


class Scaling(Part):
    """What an autoscaler did under a load that went on; each time counts from the begin of the load."""

    autoscaler: Text
    replicas_before: Count
    replicas_highest: Count
    replicas_most: Count
    """The most that it may make."""
    above_s: Seconds | None = None
    """Until the witness saw its metric above the target."""
    decided_s: Seconds | None = None
    """Until the witness saw that it wants more replicas."""
    ready_s: Seconds | None = None
    """Until as many as it wanted in the end were Ready."""
    within_s: Seconds | None = None
    """Until the metric was within the target again, to stay there."""
    enough: bool | None
    """Whether it scaled enough; null where nobody knows."""
    at_top: bool = False
    """It had all that it may make, and was above its target all the same."""
    why: Text = ""
    objectives_kept: bool | None = None
    """Whether the service met its objectives from when the load bit until it ended, taken as a whole."""
    success_ratio: Annotated[float, Field(ge=0, le=1)] | None = None
    p95_ms: Seconds | None = None
    load: Text = ""
    """What was sent, in words."""
    words: Text = ""
    """All of it in one clause."""
