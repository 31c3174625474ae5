"""Auto scaling groups that spread over the zones of their subnets, where moto puts all into the first,
and whose stopped instances are not well."""

from __future__ import annotations

from collections import Counter
from typing import Any

from moto.autoscaling.models import FakeAutoScalingGroup, autoscaling_backends

from standin.call import Call
from standin.world import ACCOUNT

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


def examine(call: Call) -> None:
    """Before moto says how instances of groups are: those that do not run are unhealthy."""
    for group in autoscaling_backends[ACCOUNT][call.region].autoscaling_groups.values():
        for state in group.instance_states:
            if state.instance.state != "running":
                state.health_status = "Unhealthy"
            elif state.health_status == "Unhealthy":
                state.health_status = "Healthy"
