"""One instance of the application dies or hangs: seen from outside, healed however often, seen by nobody undone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from small_labs import bring_up, wait_until
from witnessed import sees_nothing, watching

from ftchaos.clock import now
from ftchaos.errors import Invalid
from ftchaos.platforms.base import Harm
from ftchaos.platforms.lab import faults, serving, standing
from ftchaos.platforms.lab.lab import Lab

CASES = [
    ("kill_instance", "api"),
    ("kill_instance", "websocket"),
    ("kill_instance", "worker"),
    ("lose_target", "api"),
    ("lose_target", "websocket"),
]


@pytest.fixture(scope="module")
def lab(state: Path) -> Iterator[Lab]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FTCHAOS_LAB_MODE", "root")
        lab = bring_up("instances", "mariadb")
        yield lab
        lab.down()


def planned(lab: Lab, fault: str, tier: str) -> Harm:
    instance = serving.holder_of_sockets(lab) if tier == "websocket" else ""
    return faults.find(fault).plan(standing.of(lab), tier=tier, instance=instance)


def alive(lab: Lab, name: str) -> bool:
    return bool(lab.status()["services"][name]["alive"])


@pytest.mark.parametrize(("fault", "tier"), CASES)
def test_it_bites_is_seen_from_outside_and_heals_twice(lab: Lab, tmp_path: Path, fault: str, tier: str) -> None:
    harm = planned(lab, fault, tier)
    (name,) = harm.signs
    undo = json.loads(json.dumps(dict(harm.undo)))
    with watching(tmp_path, lab, harm) as seen:
        fault_at = now()
        assert name in faults.find(fault).inject(lab, harm)

        assert seen.beats_until_proven(fault_at) <= 2
        if tier != "worker":
            assert wait_until(lambda: not serving.targets(lab, "api")[name], 60)
        assert alive(lab, name) is (fault == "lose_target")

        assert name in faults.find(fault).heal(lab, undo)
        assert alive(lab, name)
        assert all(serving.targets(lab, "api").values())
        seen.wait_up()
        assert name in faults.find(fault).heal(lab, undo)


@pytest.mark.parametrize(("fault", "tier"), CASES)
def test_a_heal_before_anything_was_done_changes_nothing_and_nobody_sees_a_plan(
    lab: Lab, tmp_path: Path, fault: str, tier: str
) -> None:
    harm = planned(lab, fault, tier)
    before = lab.status()["services"]

    assert sees_nothing(tmp_path, lab, harm)
    faults.find(fault).heal(lab, harm.undo)

    assert lab.status()["services"] == before


def test_an_instance_that_died_while_it_hung_is_begun_again(lab: Lab) -> None:
    harm = planned(lab, "lose_target", "api")
    faults.find("lose_target").inject(lab, harm)
    lab.call("kill_service", name=harm.undo["instance"])

    faults.find("lose_target").heal(lab, harm.undo)

    assert all(serving.targets(lab, "api").values())


def test_socket_io_clients_all_meet_the_same_instance(lab: Lab) -> None:
    assert len({serving.holder_of_sockets(lab) for _ in range(3)}) == 1


def test_a_tier_or_an_instance_that_is_not_there_is_refused(lab: Lab) -> None:
    where = standing.of(lab)
    for fault, arguments in [
        ("kill_instance", {"tier": "cache"}),
        ("kill_instance", {"tier": "worker", "instance": "api-a"}),
        ("lose_target", {"tier": "worker"}),
    ]:
        with pytest.raises(Invalid):
            faults.find(fault).plan(where, **arguments)
