"""Real servers for the tests of Redis, the balancer and the application, on loopback addresses of their own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import aiohttp

from ftchaos.mysql import flavour as flavours
from ftchaos.mysql import seed
from ftchaos.mysql import template as templates
from ftchaos.platforms.lab.layout import EDGE, MYSQL_PORT, PUBLIC_PORT, Layout
from ftchaos.platforms.lab.service import ServiceSpec


def layout() -> Layout:
    """Addresses that no lab takes (those begin with 127.2), and no other test run at this moment."""
    return Layout("loopback", f"127.1.{os.getpid() % 250 + 1}")


class Stack:
    """Services begun and killed by name, as the supervisor does in a lab; gone at the end."""

    def __init__(self, folder: Path) -> None:
        self.layout = layout()
        self.folder = folder
        self.public = f"http://{self.layout.address(EDGE)}:{PUBLIC_PORT}"
        self.specs: dict[str, ServiceSpec] = {}
        self.secret_file = folder / "secret"
        self.flavour: flavours.Flavour | None = None
        self.ready_s = float("nan")
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def begin(self, specs: Iterable[ServiceSpec]) -> None:
        """Begin services and return when their ports accept."""
        specs = list(specs)
        for spec in specs:
            self.specs[spec.name] = spec
            with open(spec.log, "ab") as log:
                self._processes[spec.name] = subprocess.Popen(
                    ["setpriv", "--pdeathsig", "KILL", *spec.argv],
                    cwd=spec.cwd,
                    env={**os.environ, **spec.env},
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                )
        for spec in specs:
            if spec.port is not None:
                wait_until(lambda spec=spec: self._ready(spec), spec.ready_timeout_s, f"{spec.name} accepts")

    def _ready(self, spec: ServiceSpec) -> bool:
        assert self._processes[spec.name].poll() is None, f"{spec.name} died: {Path(spec.log).read_text()[-2000:]}"
        assert spec.port is not None
        return accepts((self.layout.address(spec.place), spec.port))

    def begin_again(self, name: str) -> None:
        self.begin([self.specs[name]])

    def kill(self, name: str) -> None:
        """kill -9, and wait until it is gone."""
        self._processes[name].kill()
        self._processes[name].wait()

    def pause(self, name: str) -> None:
        self._processes[name].send_signal(signal.SIGSTOP)

    def resume(self, name: str) -> None:
        self._processes[name].send_signal(signal.SIGCONT)

    def end(self) -> None:
        for process in self._processes.values():
            process.kill()
        for process in self._processes.values():
            process.wait()


def prepare_mysql(stack: Stack, zones: Iterable[str], name: str | None = None) -> tuple[list[ServiceSpec], Path]:
    """Writable servers with equal data, each alone, and the file with the password of their accounts."""
    flavour = stack.flavour = flavours.find(name)
    template = templates.template(flavour, seed.SMALLEST_BYTES, print)
    specs = []
    for number, zone in enumerate(zones, 1):
        home = stack.folder / zone / f"mysql-{zone[-1]}"
        home.mkdir(parents=True)
        templates.copy(template, home / "data")
        argv = flavour.server_argv(
            home / "data",
            server_id=number,
            bind=stack.layout.address(zone),
            port=MYSQL_PORT,
            options={"read-only": 0},
        )
        log = str(home / "error.log")
        specs.append(ServiceSpec(home.name, zone, tuple(argv), cwd=str(home / "data"), log=log, port=MYSQL_PORT))
    return specs, template.parent / "secret"


def accepts(address: tuple[str, int]) -> bool:
    try:
        with socket.create_connection(address, 1):
            return True
    except OSError:
        return False


def wait_until(condition: Callable[[], Any], timeout_s: float, what: str) -> Any:
    """The first true value of a condition.

    Raises:
        AssertionError: it did not come true in time.
    """
    deadline = time.monotonic() + timeout_s
    while not (value := condition()):
        assert time.monotonic() < deadline, f"not within {timeout_s} s: {what}"
        time.sleep(0.02)
    return value


async def upload(session: aiohttp.ClientSession, url: str, key: int, owner: int = 1) -> tuple[int, str | None, Any]:
    """One upload: status, X-Outcome and body; status 0 when no answer came within two seconds."""
    body = {"upload_key": key, "name": f"Übertragung-{key}.txt", "owner": owner, "content": f"content of {key}"}
    try:
        async with session.post(f"{url}/api/files", json=body, timeout=aiohttp.ClientTimeout(2)) as answer:
            kind = answer.content_type
            said = await answer.json() if kind == "application/json" else await answer.text()
            return answer.status, answer.headers.get("X-Outcome"), said
    except (aiohttp.ClientError, TimeoutError) as error:
        return 0, None, repr(error)
