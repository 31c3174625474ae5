"""The lab with everything in it: it serves, its replicas follow, and it survives the loss of a zone."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from residue import gone_within, processes
from small_labs import bring_up, wait_until

from ftchaos.errors import FtchaosError, Invalid, StepFailed
from ftchaos.mysql import session
from ftchaos.platforms.lab import copies, database
from ftchaos.platforms.lab.decisions import Folder
from ftchaos.platforms.lab.lab import Lab
from ftchaos.platforms.lab.layout import EDGE, PUBLIC_PORT, QUEUE_REDIS_PORT, ZONES, Layout
from ftchaos.platforms.lab.tier import Tier

_UPLOAD = """
import http.client, json, sys
connection = http.client.HTTPConnection(sys.argv[1], int(sys.argv[2]), timeout=5)
body = {"upload_key": int(sys.argv[3]), "name": "Bericht.txt", "owner": 1, "content": "x"}
connection.request("POST", "/api/files", json.dumps(body), {"Content-Type": "application/json"})
print(connection.getresponse().status)
"""


def upload(lab: Lab, key: int) -> int:
    """The status of an upload as a client makes it; 0 when there was no answer."""
    address = lab.layout.address(EDGE)
    argv = lab.client_argv([sys.executable, "-S", "-c", _UPLOAD, address, str(PUBLIC_PORT), str(key)])
    said = subprocess.run(argv, capture_output=True, text=True, check=False).stdout.strip()
    return int(said or 0)


def count(lab: Lab, server: str, key: int) -> int:
    with database.servers(lab.facts)[server].connect() as connection:
        return int(session.value(connection, "SELECT COUNT(*) FROM filetransfer.files WHERE upload_key = %s", (key,)))


def completed(lab: Lab, server: str, key: int) -> bool:
    """Whether a server has the worker's last word on an upload."""
    question = "SELECT t.status FROM filetransfer.transfers t JOIN filetransfer.files f ON f.id = t.file_id"
    with database.servers(lab.facts)[server].connect() as connection:
        return bool(session.value(connection, f"{question} WHERE f.upload_key = %s", (key,)) == "completed")


def primary(lab: Lab) -> str:
    decided = Folder.of(lab.folder).primary()
    assert decided is not None
    return str(decided["primary"])


def dead_services(lab: Lab) -> list[str]:
    services: dict[str, Any] = lab.status()["services"]
    return [name for name, service in services.items() if not service["alive"]]


def test_a_lab_has_every_server_in_its_zone(full_lab: Lab) -> None:
    services = full_lab.status()["services"]

    assert dead_services(full_lab) == []
    for zone in ZONES:
        here = {name for name, service in services.items() if service["place"] == zone}
        letter = zone[-1]
        assert {f"mysql-{letter}", f"api-{letter}", f"worker-{letter}", f"sentinel-{letter}"} <= here
        assert len(here) == 7
    assert {"haproxy", "failover", "archiver"} == {
        name for name, service in services.items() if service["place"] == EDGE
    }
    assert full_lab.facts["mysql"]["primary"] == primary(full_lab) == "mysql-a"
    assert (full_lab.folder / "secret").stat().st_mode & 0o077 == 0


def test_an_upload_reaches_every_database(full_lab: Lab) -> None:
    assert upload(full_lab, 71) == 201
    assert upload(full_lab, 71) == 200

    assert count(full_lab, "mysql-a", 71) == 1
    assert wait_until(lambda: count(full_lab, "mysql-b", 71) == count(full_lab, "mysql-c", 71) == 1, 60)


def test_the_lab_serves_without_the_primarys_zone_and_takes_it_back(full_lab: Lab) -> None:
    assert upload(full_lab, 81) == 201
    # A primary that dies with a commit in flight has diverged, and only a rebuild brings it back.
    assert wait_until(lambda: completed(full_lab, "mysql-b", 81) and completed(full_lab, "mysql-c", 81), 60)
    leader = primary(full_lab)
    zone = full_lab.facts["mysql"]["servers"][leader]["place"]

    full_lab.call("kill_zone", zone=zone)

    assert wait_until(lambda: primary(full_lab) != leader, 60)
    assert wait_until(lambda: upload(full_lab, 82) in (200, 201), 60)
    assert count(full_lab, primary(full_lab), 81) == 1

    full_lab.call("begin_zone", zone=zone)

    assert dead_services(full_lab) == []
    assert wait_until(lambda: _count_or_none(full_lab, leader, 82) == 1, 60)


def _count_or_none(lab: Lab, server: str, key: int) -> int | None:
    try:
        return count(lab, server, key)
    except FtchaosError:
        return None


def test_a_python_service_is_killed_and_begun_again_like_any_other(full_lab: Lab) -> None:
    before = full_lab.facts["services"]["failover"]["pid"]

    full_lab.call("kill_service", name="worker-c")
    full_lab.call("kill_service", name="failover")

    assert wait_until(lambda: full_lab.facts["services"]["failover"]["pid"] not in (None, before), 60)
    assert dead_services(full_lab) == ["worker-c"]
    full_lab.call("begin_service", name="worker-c")
    assert dead_services(full_lab) == []


@pytest.mark.parametrize("mode", ["root", "user", "loopback"])
def test_kill_9_of_a_full_labs_supervisor_leaves_nothing(
    mode: str, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FTCHAOS_LAB_MODE", mode)
    lab = bring_up(f"doomed-{mode}", "mariadb", ephemeral=False)
    assert upload(lab, 91) == 201
    ours = [pid for pid in processes(state) if Path(f"/proc/{pid}").exists()]
    assert len(ours) >= 26

    os.kill(lab.status()["pid"], signal.SIGKILL)

    assert wait_until(lambda: not lives_in(lab.folder), 3)
    lab.down()


def lives_in(folder: Path) -> list[int]:
    """Processes that work in a lab's folder, or have it in their arguments."""
    found = []
    for pid in processes(folder.parents[1]):
        try:
            arguments = Path(f"/proc/{pid}/cmdline").read_text()
            if str(folder) in arguments or os.readlink(f"/proc/{pid}/cwd").startswith(str(folder)):
                found.append(pid)
        except OSError:
            continue
    return found


def test_a_taken_port_ends_the_bring_up_with_its_name(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FTCHAOS_LAB_MODE", "loopback")
    address = Layout.of("loopback", str(state / "lab" / "squatted")).address("zone-b")
    squatter = subprocess.Popen(
        ["redis-server", "--bind", address, "--port", str(QUEUE_REDIS_PORT), "--save", ""], stdout=subprocess.DEVNULL
    )
    try:
        with pytest.raises(Invalid, match=f"port {QUEUE_REDIS_PORT} of {address} is taken"):
            bring_up("squatted", "mariadb")
    finally:
        squatter.kill()
        squatter.wait()

    assert not (state / "lab" / "squatted").exists()


def test_a_server_that_dies_ends_the_bring_up_with_its_last_words(
    state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flaw = tmp_path / "redis-server"
    flaw.write_text("#!/bin/sh\necho 'cannot allocate memory'\nexit 1\n")
    flaw.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")

    with pytest.raises(StepFailed, match=r"redis-\S+ died while it began: cannot allocate memory") as failed:
        bring_up("flawed", "mariadb")

    assert failed.value.hint.endswith("redis.log")
    assert gone_within(state / "lab" / "flawed", 2)
    assert not (state / "lab" / "flawed").exists()
    with pytest.raises(Invalid):
        Lab.attach("flawed")


def test_lab_json_is_whole_whenever_it_is_read(full_lab: Lab) -> None:
    for _ in range(200):
        facts = json.loads((full_lab.folder / "lab.json").read_text())

        assert facts["name"] == full_lab.name


def test_copies_of_a_primary_that_never_answers_are_not_compared(
    full_lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    tier = Tier(full_lab)
    with monkeypatch.context() as patch, tier.primary.connect() as holder:
        patch.setattr(copies, "ANSWER_S", 1.0)
        patch.setattr(copies, "WITHIN_S", 0.0)
        session.execute(holder, ["LOCK TABLES filetransfer.users WRITE"])
        hanging = copies.compare(tier)
    (first, second) = hanging.facts["checks"]

    assert [None, None] == [first["passed"], second["passed"]]
    assert "0 of 2 replicas" in hanging.summary
    assert [True, True] == [one["passed"] for one in copies.compare(tier).facts["checks"]]
