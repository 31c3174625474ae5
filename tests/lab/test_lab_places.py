"""Places of the lab: reached from the client, cut, killed in one call, and back again."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
from residue import gone_within, networks, processes
from small_labs import bring_up_bare, small_server

from ftchaos.errors import Invalid
from ftchaos.platforms.lab.lab import Lab
from ftchaos.platforms.lab.layout import ZONES
from ftchaos.process import alive

_CONNECT = "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), 0.4).close()"


def reached(lab: Lab, place: str, port: int = 7000) -> bool:
    """Whether a client of the lab can connect."""
    argv = lab.client_argv([sys.executable, "-S", "-c", _CONNECT, lab.layout.address(place), str(port)])
    return subprocess.run(argv, capture_output=True, check=False).returncode == 0


def test_a_client_reaches_a_service_in_every_zone(bare_lab: Lab) -> None:
    for zone in ZONES:
        bare_lab.call("begin_service", spec=small_server(bare_lab, zone).to_json())

    assert [reached(bare_lab, zone) for zone in ZONES] == [True, True, True]


@pytest.mark.alone
def test_a_zone_dies_in_one_call_and_comes_back_with_its_services(bare_lab: Lab) -> None:
    for port in (7010, 7011, 7012):
        bare_lab.call("begin_service", spec=small_server(bare_lab, "zone-b", port=port).to_json())
    services = bare_lab.status()["services"]
    pids = [service["pid"] for service in services.values() if service["place"] == "zone-b"]
    assert all(alive(pid) for pid in pids)
    assert reached(bare_lab, "zone-b", 7010)

    killed = bare_lab.call("kill_zone", zone="zone-b")

    assert killed["gone_at"] - killed["killed_at"] < 1.0
    assert not any(alive(pid) for pid in pids)
    assert not reached(bare_lab, "zone-b", 7010)
    assert bare_lab.status()["places"]["zone-b"]["alive"] is False
    assert bare_lab.call("kill_zone", zone="zone-b")["services"] == []

    begun = bare_lab.call("begin_zone", zone="zone-b")

    assert {"redis-zone-b-7010", "redis-zone-b-7011", "redis-zone-b-7012"} <= set(begun["services"])
    assert reached(bare_lab, "zone-b", 7010)


def test_a_cut_zone_is_unreachable_while_its_services_run_on(bare_lab: Lab) -> None:
    spec = small_server(bare_lab, "zone-c", port=7020)
    pid = bare_lab.call("begin_service", spec=spec.to_json())["pid"]
    if bare_lab.mode == "loopback":
        with pytest.raises(Invalid, match="cannot be cut"):
            bare_lab.call("cut_zone", zone="zone-c")
        assert "network" in bare_lab.status()["faults_not_to_be_had"][0]
        return
    assert reached(bare_lab, "zone-c", 7020)

    bare_lab.call("cut_zone", zone="zone-c")
    bare_lab.call("cut_zone", zone="zone-c")

    assert not reached(bare_lab, "zone-c", 7020)
    assert alive(pid)
    assert bare_lab.facts["places"]["zone-c"]["cut"] is True

    bare_lab.call("mend_zone", zone="zone-c")
    bare_lab.call("mend_zone", zone="zone-c")

    assert reached(bare_lab, "zone-c", 7020)


def test_a_service_begun_in_a_cut_zone_is_ready_inside_it(bare_lab: Lab) -> None:
    if bare_lab.mode == "loopback":
        return
    bare_lab.call("cut_zone", zone="zone-a")
    try:
        bare_lab.call("begin_service", spec=small_server(bare_lab, "zone-a", port=7030).to_json())
    finally:
        bare_lab.call("mend_zone", zone="zone-a")

    assert reached(bare_lab, "zone-a", 7030)


def test_a_shell_in_a_place_sees_its_processes_only(bare_lab: Lab) -> None:
    shell = bare_lab.shell_argv("zone-a")[:-1]
    if bare_lab.mode == "loopback":
        assert shell == []
        return
    command = [*shell, "sh", "-c", "ls -d /proc/[0-9]* | wc -l; ip -br addr show dev eth0"]

    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout

    assert int(said.split()[0]) < 15
    assert bare_lab.layout.address("zone-a") in said


def test_two_labs_live_side_by_side(bare_lab: Lab, state: Path) -> None:
    other = bring_up_bare(f"{bare_lab.name}-other")
    for lab in (bare_lab, other):
        lab.call("begin_service", spec=small_server(lab, "zone-a", port=7040).to_json())
    before = processes(state)

    other.call("kill_service", name="redis-zone-a-7040")

    assert reached(bare_lab, "zone-a", 7040)
    assert not reached(other, "zone-a", 7040)
    if bare_lab.mode != "loopback":
        assert len(networks(before)) == 12
    other.down()
    assert reached(bare_lab, "zone-a", 7040)


def test_a_second_lab_of_a_name_is_refused(bare_lab: Lab) -> None:
    with pytest.raises(Invalid, match=f"the lab '{bare_lab.name}' is up already") as refused:
        bring_up_bare(bare_lab.name)

    assert "lab down" in refused.value.hint
    assert Lab.attach(bare_lab.name) == bare_lab


@pytest.mark.alone
def test_down_leaves_nothing_and_may_be_repeated(state: Path) -> None:
    lab = bring_up_bare("gone", ephemeral=False)
    pid = lab.status()["pid"]
    began_at = time.monotonic()

    lab.down()
    lab.down()

    assert time.monotonic() - began_at < 2
    assert not alive(pid)
    assert not lab.folder.exists()
    with pytest.raises(Invalid, match="is not up"):
        Lab.attach("gone")


def test_a_long_folder_is_no_obstacle(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    far = state / ("a" * 100) / ("b" * 100)
    monkeypatch.setenv("FTCHAOS_STATE", str(far))

    lab = bring_up_bare("far")

    assert lab.status()["up"] is True
    lab.down()
    assert gone_within(far, 1)
