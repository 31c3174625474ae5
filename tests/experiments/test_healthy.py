"""On a healthy lab every experiment passes, with a fault that was seen, and heals all that it harmed."""

from __future__ import annotations

import pytest
from trials import Trials, component

from ftchaos import definitions

HONEST_FAILURES: set[str] = set()


@pytest.mark.parametrize("name", definitions.names("experiment"))
def test_every_experiment_passes_on_the_healthy_lab(name: str, trials: Trials) -> None:
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
