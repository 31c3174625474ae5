"""The services that a lab remembers: begun, watched until they are ready, killed, and begun again."""

from __future__ import annotations

import asyncio
import shutil
import signal
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ftchaos.errors import FtchaosError, Invalid, MissingProgram, StepFailed
from ftchaos.platforms.lab.layout import PLACES, Layout
from ftchaos.platforms.lab.network import Loopback, Network, ensure_free
from ftchaos.platforms.lab.place import Place
from ftchaos.platforms.lab.service import ServiceSpec
from ftchaos.platforms.lab.spawner import Spawner

_RESTART_AFTER_S = 0.2
_SETTLE_S = 0.05
_POLL_S = 0.01
_SPAWN_TIMEOUT_S = 10.0
_KILL_TIMEOUT_S = 10.0
_ZYGOTE = (sys.executable, "-m", "ftchaos.platforms.lab.zygote")
_TITLE_BYTES = 512  # room for the arguments that its forks show to ps


@dataclass
class Service:
    """A service that the lab remembers, alive or not.

    Attributes:
        spawner: who begins it and signals it.
        pid: its process as ftchaos sees it; None while it does not run.
    """

    spec: ServiceSpec
    spawner: Spawner
    pid: int | None = None
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    beginning: bool = False
    forgotten: bool = False

    def end(self) -> None:
        """Note that it has ended."""
        self.pid = None
        self.ended.set()


class Roster:
    """All services of a lab, with the places and the zygote that spawn them.

    Args:
        host_proc: descriptor of the ``/proc`` of whoever began the lab.
        changed: called whenever a service or a place came or went.
    """

    def __init__(
        self, layout: Layout, network: Network | Loopback, host_proc: int, changed: Callable[[], None]
    ) -> None:
        self.services: dict[str, Service] = {}
        self.places = {
            name: Place(name, network, host_proc, self._begun, self._ended, self._place_died) for name in PLACES
        }
        self._zygote = Spawner("the zygote", host_proc, self._begun, self._ended, self._zygote_died)
        self._zygote_begins = asyncio.Lock()
        self._layout = layout
        self._network = network
        self._changed = changed
        self._restarts: set[asyncio.Task[None]] = set()

    def service(self, name: str) -> Service:
        """A service by its name.

        Raises:
            Invalid: the lab remembers none of that name.
        """
        try:
            return self.services[name]
        except KeyError:
            known = ", ".join(self.services) or "none"
            raise Invalid(f"the lab has no service {name!r}", f"it has {known}") from None

    def alive_in(self, place: str) -> dict[str, int]:
        """Names and pids of the services that run in a place."""
        return {n: s.pid for n, s in self.services.items() if s.spec.place == place and s.pid is not None}

    def dead_in(self, place: str) -> list[str]:
        """Names of the services that do not run in a place."""
        return [n for n, s in self.services.items() if s.spec.place == place and s.pid is None and not s.beginning]

    async def begin(self, spec: ServiceSpec) -> dict[str, Any]:
        """Begin a service and wait until it is ready; it replaces what was remembered under its name.

        Raises:
            Invalid: the name runs already, or its port is taken.
            MissingProgram: there is no such program.
            StepFailed: it died or was not ready in time; the fact names the log's last line.
        """
        known = self.services.get(spec.name)
        if known is not None and (known.pid is not None or known.beginning):
            raise Invalid(f"{spec.name} runs already", "kill it first, or choose another name")
        self._layout.address(spec.place)
        service = self.services[spec.name] = Service(spec, self._spawner(spec))
        service.beginning = True
        began_at = time.monotonic()
        try:
            await self._spawn(service)
            await self._ready(service)
        finally:
            service.beginning = False
            self._changed()
        return {"pid": service.pid, "began_at": began_at, "ready_at": time.monotonic()}

    async def kill(self, name: str, number: int) -> dict[str, Any]:
        """Send a signal to a service; SIGKILL returns when it is gone.

        Raises:
            Invalid: it does not run.
            StepFailed: SIGKILL did not end it in time.
        """
        service = self.service(name)
        if service.pid is None:
            raise Invalid(f"{name} does not run", f"its log is {service.spec.log}")
        pid, ended = service.pid, service.ended
        killed_at = time.monotonic()
        service.spawner.signal(name, number)
        if number != signal.SIGKILL:
            return {"pid": pid, "killed_at": killed_at, "gone_at": None}
        try:
            await asyncio.wait_for(ended.wait(), _KILL_TIMEOUT_S)
        except TimeoutError:
            raise StepFailed(f"{name} still runs {_KILL_TIMEOUT_S:g} s after it was killed, as {pid}") from None
        return {"pid": pid, "killed_at": killed_at, "gone_at": time.monotonic()}

    async def forget(self, name: str) -> None:
        """Kill a service if it runs, and never begin it again; idempotent."""
        service = self.services.get(name)
        if service is None:
            return
        service.forgotten = True
        while service.beginning:
            await asyncio.sleep(_POLL_S)
        if service.pid is not None:
            await self.kill(name, signal.SIGKILL)
        self.services.pop(name, None)
        self._changed()

    async def _spawn(self, service: Service) -> None:
        spec = service.spec
        place = self.places[spec.place]
        if not place.alive:
            raise StepFailed(f"{spec.name} cannot begin, because {spec.place} is dead", "begin the zone first")
        program = shutil.which(spec.argv[0])
        if program is None:
            raise MissingProgram(f"{spec.name} needs {spec.argv[0]}, which is missing", "run `ftchaos doctor`")
        if spec.port is not None:
            with self._network.inside(spec.place):
                ensure_free(self._layout.address(spec.place), spec.port)
        request: dict[str, Any] = {
            "name": spec.name,
            "argv": [program, *spec.argv[1:]],
            "cwd": spec.cwd,
            "log": spec.log,
        }
        request |= {"env": dict(spec.env), "place_pid": place.pid}
        if service.spawner is self._zygote:
            async with self._zygote_begins:
                if not self._zygote.alive:
                    await self._zygote.begin_process([*_ZYGOTE, " " * _TITLE_BYTES])
        await service.spawner.spawn(request, max(spec.ready_timeout_s, _SPAWN_TIMEOUT_S))
        self._changed()

    async def _ready(self, service: Service) -> None:
        spec = service.spec
        deadline_at = time.monotonic() + spec.ready_timeout_s
        if spec.port is None:
            await asyncio.sleep(_SETTLE_S)
        while service.pid is not None:
            if spec.port is None or await self._accepts(spec.place, spec.port):
                return
            if time.monotonic() > deadline_at:
                raise StepFailed(
                    f"{spec.name} not ready after {spec.ready_timeout_s:g} s: port {spec.port} does not answer"
                    f"{_last_line(spec.log)}",
                    f"read {spec.log}",
                )
            await asyncio.sleep(_POLL_S)
        raise StepFailed(f"{spec.name} died while it began{_last_line(spec.log)}", f"read {spec.log}")

    async def _accepts(self, place: str, port: int) -> bool:
        # From inside the place, so that a cut zone's services are ready all the same.
        with self._network.inside(place):
            trial = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        with trial:
            trial.setblocking(False)
            try:
                async with asyncio.timeout(0.2):
                    await asyncio.get_running_loop().sock_connect(trial, (self._layout.address(place), port))
            except (OSError, TimeoutError):
                return False
        return True

    def _spawner(self, spec: ServiceSpec) -> Spawner:
        """Who begins a service: the zygote our own Python modules, where it can reach into places."""
        ours = spec.argv[:2] == (sys.executable, "-m") and spec.argv[2].startswith("ftchaos.")
        return self._zygote if ours and isinstance(self._network, Network) else self.places[spec.place]

    def _begun(self, name: str, pid: int) -> None:
        self.services[name].pid = pid

    def _ended(self, name: str, pid: int, _: int) -> None:
        service = self.services.get(name)
        # A place that was killed told first; the zygote may tell of the same death when the name runs again.
        if service is None or service.pid != pid:
            return
        service.end()
        if service.spec.restart and not service.forgotten:
            task = asyncio.ensure_future(self._restart(service))
            self._restarts.add(task)
            task.add_done_callback(self._restarts.discard)
        self._changed()

    def _place_died(self, place: str) -> None:
        for name in self.alive_in(place):
            self.services[name].end()
        self._changed()

    def _zygote_died(self, _: str) -> None:
        for name, service in self.services.items():
            if service.spawner is self._zygote and service.pid is not None:
                self._ended(name, service.pid, -signal.SIGKILL)

    async def _restart(self, service: Service) -> None:
        await asyncio.sleep(_RESTART_AFTER_S)
        while service.beginning:
            await asyncio.sleep(_POLL_S)
        forgotten = service.forgotten or self.services.get(service.spec.name) is not service
        if forgotten or service.pid is not None or not self.places[service.spec.place].alive:
            return
        try:
            await self.begin(service.spec)
        except FtchaosError as error:
            print(f"{service.spec.name} could not be begun again: {error}", file=sys.stderr, flush=True)  # noqa: T201


def _last_line(log: str) -> str:
    try:
        lines = Path(log).read_text(errors="replace").strip().splitlines()
    except FileNotFoundError:
        return ""
    return f": {lines[-1].strip()}" if lines else ""
