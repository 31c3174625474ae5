"""A zone loses its power or is cut off, both ways or one: seen from outside, and healed whole."""

from __future__ import annotations

import subprocess
import sys
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
from ftchaos.platforms.lab import faults
from ftchaos.platforms.lab.lab import Lab
from ftchaos.platforms.lab.layout import EDGE, WRITER_PORT, ZONES
from ftchaos.platforms.lab.tier import Tier

FAULT = "fail_zone"


@pytest.fixture(scope="module", params=["mariadb", "mysql"])
def lab(request: pytest.FixtureRequest, state: Path) -> Iterator[Lab]:
    made = bring_up(f"zones-{request.param}", request.param)
    yield made
    made.down()


def test_without_injection_nothing_is_seen(lab: Lab, tmp_path: Path) -> None:
    sees_nothing(lab, tmp_path, FAULT, zone="zone-b")


def test_healing_what_was_never_done_is_harmless(lab: Lab) -> None:
    heals_what_was_never_done(lab, FAULT, manner="partition-in")


@pytest.mark.parametrize("manner", ["outage", "partition", "partition-in", "partition-out"])
def test_the_primarys_zone_falls_and_is_healed(lab: Lab, tmp_path: Path, manner: str) -> None:
    harm = bites_and_heals(lab, tmp_path, FAULT, manner=manner)

    assert ("" != harm.inside) == (manner != "outage")
    assert {"zone", "mysql", "redis-cluster", "redis-queue", "sentinel", "api", "worker"} == {
        target.kind for target in harm.targets
    }


@pytest.mark.parametrize("manner", ["outage", "partition", "partition-out"])
def test_a_zone_that_is_missed_for_long_comes_back(lab: Lab, manner: str) -> None:
    tier = Tier(lab)
    before = tier.primary.name
    harm = plan(lab, FAULT, manner=manner)
    faults.FAULTS[FAULT].inject(lab, harm)
    assert wait_until(lambda: tier.primary.name != before, 60)

    heal(lab, FAULT, harm)
    ensure_all_run(lab)

    assert tier.whole()


# Prints a line when it has the lock, and then is as silent as a worker in the middle of a transfer.
_LOCKS = """
import sys, pymysql
host, port, secret, wait_s = sys.argv[1:]
client = pymysql.connect(host=host, port=int(port), user="app", password=secret)
with client.cursor() as cursor:
    cursor.execute("SELECT GET_LOCK('row', %s)", (int(wait_s),))
    print(cursor.fetchone()[0], flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("manner", ["outage", "partition"])
def test_what_a_client_in_the_fallen_zone_had_locked_is_free_again(lab: Lab, manner: str) -> None:
    tier = Tier(lab)
    zone = next(one for one in ZONES if one != tier.zone(tier.primary))
    program = [sys.executable, "-c", _LOCKS, lab.layout.address(EDGE), str(WRITER_PORT), lab.secret]
    holder = subprocess.Popen(lab.place_argv([*program, "0"], zone), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert holder.stdout is not None
    held = holder.stdout.readline()
    harm = plan(lab, FAULT, manner=manner, zone=zone)
    faults.FAULTS[FAULT].inject(lab, harm)
    after = subprocess.run(lab.client_argv([*program, "60"]), capture_output=True, text=True, check=False, input="")
    heal(lab, FAULT, harm)
    ensure_all_run(lab)
    holder.communicate()

    assert b"1\n" == held
    assert "1\n" == after.stdout, after.stderr


@pytest.mark.parametrize("manner", ["outage", "partition-in"])
def test_a_crash_half_way_is_healed(lab: Lab, manner: str) -> None:
    heals_after_a_crash(lab, FAULT, 0, manner=manner)
    heals_after_a_crash(lab, FAULT, 9, manner=manner)


@pytest.mark.parametrize("arguments", [{"zone": "zone-x"}, {"manner": "gently"}])
def test_arguments_that_name_nothing_are_refused(lab: Lab, arguments: dict[str, str]) -> None:
    with pytest.raises(Invalid):
        plan(lab, FAULT, **arguments)
