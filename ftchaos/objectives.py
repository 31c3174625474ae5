"""What was promised: the recovery and service objectives that a run is judged by. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from ftchaos.errors import Invalid
from ftchaos.units import human_duration

LAB_SUSTAIN_S = 3.0


@dataclass(frozen=True)
class Objectives:
    """The promises of one environment.

    Attributes:
        rto_s: longest recovery time, from the fault to the service restored.
        rpo_s: longest data loss, from the oldest lost acknowledged write to the fault.
        success: smallest share of client operations that succeed while the service counts as restored.
        p95_s: longest 95th percentile of their latency.
        sustain_s: how long both must hold without a break; 3 s in the lab, 30 s elsewhere.

    Source: RTO and RPO, NIST SP 800-34r1; the numbers are the file-transfer system's own objectives.
    """

    rto_s: float = 14400.0
    rpo_s: float = 900.0
    success: float = 0.995
    p95_s: float = 0.5
    sustain_s: float = 30.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
                raise Invalid(f"the objective {field.name} is {value!r}", "give a number of zero or more")
        if not 0 < self.success <= 1:
            raise Invalid(f"the objective success is {self.success!r}", "give a share such as 99.5%")

    def rto_met(self, recovery_time_s: float | None) -> bool | None:
        """Whether the recovery was quick enough; None when its time was not measured."""
        return _met(recovery_time_s, self.rto_s)

    def rpo_met(self, data_loss_s: float | None) -> bool | None:
        """Whether little enough was lost; None when the data loss was not measured."""
        return _met(data_loss_s, self.rpo_s)

    def service_words(self) -> str:
        """The service objective for people: ``99.5 % succeed, P95 500 ms, for 3 s``."""
        sustain = human_duration(self.sustain_s)
        return f"{self.success * 100:g} % succeed, P95 {self.p95_s * 1000:g} ms, for {sustain}"


def _met(actual_s: float | None, objective_s: float) -> bool | None:
    # NaN, infinity and a negative time come from a broken measurement: they must never count as met.
    if actual_s is None or not math.isfinite(actual_s) or actual_s < 0:
        return None
    return actual_s <= objective_s
