"""A clock that jumps: seen against the clients' own, nothing waits longer or shorter for it, and it comes back."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from small_labs import bring_up, wait_until, whole
from steady_writer import writing
from witnessed import sees_nothing, watching

from ftchaos.clock import now
from ftchaos.conclusion.parts import differences
from ftchaos.errors import Invalid
from ftchaos.mysql import session
from ftchaos.platforms.base import Harm
from ftchaos.platforms.lab import clocks, faults, standing
from ftchaos.platforms.lab import state as states
from ftchaos.platforms.lab.lab import Lab
from ftchaos.platforms.lab.layout import Layout
from ftchaos.platforms.lab.tier import Tier

FAULT = "jump_clock"


@pytest.fixture(scope="module", params=["mariadb", "mysql"])
def lab(request: pytest.FixtureRequest, state: Path) -> Iterator[Lab]:
    leftovers = set(Path("/dev/shm").glob("faketime*"))
    lab = bring_up(f"clock-{request.param}", request.param)
    yield lab
    lab.down()
    assert set(Path("/dev/shm").glob("faketime*")) == leftovers


@pytest.fixture
def before(lab: Lab) -> dict[str, str]:
    """The state of a whole lab."""
    return whole(lab)


def planned(lab: Lab, by: str = "1h") -> Harm:
    return faults.find(FAULT).plan(standing.of(lab), by=by)


@pytest.mark.parametrize(("by", "after"), [("1h", "1 h ahead"), ("-1h", "1 h behind")])
def test_the_primarys_clock_jumps_is_seen_to_and_comes_back(
    lab: Lab, tmp_path: Path, before: dict[str, str], by: str, after: str
) -> None:
    harm = planned(lab, by)
    name = harm.undo["server"]
    undo = json.loads(json.dumps(dict(harm.undo)))
    with writing(lab) as writer:
        with watching(tmp_path, lab, harm) as seen:
            fault_at = now()
            assert name in faults.find(FAULT).inject(lab, harm)
            assert seen.proven(fault_at) < 5
            assert differences(before, states.state(lab)) == [f"clock of {name}: right before, {after} after"]
            assert writer.goes_on()

            faults.find(FAULT).heal(lab, undo)
            seen.wait_up()
        assert writer.goes_on()
    faults.find(FAULT).heal(lab, undo)

    assert differences(before, states.state(lab)) == []
    assert [writer.lost(name) for name in Tier(lab).servers] == [set(), set(), set()]


def test_a_wait_lasts_as_long_as_it_was_told_to_although_the_clock_jumps(lab: Lab) -> None:
    harm = planned(lab)
    with Tier(lab).servers[harm.undo["server"]].connect() as connection:
        faults.find(FAULT).inject(lab, harm)
        began_at = time.monotonic()
        session.value(connection, "SELECT SLEEP(0.5)")
        lasted_s = time.monotonic() - began_at
    faults.find(FAULT).heal(lab, harm.undo)

    assert 0.4 < lasted_s < 5


def test_nobody_sees_a_plan_and_its_heal_changes_nothing(lab: Lab, tmp_path: Path, before: dict[str, str]) -> None:
    harm = planned(lab)

    assert sees_nothing(tmp_path, lab, harm)
    faults.find(FAULT).heal(lab, harm.undo)

    assert differences(before, states.state(lab)) == []


def test_a_replica_that_begins_anew_with_its_clock_off_is_healed(lab: Lab, before: dict[str, str]) -> None:
    harm = faults.find(FAULT).plan(standing.of(lab), by="-2h", of="replica")
    name = harm.undo["server"]
    faults.find(FAULT).inject(lab, harm)
    lab.call("kill_service", name=name)
    lab.call("begin_service", name=name)
    assert wait_until(lambda: states.state(lab).get(f"clock of {name}") == "2 h behind", 60)

    faults.find(FAULT).heal(lab, harm.undo)

    assert wait_until(lambda: differences(before, states.state(lab)) == [], 60)


def test_what_cannot_be_had_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    fresh = standing.fresh(Layout.of("root", ""))
    for arguments in ({"by": "1s"}, {"by": "soon"}, {"of": "mysql-z"}):
        with pytest.raises(Invalid):
            faults.find(FAULT).plan(fresh, **arguments)
    with pytest.raises(Invalid, match="loopback"):
        faults.find(FAULT).plan(standing.fresh(Layout.of("loopback", "x")))
    monkeypatch.setattr(clocks, "library", lambda: None)
    with pytest.raises(Invalid, match="libfaketime is missing"):
        faults.find(FAULT).plan(fresh)
