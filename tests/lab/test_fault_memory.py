"""No more memory: who is connected goes on, nobody new comes in, and afterwards everything is as it was."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from small_labs import bring_up, wait_until, whole
from steady_writer import writing
from witnessed import sees_nothing, watching

from ftchaos.clock import now
from ftchaos.conclusion.parts import differences
from ftchaos.errors import Invalid
from ftchaos.mysql.session import Unreachable
from ftchaos.platforms.base import Harm
from ftchaos.platforms.lab import faults, standing
from ftchaos.platforms.lab import state as states
from ftchaos.platforms.lab.faults import memory
from ftchaos.platforms.lab.lab import Lab
from ftchaos.platforms.lab.tier import Tier

FAULT = "exhaust_memory"


@pytest.fixture(scope="module", params=["mariadb", "mysql"])
def lab(request: pytest.FixtureRequest, state: Path) -> Iterator[Lab]:
    lab = bring_up(f"memory-{request.param}", request.param)
    yield lab
    lab.down()


@pytest.fixture
def before(lab: Lab) -> dict[str, str]:
    """The state of a whole lab."""
    return whole(lab)


def planned(lab: Lab) -> Harm:
    return faults.find(FAULT).plan(standing.of(lab))


def test_new_connections_are_refused_until_it_is_healed(lab: Lab, tmp_path: Path, before: dict[str, str]) -> None:
    harm = planned(lab)
    name = harm.undo["server"]
    undo = json.loads(json.dumps(dict(harm.undo)))
    with writing(lab) as writer:
        with watching(tmp_path, lab, harm) as seen:
            fault_at = now()
            assert "refuses new connections" in faults.find(FAULT).inject(lab, harm)
            assert seen.proven(fault_at) < 5
            with pytest.raises(Unreachable, match=r"thread|memory"):
                Tier(lab).servers[name].connect().close()
            assert writer.goes_on()  # connected all along
            assert Tier(lab).primary.name == name
            assert "no more memory" in states._service(lab.status()["services"][name])

            faults.find(FAULT).heal(lab, undo)
            seen.wait_up()
        assert writer.goes_on()
    faults.find(FAULT).heal(lab, undo)

    assert wait_until(lambda: differences(before, states.state(lab)) == [], 60)
    assert [writer.lost(name) for name in Tier(lab).servers] == [set(), set(), set()]


def test_nobody_sees_a_plan_and_its_heal_changes_nothing(lab: Lab, tmp_path: Path, before: dict[str, str]) -> None:
    harm = planned(lab)

    assert sees_nothing(tmp_path, lab, harm)
    faults.find(FAULT).heal(lab, harm.undo)

    assert differences(before, states.state(lab)) == []


def test_a_heal_after_a_crash_lifts_a_limit_that_nobody_used(lab: Lab, before: dict[str, str]) -> None:
    harm = planned(lab)
    memory._limit(memory._pid(lab, harm.undo["server"]))
    assert "no more memory" in states._service(lab.status()["services"][harm.undo["server"]])

    faults.find(FAULT).heal(lab, harm.undo)

    assert differences(before, states.state(lab)) == []


def test_a_replica_that_died_of_it_is_begun_again(lab: Lab, before: dict[str, str]) -> None:
    harm = faults.find(FAULT).plan(standing.of(lab), of="replica")
    faults.find(FAULT).inject(lab, harm)
    lab.call("kill_service", name=harm.undo["server"])

    faults.find(FAULT).heal(lab, harm.undo)

    assert wait_until(lambda: differences(before, states.state(lab)) == [], 60)


def test_a_server_that_is_not_there_is_refused(lab: Lab) -> None:
    with pytest.raises(Invalid, match="mysql-z"):
        faults.find(FAULT).plan(standing.of(lab), of="mysql-z")
