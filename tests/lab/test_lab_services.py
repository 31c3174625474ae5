"""Services of the lab: begun, killed, begun again, and what is said when one cannot come up."""

from __future__ import annotations

import dataclasses
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from small_labs import bring_up_bare, small_server

from ftchaos.errors import Invalid, MissingProgram, StepFailed
from ftchaos.platforms.lab.lab import Lab
from ftchaos.platforms.lab.service import ServiceSpec
from ftchaos.process import alive


@pytest.fixture(scope="module")
def lab(state: Path) -> Iterator[Lab]:
    lab = bring_up_bare("services")
    yield lab
    lab.down()


def spec(lab: Lab, name: str, *argv: str, port: int | None = None, ready_timeout_s: float = 5) -> ServiceSpec:
    return ServiceSpec(
        name,
        "zone-a",
        argv,
        str(lab.folder),
        str(lab.folder / f"{name}.log"),
        port=port,
        ready_timeout_s=ready_timeout_s,
    )


@pytest.mark.alone
def test_a_killed_service_is_gone_when_the_call_returns(lab: Lab) -> None:
    pid = lab.call("begin_service", spec=small_server(lab, "zone-a").to_json())["pid"]
    assert alive(pid)

    killed = lab.call("kill_service", name="redis-zone-a-7000")

    assert killed["pid"] == pid
    assert killed["gone_at"] - killed["killed_at"] < 0.5
    assert not alive(pid)
    assert lab.facts["services"]["redis-zone-a-7000"]["alive"] is False
    assert lab.call("begin_service", name="redis-zone-a-7000")["pid"] != pid


def test_a_service_can_be_stopped_and_continued(lab: Lab) -> None:
    pid = lab.call("begin_service", spec=small_server(lab, "zone-a", port=7001).to_json())["pid"]

    lab.call("kill_service", name="redis-zone-a-7001", signal=int(signal.SIGSTOP))
    stopped = _state_within(pid, "T")
    lab.call("kill_service", name="redis-zone-a-7001", signal=int(signal.SIGCONT))

    assert stopped
    assert _state_within(pid, "S")


def test_a_service_that_restarts_comes_back_by_itself(lab: Lab) -> None:
    service = small_server(lab, "zone-b", restart=True)
    first = lab.call("begin_service", spec=service.to_json())["pid"]

    lab.call("kill_service", name=service.name)
    deadline_at = time.monotonic() + 5
    while (again := lab.facts["services"][service.name]["pid"]) is None and time.monotonic() < deadline_at:
        time.sleep(0.02)

    assert again not in (None, first)
    assert alive(again)


def test_a_service_that_restarts_stays_dead_with_its_zone(lab: Lab) -> None:
    service = small_server(lab, "zone-c", restart=True)
    lab.call("begin_service", spec=service.to_json())

    lab.call("kill_zone", zone="zone-c")
    time.sleep(0.4)

    assert lab.facts["services"][service.name]["alive"] is False
    lab.call("begin_zone", zone="zone-c")
    assert lab.facts["services"][service.name]["alive"] is True


def test_a_forgotten_service_stays_away(lab: Lab) -> None:
    service = small_server(lab, "zone-c", port=7002, restart=True)
    pid = lab.call("begin_service", spec=service.to_json())["pid"]

    lab.call("forget_service", name=service.name)
    lab.call("forget_service", name=service.name)
    lab.call("kill_zone", zone="zone-c")
    lab.call("begin_zone", zone="zone-c")

    assert not alive(pid)
    assert service.name not in lab.facts["services"]


def test_facts_are_remembered_in_the_lab_file(lab: Lab) -> None:
    lab.call("remember", facts={"mysql": {"primary": "mysql-a", "servers": {"mysql-a": {"server_id": 1}}}})
    lab.call("remember", facts={"mysql": {"primary": "mysql-b"}})

    assert lab.facts["mysql"] == {"primary": "mysql-b", "servers": {"mysql-a": {"server_id": 1}}}


def test_a_service_that_dies_names_its_log_and_last_line(lab: Lab) -> None:
    dying = spec(lab, "dying", "sh", "-c", "echo begin; echo no space left; exit 3", port=7778)

    with pytest.raises(StepFailed, match="dying died while it began: no space left") as failed:
        lab.call("begin_service", spec=dying.to_json())

    assert failed.value.hint == f"read {dying.log}"


def test_a_service_that_never_answers_is_given_up(lab: Lab) -> None:
    mute = spec(lab, "mute", "sleep", "60", port=7777, ready_timeout_s=0.3)

    with pytest.raises(StepFailed, match=r"mute not ready after 0\.3 s: port 7777 does not answer"):
        lab.call("begin_service", spec=mute.to_json())


def test_a_service_without_a_port_has_time_to_be_spawned_however_soon_it_is_to_be_ready(lab: Lab) -> None:
    quick = spec(lab, "quick", "sleep", "60", ready_timeout_s=0)

    assert alive(lab.call("begin_service", spec=quick.to_json())["pid"])


def test_a_missing_program_is_named(lab: Lab) -> None:
    with pytest.raises(MissingProgram, match="nobody needs no-such-server, which is missing"):
        lab.call("begin_service", spec=spec(lab, "nobody", "no-such-server").to_json())


def test_a_missing_folder_is_named(lab: Lab) -> None:
    lost = dataclasses.replace(spec(lab, "lost", "true"), cwd=str(lab.folder / "nowhere"))

    with pytest.raises(StepFailed, match=r"lost could not be spawned.*nowhere"):
        lab.call("begin_service", spec=lost.to_json())


def test_a_running_service_is_not_begun_twice(lab: Lab) -> None:
    service = small_server(lab, "edge")
    lab.call("begin_service", spec=service.to_json())

    with pytest.raises(Invalid, match=f"{service.name} runs already"):
        lab.call("begin_service", spec=service.to_json())


@pytest.mark.parametrize(
    ("call", "args", "message"),
    [
        ("kill_service", {"name": "nope"}, "no service 'nope'"),
        ("kill_zone", {"zone": "edge"}, "no zone 'edge'"),
        ("fly", {}, "no call 'fly'"),
    ],
)
def test_a_wrong_call_is_refused(lab: Lab, call: str, args: dict[str, str], message: str) -> None:
    with pytest.raises(Invalid, match=message):
        lab.call(call, **args)


def test_a_taken_port_is_a_clear_error(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FTCHAOS_LAB_MODE", "loopback")
    lab = bring_up_bare("taken")
    with socket.socket() as squatter:
        squatter.bind((lab.layout.address("zone-a"), 7000))
        squatter.listen()

        with pytest.raises(Invalid, match=r"port 7000 of 127\.\d+\.0\.11 is taken by another program") as taken:
            lab.call("begin_service", spec=small_server(lab, "zone-a").to_json())

    assert "ss -ltnp" in taken.value.hint
    lab.down()


def _state_within(pid: int, letter: str, timeout_s: float = 2) -> bool:
    deadline_at = time.monotonic() + timeout_s
    while time.monotonic() < deadline_at:
        if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == letter:
            return True
        time.sleep(0.01)
    return False
