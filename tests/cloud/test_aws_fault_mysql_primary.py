"""The writer of an RDS database fails, politely and brutally: seen from outside by real clients, and healed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fault_account import Calls, Killed, heal, inject, led_to, look, proves_nothing, state, watching
from standin import staging
from standin.server import Standin
from standin.staging import Staging

from ftchaos.clock import now
from ftchaos.platforms.aws import faults
from ftchaos.platforms.base import Harm

FAULT = "fail_mysql_primary"
MANNERS = ["polite", "kill", "partition"]


@pytest.fixture(scope="module")
def made(standin: Standin) -> Iterator[Staging]:
    with led_to(standin):
        standin.reset()
        yield staging.build(standin, replicas=0, caches=False)


@pytest.fixture
def before(made: Staging) -> dict[str, Any]:
    """How the account stands; each test leaves it so, but for the writer's zone."""
    made.await_available()
    made.standin.clear()
    return state(made.standin)


def _plan(made: Staging, fault: str = FAULT, **arguments: Any) -> Harm:
    return faults.find(fault).plan(look(made.standin, mysql=staging.INSTANCE), **arguments)


def test_without_injection_nothing_is_seen(made: Staging, before: dict[str, Any], tmp_path: Path) -> None:
    assert proves_nothing(tmp_path, _plan(made))
    assert before == state(made.standin)


@pytest.mark.parametrize("manner", MANNERS)
def test_the_writer_fails_is_seen_failing_and_is_healed(
    made: Staging, before: dict[str, Any], tmp_path: Path, manner: str
) -> None:
    zone = made.database()["AvailabilityZone"]
    harm = _plan(made, manner=manner)
    with watching(tmp_path, harm) as witness:
        fault_at = now()
        made.standin.settings(failover_s=60)  # until it was seen: a network that is silent takes two tries to notice
        inject(made.standin, FAULT, harm)
        witness.wait_proven(fault_at)
        made.standin.settings(failover_s=0.5)
        heal(made.standin, FAULT, harm)
        witness.wait(witness.all_up, 20)
    described = made.await_available()

    assert before == state(made.standin)
    if manner != "partition":  # nobody was told, so whether it moves is RDS's affair
        assert zone != described["AvailabilityZone"]
    assert [manner != "partition"] == [bool(made.standin.calls("RebootDBInstance"))]
    assert [] == made.standin.violations()


def test_a_zone_takes_its_writer_with_it(made: Staging, before: dict[str, Any], tmp_path: Path) -> None:
    zone = made.database()["AvailabilityZone"]
    harm = _plan(made, "fail_zone")
    with watching(tmp_path, harm) as witness:
        fault_at = now()
        made.standin.settings(failover_s=60)
        inject(made.standin, "fail_zone", harm)
        witness.wait_proven(fault_at)
        made.standin.settings(failover_s=0.5)
        witness.wait(witness.all_up, 20)  # the other zone has taken over, with this one still dead
        during = state(made.standin)
        heal(made.standin, "fail_zone", harm)

    assert zone in harm.clause
    assert "stopped" == during[made.instances[zone]][0]
    assert zone != made.await_available()["AvailabilityZone"]
    assert before == state(made.standin)


def test_a_failover_that_nobody_answers_is_not_asked_for_again(made: Staging, before: dict[str, Any]) -> None:
    harm = _plan(made, manner="polite")
    made.standin.fail_next("RebootDBInstance", "InternalFailure", status=500, after=True)
    with pytest.raises(Exception, match="RebootDBInstance"):
        inject(made.standin, FAULT, harm)
    asked = len(made.standin.calls("RebootDBInstance"))
    heal(made.standin, FAULT, harm)
    made.await_available()

    assert 1 == asked
    assert before == state(made.standin)


def test_a_writer_that_moves_or_has_moved_already_is_not_told_to(made: Staging, before: dict[str, Any]) -> None:
    zone = made.database()["AvailabilityZone"]
    harm = _plan(made, manner="kill")
    made.standin.settings(failover_s=60)
    made.standin.client("rds").reboot_db_instance(DBInstanceIdentifier=staging.INSTANCE, ForceFailover=True)
    moving = inject(made.standin, FAULT, harm)
    made.standin.settings(failover_s=0.5)
    heal(made.standin, FAULT, harm)
    now_in = made.await_available()["AvailabilityZone"]
    moved = inject(made.standin, FAULT, harm)
    heal(made.standin, FAULT, harm)

    assert f"{staging.INSTANCE} was told nothing: it was rebooting already" in moving
    assert f"{staging.INSTANCE} was told nothing: the lead was with {now_in} by then, and not with {zone}" in moved
    assert now_in == made.await_available()["AvailabilityZone"]
    assert 1 == len(made.standin.calls("RebootDBInstance"))
    assert before == state(made.standin)


def test_whoever_dies_after_any_call_leaves_nothing_behind(made: Staging, before: dict[str, Any]) -> None:
    died = 1
    while True:
        made.await_available()
        harm = _plan(made)
        try:
            inject(made.standin, FAULT, harm, Calls(until=died))
        except Killed:
            died += 1
            heal(made.standin, FAULT, harm)
            made.await_available()

            assert before == state(made.standin), f"left behind by a death after {died - 1} calls"
        else:
            heal(made.standin, FAULT, harm)
            break
    made.await_available()

    assert died >= 5
    assert before == state(made.standin)
