"""On a healthy lab experiments pass, with a fault that was seen, and heal all that they harmed.

Those that differ in what they touch; `benchmarks/experiments.py all` runs every one of them, and each fault has tests
of its own.
"""

from __future__ import annotations

import pytest
from trials import Trials, component

NAMES = [
    *("clock-jump", "load-balancer-target-loss", "mysql-primary-failover", "mysql-primary-partition"),
    *("redis-master-kill", "redis-sentinel-master-kill", "websocket-node-kill", "zone-outage", "zone-partition"),
]


@pytest.mark.parametrize("name", NAMES)
def test_an_experiment_passes_on_the_healthy_lab(name: str, trials: Trials) -> None:
    result = trials.run(name)
    found = result.evidence

    assert found.verdict == "passed", found.reasons
    assert found.witness.proven
    assert found.data.self_test == "passed"
    assert {one.name for one in found.components} >= {"api", "database", "cache-a", "queue", "websocket"}
    assert all(one.restored_at for one in found.components)
    assert component(result, "api").success_ratio is not None
    assert found.plan.targets
    assert found.plan.promises
    trials.ensure_whole(result)
