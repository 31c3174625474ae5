"""Whether the lab's application is whole again after a fault: every instance healthy, and HAProxy agrees."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Mapping

from ftchaos.errors import StepFailed
from ftchaos.platforms.lab import balancer
from ftchaos.platforms.lab.lab import Lab
from ftchaos.platforms.lab.layout import EDGE, PUBLIC_PORT

_POLL_S = 0.05
_UP = "2"  # HAProxy's SRV_ST_RUNNING
_ASK = """
import http.client, sys
connection = http.client.HTTPConnection(sys.argv[1], int(sys.argv[2]), timeout=3)
connection.request("GET", "/socket.io/?EIO=4&transport=polling")
connection.getresponse().read()
"""


def wait_serving(lab: Lab, timeout_s: float) -> None:
    """Return as soon as every instance of the application runs and HAProxy calls every API healthy.

    Raises:
        StepFailed: it was not so within the time.
    """
    deadline_at = time.monotonic() + timeout_s
    while trouble := _trouble(lab):
        if time.monotonic() > deadline_at:
            raise StepFailed(f"{trouble}, {timeout_s:g} s after the heal began", "read the logs in the zones' folders")
        time.sleep(_POLL_S)


def _trouble(lab: Lab) -> str:
    for name, service in lab.status()["services"].items():
        if name.startswith(("api-", "worker-")) and not service["alive"]:
            return f"{name} does not run"
    try:
        down = [name for name, up in targets(lab, "api").items() if not up]
    except StepFailed as error:
        return error.fact
    return f"HAProxy calls {down[0]} down" if down else ""


def targets(lab: Lab, backend: str) -> Mapping[str, bool]:
    """Whether HAProxy sends traffic to each server of a backend.

    Raises:
        StepFailed: HAProxy does not answer.
    """
    lines = [line.split() for line in balancer.command(lab.folder, f"show servers state {backend}").splitlines()]
    return {words[3]: words[5] == _UP for words in lines if len(words) > 18 and words[0] != "#"}


def holder_of_sockets(lab: Lab) -> str:
    """The API instance that holds the Socket.IO sessions of the clients: HAProxy chooses it by their address.

    Raises:
        StepFailed: HAProxy sends such a client nowhere.
    """
    before = _socket_visits(lab)
    argv = [sys.executable, "-S", "-c", _ASK, lab.layout.address(EDGE), str(PUBLIC_PORT)]
    done = subprocess.run(lab.client_argv(argv), capture_output=True, text=True, check=False, timeout=15)
    after = _socket_visits(lab)
    for name, visits in after.items():
        if visits > before.get(name, 0):
            return name
    raise StepFailed(
        f"HAProxy sends Socket.IO clients to no instance: {done.stderr.strip()[-200:]}",
        f"read {balancer.home_of(lab.folder)}/haproxy.log",
    )


def _socket_visits(lab: Lab) -> dict[str, int]:
    """How many sessions HAProxy has led to each instance because of its clients' addresses."""
    lines = balancer.command(lab.folder, "show stat sockets 4 -1").splitlines()
    names = lines[0].removeprefix("# ").split(",")
    rows = [dict(zip(names, line.split(","), strict=False)) for line in lines[1:] if line]
    return {row["svname"]: int(row["stot"]) for row in rows if row.get("pxname") == "sockets"}
