"""The witness against real servers that die, hang, drop it and come back, and against nothing happening at all."""

from __future__ import annotations

import asyncio
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from small_labs import bring_up_bare, small_server
from standin import certificates
from trio import free_port, trio, until

from ftchaos import process, witness
from ftchaos.mysql import flavour as flavours
from ftchaos.mysql.session import execute
from ftchaos.platforms.lab.flows import served_by
from ftchaos.platforms.lab.lab import Lab

# Speaks first, as MySQL does; then holds each client for so many seconds, and drops it.
GREETER = """
import socket, sys, threading, time
def serve(client):
    client.sendall(b"hello")
    time.sleep(float(sys.argv[2]))
    client.close()
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
while True:
    threading.Thread(target=serve, args=[listener.accept()[0]], daemon=True).start()
"""


class Witness:
    """A witness under way."""

    def __init__(self, folder: Path, targets: dict[str, dict[str, Any]], prefix: Sequence[str] = ()) -> None:
        self.file = folder / "witness.jsonl"
        config = folder / "witness.json"
        config.write_text(json.dumps({"observations": str(self.file), "targets": targets}))
        argv = [*prefix, sys.executable, "-m", "ftchaos.witness", str(config)]
        self.process = subprocess.Popen(argv, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})

    def seen(self) -> list[tuple[str, bool]]:
        return [(one.target, one.up) for one in witness.changes(witness.read(self.file))]

    def wait_seen(self, target: str, up: bool, count: int = 1, timeout_s: float = 10) -> witness.Observation:
        """The observation that a target went up or down for the nth time."""

        def matching() -> list[witness.Observation]:
            changes = witness.changes(witness.read(self.file))
            return [one for one in changes if (one.target, one.up) == (target, up)][count - 1 :]

        found: list[witness.Observation] = until(matching, timeout_s, f"{target} {'up' if up else 'down'}")
        return found[0]

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
        assert 0 == self.process.wait(10)


@contextmanager
def watching(folder: Path, targets: dict[str, dict[str, Any]], prefix: Sequence[str] = ()) -> Iterator[Witness]:
    one = Witness(folder, targets, prefix)
    try:
        yield one
        one.end()
    finally:
        one.process.kill()
        one.process.wait()


@contextmanager
def greeter(port: int, hold_s: float = 60) -> Iterator[subprocess.Popen[bytes]]:
    server = subprocess.Popen([sys.executable, "-c", GREETER, str(port), str(hold_s)])

    def accepts() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    try:
        until(accepts)
        yield server
    finally:
        server.kill()
        server.wait()


def local(port: int, **more: Any) -> dict[str, Any]:
    return {"host": "127.0.0.1", "port": port, **more}


def test_killed_server_is_seen_at_once_and_so_is_its_return(tmp_path: Path) -> None:
    port = free_port()
    with watching(tmp_path, {"a": local(port)}) as one:
        with greeter(port) as server:
            one.wait_seen("a", True)
            killed_at = time.monotonic()
            server.kill()
            down = one.wait_seen("a", False)
        with greeter(port):
            begun_at = time.monotonic()
            back = one.wait_seen("a", True, 2)

    assert killed_at <= down.at < killed_at + 0.25
    assert back.at < begun_at + 0.25
    assert down.at == witness.proven_at(witness.read(one.file), ["a"], killed_at)


def test_server_that_drops_idle_clients_never_went_down(tmp_path: Path) -> None:
    port = free_port()
    with greeter(port, hold_s=0.1), watching(tmp_path, {"a": local(port)}) as one:
        one.wait_seen("a", True)
        time.sleep(2)

    assert [("a", True)] == one.seen()
    assert witness.proven_at(witness.read(one.file), ["a"], time.monotonic() - 1) is None


def test_heartbeats_say_that_nothing_changed(tmp_path: Path) -> None:
    port = free_port()
    with greeter(port), watching(tmp_path, {"a": local(port), "b": local(free_port())}) as one:
        one.wait_seen("a", True)
        until(lambda: len([seen for seen in witness.read(one.file) if seen.saw == "heartbeat"]) >= 4)

    last = {seen.target: seen.up for seen in witness.read(one.file)[-2:]}
    assert {"a": True, "b": False} == last


def test_server_that_hangs_is_seen_when_it_is_asked_again(tmp_path: Path) -> None:
    port = free_port()
    with greeter(port, hold_s=1) as server, watching(tmp_path, {"a": local(port)}) as one:
        one.wait_seen("a", True)
        server.send_signal(signal.SIGSTOP)
        down = one.wait_seen("a", False, timeout_s=2 * witness.REFRESH_S)
        server.send_signal(signal.SIGCONT)
        one.wait_seen("a", True, 2)

    assert "no answer" == down.saw


@pytest.mark.parametrize("kind", witness.HTTP)
def test_public_address_is_down_while_it_answers_with_an_error(tmp_path: Path, kind: str) -> None:
    made = certificates.issue(tmp_path)
    script = (
        "import http.server, pathlib, ssl, sys\n"
        "class H(http.server.BaseHTTPRequestHandler):\n"
        "    def do_GET(self): self.send_error(503 if pathlib.Path(sys.argv[2]).exists() else 404)\n"
        "    def log_message(self, *args): pass\n"
        "server = http.server.ThreadingHTTPServer(('127.0.0.1', int(sys.argv[1])), H)\n"
        "if len(sys.argv) > 3:\n"
        "    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)\n"
        "    context.load_cert_chain(*sys.argv[3:])\n"
        "    server.socket = context.wrap_socket(server.socket, server_side=True)\n"
        "server.serve_forever()\n"
    )
    port, broken = free_port(), tmp_path / "broken"
    chain = [str(made.server), str(made.key)] if kind == "https" else []
    server = subprocess.Popen([sys.executable, "-c", script, str(port), str(broken), *chain])
    targets = {"public": local(port, kind=kind, path="/health", ca=str(made.ca))}
    targets |= {"strange": local(port, kind=kind)} if chain else {}
    try:
        with watching(tmp_path, targets) as one:
            one.wait_seen("public", True)
            missed = one.seen().count(("public", False))  # while the server came up
            broken.touch()
            down = one.wait_seen("public", False, missed + 1)
            broken.unlink()
            one.wait_seen("public", True, 2)
    finally:
        server.kill()
        server.wait()

    assert "HTTP 503" == down.saw
    assert ("strange", True) not in one.seen()


@pytest.fixture(scope="module")
def lab(state: Path) -> Iterator[Lab]:
    """A lab with nothing but a Redis in two zones."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FTCHAOS_LAB_MODE", "root" if os.geteuid() == 0 else "user")
        made = bring_up_bare("witnessed")
        for zone in ("zone-a", "zone-b"):
            made.call("begin_service", spec=vars(small_server(made, zone)))
        yield made
        made.down()


def test_echo_that_came_while_the_witness_had_no_turn_is_heard() -> None:
    class Late(selectors.DefaultSelector):
        def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
            time.sleep(2 * witness.ECHO_S)
            return super().select(timeout)

    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(Late())) as runner:
        assert runner.run(witness._echoes("127.0.0.1"))


def zone(lab: Lab, name: str) -> dict[str, Any]:
    return {"host": lab.layout.address(name), "port": 7000, "kind": "tcp"}


def test_zone_that_is_cut_is_seen_though_it_says_nothing(lab: Lab, tmp_path: Path) -> None:
    targets = {"a": zone(lab, "zone-a"), "b": zone(lab, "zone-b")}
    with watching(tmp_path, targets, lab.client_argv([])) as one:
        one.wait_seen("a", True)
        one.wait_seen("b", True)
        cut_at = time.monotonic()
        lab.call("cut_zone", zone="zone-a")
        down = one.wait_seen("a", False)
        time.sleep(0.5)
        lab.call("mend_zone", zone="zone-a")
        mended_at = time.monotonic()
        back = one.wait_seen("a", True, 2)

    assert "address unreachable" == down.saw
    assert cut_at < down.at < cut_at + 0.5
    assert back.at < mended_at + 0.5
    assert [("b", True)] == [seen for seen in one.seen() if seen[0] == "b"]
    assert witness.proven_at(witness.read(one.file), ["b"], cut_at) is None


def test_zone_that_is_killed_is_seen(lab: Lab, tmp_path: Path) -> None:
    with watching(tmp_path, {"b": zone(lab, "zone-b")}, lab.client_argv([])) as one:
        one.wait_seen("b", True)
        killed_at = time.monotonic()
        lab.call("kill_zone", zone="zone-b")
        down = one.wait_seen("b", False)

    assert killed_at < down.at < killed_at + 0.5


@pytest.mark.parametrize("name", flavours.NAMES)
def test_real_server_that_drops_who_does_not_log_in_never_went_down(name: str, tmp_path: Path) -> None:
    with trio(name) as servers:
        servers.begin("mysql-a", options={"connect-timeout": 2})
        server = servers.servers["mysql-a"]
        with watching(tmp_path, {"a": {"host": server.address, "port": server.port}}) as one:
            one.wait_seen("a", True)
            time.sleep(3)
            killed_at = time.monotonic()
            servers.kill("mysql-a")
            down = one.wait_seen("a", False)

    assert [("a", True), ("a", False)] == one.seen()
    assert killed_at < down.at < killed_at + 0.25


def test_witness_dies_with_the_process_that_began_it(tmp_path: Path) -> None:
    config = tmp_path / "witness.json"
    config.write_text(json.dumps({"observations": str(tmp_path / "witness.jsonl"), "targets": {"a": local(9)}}))
    script = "import subprocess, sys; print(subprocess.Popen(sys.argv[1:]).pid, flush=True); input()"
    argv = [sys.executable, "-c", script, sys.executable, "-m", "ftchaos.witness", str(config)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        until((tmp_path / "witness.jsonl").exists)
        parent.kill()

    until(lambda: not process.alive(pid), 2, "dead")


@pytest.mark.parametrize("name", flavours.NAMES)
def test_server_that_takes_no_writes_is_seen_though_it_answers(name: str, tmp_path: Path) -> None:
    with trio(name) as servers:
        servers.replicate()
        secret = tmp_path / "secret"
        secret.write_text(servers.password + "\n")
        leader, follower = servers.servers["mysql-a"], servers.servers["mysql-b"]
        asked = {"kind": "sql", "user": "monitor", "secret_file": str(secret)}
        writes = {"sql": "SELECT NOT @@GLOBAL.read_only"}
        applies = {"sql": "SHOW REPLICA STATUS", "matches": "_SQL_Running: Yes$"}
        targets = {
            "a writes": {"host": leader.address, "port": leader.port, **asked, **writes},
            "b applies": {"host": follower.address, "port": follower.port, **asked, **applies},
        }
        with watching(tmp_path, targets) as one:
            one.wait_seen("a writes", True)
            one.wait_seen("b applies", True)
            changed_at = time.monotonic()
            with leader.connect() as session, follower.connect() as replica:
                execute(session, leader.flavour.read_only(True))
                execute(replica, [follower.flavour.stop_applying()])
            refused = one.wait_seen("a writes", False)
            stopped = one.wait_seen("b applies", False)
            with leader.connect() as session:
                execute(session, leader.flavour.read_only(False))
            one.wait_seen("a writes", True, 2)
            killed_at = time.monotonic()
            servers.kill("mysql-a")
            dead = one.wait_seen("a writes", False, 2)

    assert changed_at < refused.at < changed_at + 0.5
    assert changed_at < stopped.at < changed_at + 0.5
    assert killed_at < dead.at < killed_at + 0.5


def test_redis_that_stops_being_what_it_was_is_seen_though_it_answers(lab: Lab, tmp_path: Path) -> None:
    lab.call("begin_zone", zone="zone-b")
    targets = {"leads": {**zone(lab, "zone-b"), "kind": "redis", "command": "ROLE", "matches": "master"}}
    with watching(tmp_path, targets, lab.client_argv([])) as one:
        one.wait_seen("leads", True)
        missed = one.seen().count(("leads", False))  # while the zone's network came up
        changed_at = time.monotonic()
        tell = ["redis-cli", "-h", lab.layout.address("zone-b"), "-p", "7000", "REPLICAOF"]
        subprocess.run(lab.client_argv([*tell, lab.layout.address("zone-a"), "7000"]), check=True)
        down = one.wait_seen("leads", False, missed + 1)
        subprocess.run(lab.client_argv([*tell, "NO", "ONE"]), check=True)
        one.wait_seen("leads", True, 2)
        cut_at = time.monotonic()
        flows = [flow.to_json() for flow in served_by("zone-b", [7000])]
        lab.call("block", flows=flows)
        cut = one.wait_seen("leads", False, missed + 2)
        lab.call("unblock", flows=flows)
        one.wait_seen("leads", True, 3)

    assert changed_at < down.at < changed_at + 0.5
    assert cut_at + 0.3 < cut.at  # nobody refuses: only the time without an answer tells
    assert "no answer" == cut.saw
