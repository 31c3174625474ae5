"""The queue's master dies or is cut off: seen from outside, and healed until the Sentinels agree."""

from __future__ import annotations

import subprocess
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

from ftchaos.errors import Invalid
from ftchaos.platforms.lab import faults, standing
from ftchaos.platforms.lab.lab import Lab

FAULT = "fail_queue_master"


@pytest.fixture(scope="module")
def lab(state: Path) -> Iterator[Lab]:
    made = bring_up("queue-master", "mariadb")
    yield made
    made.down()


@pytest.mark.parametrize("manner", ["kill", "partition"])
def test_without_injection_nothing_is_seen(lab: Lab, tmp_path: Path, manner: str) -> None:
    sees_nothing(lab, tmp_path, FAULT, manner=manner)


def test_healing_what_was_never_done_is_harmless(lab: Lab) -> None:
    heals_what_was_never_done(lab, FAULT, manner="lag")


@pytest.mark.parametrize("manner", ["kill", "lag", "partition"])
def test_the_master_falls_and_is_healed(lab: Lab, tmp_path: Path, manner: str) -> None:
    harm = bites_and_heals(lab, tmp_path, FAULT, manner=manner)

    assert ("queue", "websocket") == harm.hits
    assert {"redis-queue"} <= {target.kind for target in harm.targets}


@pytest.mark.parametrize("manner", ["kill", "partition"])
def test_a_fault_that_outlasts_the_failover_is_healed(lab: Lab, manner: str) -> None:
    before = standing.of(lab).queue_master
    harm = plan(lab, FAULT, manner=manner)
    faults.FAULTS[FAULT].inject(lab, harm)
    others = [name for name in ("sentinel-a", "sentinel-b", "sentinel-c") if name[-1] != before[-1]]
    assert wait_until(lambda: named_by(lab, others[0]) not in ("", address_of(lab, before)), 60)

    heal(lab, FAULT, harm)
    ensure_all_run(lab)

    assert {named_by(lab, f"sentinel-{letter}") for letter in "abc"} == {named_by(lab, others[0])}
    assert before != standing.of(lab).queue_master


def named_by(lab: Lab, sentinel: str) -> str:
    """The address that a Sentinel calls the master's; empty when it does not answer."""
    member = standing.members(lab.layout)[sentinel].watched
    argv = [
        "redis-cli",
        "-h",
        member["host"],
        "-p",
        str(member["port"]),
        "SENTINEL",
        "GET-MASTER-ADDR-BY-NAME",
        "queue",
    ]
    done = subprocess.run(lab.client_argv(argv), capture_output=True, text=True, check=False, timeout=10)
    return next(iter(done.stdout.split()), "")


def address_of(lab: Lab, server: str) -> str:
    return str(standing.members(lab.layout)[server].watched["host"])


@pytest.mark.parametrize(("manner", "after"), [("kill", 0), ("lag", 1), ("partition", 9)])
def test_a_crash_half_way_is_healed(lab: Lab, manner: str, after: int) -> None:
    heals_after_a_crash(lab, FAULT, after, manner=manner)


def test_a_manner_that_there_is_not_is_refused(lab: Lab) -> None:
    with pytest.raises(Invalid, match="polite"):
        plan(lab, FAULT, manner="polite")
