"""A slow server: measured with a clock from where clients are, and nobody else is slower for it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from small_labs import bring_up, wait_until, whole
from steady_writer import writing
from witnessed import sees_nothing, watching

from ftchaos.clock import now
from ftchaos.conclusion.parts import differences
from ftchaos.errors import Invalid
from ftchaos.platforms.base import Harm
from ftchaos.platforms.lab import faults, slowing, standing
from ftchaos.platforms.lab import state as states
from ftchaos.platforms.lab.lab import Lab
from ftchaos.platforms.lab.layout import Layout
from ftchaos.platforms.lab.tier import Tier

FAULT = "slow_dependency"
DELAY_S = 0.05
CONNECT = """
import socket, sys, time
def once():
    began_at = time.monotonic()
    socket.create_connection((sys.argv[1], int(sys.argv[2])), 5).close()
    return time.monotonic() - began_at
print(min(once() for _ in range(5)))
"""
# Lets a large answer come through the delay line: its segments are cut by the kernel, its checksums made there.
LARGE = """
import pymysql, sys
one = pymysql.connect(host=sys.argv[1], port=int(sys.argv[2]), user="monitor", password=sys.argv[3], ssl_disabled=True)
cursor = one.cursor()
cursor.execute("SELECT REPEAT('x', 4000000), REPEAT('y', 1000000)")
row = cursor.fetchone()
print(len(row[0]), len(row[1]), set(row[0]), set(row[1]))
"""


@pytest.fixture(scope="module", params=["root", "user"])
def lab(request: pytest.FixtureRequest, state: Path) -> Iterator[Lab]:
    """A lab with everything in it; what is slowed down is the network, whatever speaks through it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FTCHAOS_LAB_MODE", request.param)
        lab = bring_up(f"slow-{request.param}", "mariadb")
        yield lab
        lab.down()


@pytest.fixture
def before(lab: Lab) -> dict[str, str]:
    """The state of a whole lab."""
    return whole(lab)


def planned(lab: Lab, of: str = "mysql") -> Harm:
    return faults.find(FAULT).plan(standing.of(lab), of=of, delay="50ms")


def client(lab: Lab, program: str, name: str) -> str:
    """What a program says that reaches a server from where clients are."""
    watched = standing.members(lab.layout)[name].watched
    argv = [sys.executable, "-c", program, watched["host"], str(watched["port"]), lab.secret]
    return subprocess.run(lab.client_argv(argv), capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("of", ["mysql", "redis"])
def test_every_packet_is_late_is_seen_to_be_and_comes_at_once_again(
    lab: Lab, tmp_path: Path, before: dict[str, str], of: str
) -> None:
    harm = planned(lab, of)
    name = harm.undo["server"]
    undo = json.loads(json.dumps(dict(harm.undo)))
    with writing(lab) as writer:
        assert float(client(lab, CONNECT, name)) < DELAY_S
        with watching(tmp_path, lab, harm) as seen:
            fault_at = now()
            assert "50 ms later" in faults.find(FAULT).inject(lab, harm)

            assert seen.beats_until_proven(fault_at) <= 2
            assert 2 * DELAY_S <= float(client(lab, CONNECT, name)) < 4 * DELAY_S
            assert float(client(lab, CONNECT, "sentinel-a")) < DELAY_S
            assert writer.goes_on()
            assert differences(before, states.state(lab)) == ["zone-a: alive before, alive, slowed by 50 ms after"]

            faults.find(FAULT).heal(lab, undo)
            seen.wait_up()
        assert float(client(lab, CONNECT, name)) < DELAY_S
    faults.find(FAULT).heal(lab, undo)

    assert differences(before, states.state(lab)) == []
    assert [writer.lost(name) for name in Tier(lab).servers] == [set(), set(), set()]


def test_a_large_answer_comes_through_unharmed(lab: Lab) -> None:
    harm = planned(lab)
    faults.find(FAULT).inject(lab, harm)
    try:
        said = client(lab, LARGE, harm.undo["server"])
    finally:
        faults.find(FAULT).heal(lab, harm.undo)

    assert said == "4000000 1000000 {'x'} {'y'}\n"


def test_nobody_sees_a_plan_and_its_heal_changes_nothing(lab: Lab, tmp_path: Path, before: dict[str, str]) -> None:
    harm = planned(lab)

    assert sees_nothing(tmp_path, lab, harm)
    faults.find(FAULT).heal(lab, harm.undo)

    assert differences(before, states.state(lab)) == []


def test_slowed_twice_it_is_as_slow_as_told_last_and_healed_once(lab: Lab, before: dict[str, str]) -> None:
    harm = planned(lab)
    faults.find(FAULT).inject(lab, harm)
    faults.find(FAULT).inject(lab, faults.find(FAULT).plan(standing.of(lab), delay="100ms"))

    assert float(client(lab, CONNECT, harm.undo["server"])) >= 0.2
    faults.find(FAULT).heal(lab, harm.undo)

    assert wait_until(lambda: differences(before, states.state(lab)) == [], 60)


def test_what_cannot_be_slowed_is_refused() -> None:
    with pytest.raises(Invalid, match="no cable"):
        faults.find(FAULT).plan(standing.fresh(Layout.of("loopback", "x")))
    fresh = standing.fresh(Layout.of("root", ""))
    for arguments in ({"delay": "1ms"}, {"delay": "5s"}, {"of": "api-a"}, {"of": "nobody"}):
        with pytest.raises(Invalid):
            faults.find(FAULT).plan(fresh, **arguments)


def test_only_packets_of_the_ports_of_the_address_are_concerned() -> None:
    def packet(source: int, destination: int, to: int = 11) -> bytes:
        ip = bytes([0x45]) + bytes(8) + bytes([6]) + bytes(2) + bytes([10, 77, 0, 10]) + bytes([10, 77, 0, to])
        return bytes(22) + b"\x08\x00" + ip + source.to_bytes(2) + destination.to_bytes(2) + bytes(16)

    address = bytes([10, 77, 0, 11])
    assert slowing.concerns(packet(40000, 3306), address, {3306})
    assert not slowing.concerns(packet(40000, 3307), address, {3306})
    assert not slowing.concerns(packet(40000, 3306, to=12), address, {3306})
    assert not slowing.concerns(packet(3306, 40000), address, {3306})
    assert not slowing.concerns(bytes(60), address, {3306})
