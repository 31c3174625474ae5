"""A MySQL replica dies or falls behind: seen from outside, writes go on, and it is healed until it has everything."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fault_bench import (
    bites_and_heals,
    heal,
    heals_after_a_crash,
    heals_what_was_never_done,
    plan,
    sees_nothing,
)
from small_labs import bring_up, wait_until

from ftchaos.errors import Invalid
from ftchaos.mysql import session
from ftchaos.platforms.lab import faults, weak
from ftchaos.platforms.lab.lab import Lab
from ftchaos.platforms.lab.tier import Tier

FAULT, WEAKER = "fail_mysql_replica", "weaken_durability"


@pytest.fixture(scope="module", params=["mariadb", "mysql"])
def lab(request: pytest.FixtureRequest, state: Path) -> Iterator[Lab]:
    made = bring_up(f"replica-{request.param}", request.param)
    yield made
    made.down()


def write(lab: Lab, key: int) -> None:
    with Tier(lab).primary.connect() as leader:
        session.execute(leader, [f"REPLACE INTO filetransfer.users VALUES ({key}, '{key}@x', 'n', NOW())"])


def has(lab: Lab, server: str, key: int) -> bool:
    with Tier(lab).servers[server].connect() as connection:
        return bool(session.value(connection, "SELECT COUNT(*) FROM filetransfer.users WHERE id = %s", (key,)))


@pytest.mark.parametrize("manner", ["kill", "lag"])
def test_without_injection_nothing_is_seen(lab: Lab, tmp_path: Path, manner: str) -> None:
    sees_nothing(lab, tmp_path, FAULT, manner=manner)


@pytest.mark.parametrize("manner", ["kill", "lag"])
def test_healing_what_was_never_done_is_harmless(lab: Lab, manner: str) -> None:
    heals_what_was_never_done(lab, FAULT, manner=manner)


@pytest.mark.parametrize(("manner", "zone"), [("kill", ""), ("lag", ""), ("lag", "zone-c")])
def test_a_replica_falls_and_is_healed(lab: Lab, tmp_path: Path, manner: str, zone: str) -> None:
    harm = bites_and_heals(lab, tmp_path, FAULT, manner=manner, zone=zone)

    (target,) = harm.targets
    assert target.name == ("mysql-c" if zone else "mysql-b")
    assert () == harm.hits


def test_a_replica_that_falls_behind_confirms_what_it_does_not_show(lab: Lab) -> None:
    harm = plan(lab, FAULT, manner="lag")
    lab.call("kill_service", name="mysql-c")
    faults.FAULTS[FAULT].inject(lab, harm)
    write(lab, 9000)  # returns, as mysql-b confirms it

    assert not has(lab, "mysql-b", 9000)
    heal(lab, FAULT, harm)
    assert has(lab, "mysql-b", 9000)


@pytest.mark.parametrize(("manner", "after"), [("kill", 0), ("kill", 9), ("lag", 9)])
def test_a_crash_half_way_is_healed(lab: Lab, manner: str, after: int) -> None:
    heals_after_a_crash(lab, FAULT, after, manner=manner)


@pytest.mark.parametrize("arguments", [{"zone": "zone-x"}, {"zone": "zone-a"}, {"manner": "gently"}])
def test_arguments_that_name_no_replica_are_refused(lab: Lab, arguments: dict[str, str]) -> None:
    with pytest.raises(Invalid):
        plan(lab, FAULT, **arguments)


def waits(lab: Lab) -> bool:
    primary = Tier(lab).primary
    with primary.connect() as connection:
        return primary.flavour.semi_sync_replicas(connection) > 0


def test_a_weaker_lab_waits_for_no_replica_whoever_leads_until_it_is_made_strong(lab: Lab) -> None:
    harm = plan(lab, WEAKER)
    assert 3 == len(harm.targets)
    assert waits(lab)
    heal(lab, WEAKER, harm)
    assert waits(lab)

    faults.FAULTS[WEAKER].inject(lab, harm)
    assert not waits(lab)
    primary = plan(lab, "fail_mysql_primary", manner="polite")
    faults.FAULTS["fail_mysql_primary"].inject(lab, primary)
    heal(lab, "fail_mysql_primary", primary)
    assert not waits(lab)

    heal(lab, WEAKER, harm)
    assert waits(lab)
    heal(lab, WEAKER, harm)
    write(lab, 9001)
    assert waits(lab)


def test_a_weaker_lab_acknowledges_what_a_cut_replica_never_gets(lab: Lab) -> None:
    weak.weaken(lab)
    lag = plan(lab, "fail_mysql_primary", manner="lag")
    before = Tier(lab).primary.name
    lab.call("block", flows=lag.undo["flows"])
    write(lab, 9002)  # returns though nobody else has it
    lab.call("kill_service", name=before)
    assert wait_until(lambda: Tier(lab).primary.name != before, 60)
    said = heal(lab, "fail_mysql_primary", lag)

    assert "was made anew" in said
    assert not any(has(lab, name, 9002) for name in Tier(lab).servers)
    weak.strengthen(lab)
    assert waits(lab)
