"""A full disk: the kernel says ENOSPC, commits wait, and go on without loss when there is room again."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
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
from ftchaos.platforms.lab import faults, standing, volume
from ftchaos.platforms.lab import state as states
from ftchaos.platforms.lab.lab import Lab
from ftchaos.platforms.lab.layout import Layout
from ftchaos.platforms.lab.tier import Tier

FAULT = "fill_disk"


@pytest.fixture(scope="module", params=["mariadb", "mysql"])
def lab(request: pytest.FixtureRequest, state: Path) -> Iterator[Lab]:
    lab = bring_up(f"disk-{request.param}", request.param)
    yield lab
    lab.down()


@pytest.fixture
def before(lab: Lab) -> dict[str, str]:
    """The state of a whole lab."""
    return whole(lab)


def planned(lab: Lab) -> Harm:
    return faults.find(FAULT).plan(standing.of(lab))


def logs(lab: Lab, name: str) -> list[str]:
    """The binary logs by the server's own account; each can be read to its end."""
    server = Tier(lab).servers[name]
    with server.connect() as connection:
        names = [row["Log_name"] for row in session.rows(connection, "SHOW BINARY LOGS")]
        for log in names:
            session.rows(connection, f"SHOW BINLOG EVENTS IN '{log}'")
    assert all((server.datadir / "log" / log).is_file() for log in names)
    return names


def test_commits_wait_for_room_are_seen_to_and_go_on_without_loss(
    lab: Lab, tmp_path: Path, before: dict[str, str]
) -> None:
    harm = planned(lab)
    undo = json.loads(json.dumps(dict(harm.undo)))
    with writing(lab) as writer:
        with watching(tmp_path, lab, harm) as seen:
            fault_at = now()
            assert "not one byte more" in faults.find(FAULT).inject(lab, harm)
            assert seen.beats_until_proven(fault_at) <= 2
            assert not writer.goes_on(1)
            assert "No space left on device" in (lab.folder / "zone-a" / "mysql-a" / "error.log").read_text()
            told = differences(before, states.state(lab))
            assert told == ["binary log of mysql-a: on its disk before, on a volume of 1.0 MiB, full after"]

            faults.find(FAULT).heal(lab, undo)
            seen.wait_up()
        assert writer.goes_on()
    faults.find(FAULT).heal(lab, undo)

    assert differences(before, states.state(lab)) == []
    assert [writer.lost(name) for name in Tier(lab).servers] == [set(), set(), set()]
    assert len(logs(lab, "mysql-a")) >= 3


def test_nobody_sees_a_plan_and_its_heal_changes_no_more_than_a_new_log(
    lab: Lab, tmp_path: Path, before: dict[str, str]
) -> None:
    harm = planned(lab)

    assert sees_nothing(tmp_path, lab, harm)
    faults.find(FAULT).heal(lab, harm.undo)

    assert differences(before, states.state(lab)) == []


def _mounted(lab: Lab, harm: Harm) -> None:
    volume.mount(lab, harm.undo["zone"], Tier(lab).servers[harm.undo["server"]].datadir)


def _rotated(lab: Lab, harm: Harm) -> None:
    _mounted(lab, harm)
    with Tier(lab).servers[harm.undo["server"]].connect() as connection:
        session.execute(connection, ["FLUSH BINARY LOGS"])


def _half_healed(lab: Lab, harm: Harm) -> None:
    _rotated(lab, harm)
    volume.leave(lab, harm.undo["zone"], Tier(lab).servers[harm.undo["server"]].datadir)


def _killed(lab: Lab, harm: Harm) -> None:
    faults.find(FAULT).inject(lab, harm)
    lab.call("kill_service", name=harm.undo["server"])


@pytest.mark.parametrize("half", [_mounted, _rotated, _half_healed])
def test_a_heal_after_a_crash_at_any_step_brings_everything_back(
    lab: Lab, before: dict[str, str], half: Callable[[Lab, Harm], None]
) -> None:
    harm = planned(lab)
    with writing(lab) as writer:
        half(lab, harm)
        faults.find(FAULT).heal(lab, harm.undo)
        assert writer.goes_on()

    assert differences(before, states.state(lab)) == []
    assert [writer.lost(name) for name in Tier(lab).servers] == [set(), set(), set()]
    logs(lab, harm.undo["server"])


def test_a_replica_whose_disk_is_full_disturbs_no_writer(lab: Lab, tmp_path: Path, before: dict[str, str]) -> None:
    harm = faults.find(FAULT).plan(standing.of(lab), zone="zone-b")
    assert harm.hits == ("database",)
    with writing(lab) as writer, watching(tmp_path, lab, harm) as seen:
        fault_at = now()
        faults.find(FAULT).inject(lab, harm)
        seen.proven(fault_at)
        assert writer.goes_on(2)


def test_a_server_that_dies_of_its_full_disk_comes_back(lab: Lab) -> None:
    """Last, for it ends with another leader; the replica's disk of the test before is full until then."""
    faults.find(FAULT).heal(lab, {"server": "mysql-b", "zone": "zone-b"})
    harm = planned(lab)
    with writing(lab) as writer:
        _killed(lab, harm)
        assert wait_until(lambda: Tier(lab).primary.name != harm.undo["server"], 60)
        faults.find(FAULT).heal(lab, harm.undo)
        assert writer.goes_on()

    assert [writer.lost(name) for name in Tier(lab).servers] == [set(), set(), set()]
    logs(lab, harm.undo["server"])


def test_where_zones_have_no_mounts_of_their_own_it_is_refused() -> None:
    with pytest.raises(Invalid, match="no volumes"):
        faults.find(FAULT).plan(standing.fresh(Layout.of("loopback", "x")))
