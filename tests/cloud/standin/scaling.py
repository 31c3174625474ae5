"""Auto scaling groups that spread over the zones of their subnets, where moto puts all into the first."""

from __future__ import annotations

from collections import Counter
from typing import Any

from moto.autoscaling.models import FakeAutoScalingGroup

_launch = FakeAutoScalingGroup.replace_autoscaling_group_instances


def spread() -> None:
    """Let each new instance of a group go into the subnet that has the fewest of it."""

    def launch(self: FakeAutoScalingGroup, count_needed: int, propagated_tags: dict[str, str]) -> None:
        everywhere = self.vpc_zone_identifier
        if not everywhere:
            _launch(self, count_needed, propagated_tags)
            return
        for _ in range(count_needed):
            there: Counter[Any] = Counter(state.instance.subnet_id for state in self.active_instances())
            try:
                self.vpc_zone_identifier = min(everywhere.split(","), key=lambda subnet: there[subnet])
                _launch(self, 1, dict(propagated_tags))
            finally:
                self.vpc_zone_identifier = everywhere

    FakeAutoScalingGroup.replace_autoscaling_group_instances = launch  # type: ignore[method-assign]
