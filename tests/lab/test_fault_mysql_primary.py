"""The MySQL primary dies, is cut off, or steps down: seen from outside, and healed until all follow one leader."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from fault_bench import (
    bites_and_heals,
    ensure_all_run,
    heal,
    heals_after_a_crash,
    heals_what_was_never_done,
    plan,
    sees_nothing,
)
from small_labs import bring_up, wait_until

from ftchaos.errors import Invalid, StepFailed
from ftchaos.mysql import session
from ftchaos.platforms.lab import faults
from ftchaos.platforms.lab.decisions import Folder
from ftchaos.platforms.lab.lab import Lab
from ftchaos.platforms.lab.tier import Tier

FAULT = "fail_mysql_primary"


@pytest.fixture(scope="module", params=["mariadb", "mysql"])
def lab(request: pytest.FixtureRequest, state: Path) -> Iterator[Lab]:
    made = bring_up(f"primary-{request.param}", request.param)
    yield made
    made.down()


def write(lab: Lab, key: int) -> None:
    """A row on the leader that everybody must get."""
    with Tier(lab).primary.connect() as leader:
        session.execute(leader, [f"REPLACE INTO filetransfer.users VALUES ({key}, '{key}@x', 'n', NOW())"])


def holders(lab: Lab, key: int) -> set[str]:
    """The servers that have it."""
    found = set()
    for name, server in Tier(lab).servers.items():
        with server.connect() as connection:
            if session.value(connection, "SELECT COUNT(*) FROM filetransfer.users WHERE id = %s", (key,)):
                found.add(name)
    return found


def ensure_whole(lab: Lab, key: int) -> None:
    """A write reaches everybody, and a commit waits for a replica again."""
    write(lab, key)
    assert wait_until(lambda: holders(lab, key) == {"mysql-a", "mysql-b", "mysql-c"}, 60), holders(lab, key)
    with Tier(lab).primary.connect() as leader:
        flavour = Tier(lab).primary.flavour
        assert wait_until(lambda: flavour.semi_sync_replicas(leader) == 2, 60)


@pytest.mark.parametrize("manner", ["kill", "partition", "polite"])
def test_without_injection_nothing_is_seen(lab: Lab, tmp_path: Path, manner: str) -> None:
    sees_nothing(lab, tmp_path, FAULT, manner=manner)


@pytest.mark.parametrize("manner", ["partition", "polite"])
def test_healing_what_was_never_done_is_harmless(lab: Lab, manner: str) -> None:
    heals_what_was_never_done(lab, FAULT, manner=manner)


@pytest.mark.parametrize("manner", ["kill", "lag", "partition", "polite"])
def test_the_primary_falls_and_is_healed(lab: Lab, tmp_path: Path, manner: str) -> None:
    before = Tier(lab).primary.name
    harm = bites_and_heals(lab, tmp_path, FAULT, manner=manner)

    assert ("" != harm.inside) == (manner == "partition")
    assert [before] == [target.name for target in harm.targets]
    ensure_whole(lab, 9000 + len(manner))


def test_the_polite_failover_changes_the_leader_and_makes_nobody_anew(lab: Lab) -> None:
    before = Tier(lab).primary.name
    said = faults.FAULTS[FAULT].inject(lab, plan(lab, FAULT, manner="polite"))
    after = Tier(lab).primary.name

    assert before != after
    assert f"{after} leads in the place of {before}" == said
    assert "anew" not in heal(lab, FAULT, plan(lab, FAULT, manner="polite"))


@pytest.mark.parametrize("manner", ["kill", "partition"])
def test_a_fault_that_outlasts_the_failover_is_healed_and_who_diverged_is_made_anew(lab: Lab, manner: str) -> None:
    tier = Tier(lab)
    before = tier.primary
    harm, lagging = plan(lab, FAULT, manner=manner), plan(lab, FAULT, manner="lag").undo["flows"]
    if manner == "kill":
        # A transaction that no replica has: what a primary without semi-sync leaves behind.
        with before.connect() as connection:
            session.execute(connection, before.flavour.semi_sync_source(False))
        lab.call("block", flows=lagging)
        write(lab, 9100)
    faults.FAULTS[FAULT].inject(lab, harm)
    assert wait_until(lambda: tier.primary.name != before.name, 60)
    lab.call("unblock", flows=lagging)
    said = heal(lab, FAULT, harm)

    if manner == "kill":
        assert f"{before.name} held what the primary never had" in said
        assert set() == holders(lab, 9100)
    ensure_all_run(lab)
    ensure_whole(lab, 9200)


@pytest.mark.parametrize(("manner", "after"), [("kill", 0), ("lag", 1), ("lag", 2), ("partition", 9)])
def test_a_crash_half_way_is_healed(lab: Lab, manner: str, after: int) -> None:
    heals_after_a_crash(lab, FAULT, after, manner=manner)
    ensure_whole(lab, 9300)


def test_a_heal_that_died_while_it_made_a_server_anew_is_completed(lab: Lab) -> None:
    harm = plan(lab, FAULT)
    follower = next(server for name, server in Tier(lab).servers.items() if name != Tier(lab).primary.name)
    lab.call("forget_service", name=follower.name)
    shutil.rmtree(follower.datadir)

    assert f"{follower.name} held" in heal(lab, FAULT, harm)
    ensure_all_run(lab)
    ensure_whole(lab, 9500)


def test_the_manager_refuses_to_demote_who_does_not_lead(lab: Lab) -> None:
    follower = next(name for name in Tier(lab).servers if name != Tier(lab).primary.name)

    with pytest.raises(StepFailed, match=f"refused to take the lead from {follower}"):
        Folder.of(lab.folder).switch(follower)

    ensure_whole(lab, 9400)


def test_a_manner_that_there_is_not_is_refused(lab: Lab) -> None:
    with pytest.raises(Invalid, match="gently"):
        plan(lab, FAULT, manner="gently")
