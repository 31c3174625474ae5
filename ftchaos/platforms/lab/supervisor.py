"""The one process that a lab belongs to: when it dies, however it dies, nothing of the lab remains.

``python -m ftchaos.platforms.lab.supervisor SETTINGS`` is process 1 of a pid namespace where the
machine allows that. It owns the network and the places, begins and kills services, and answers
calls on the control socket. :mod:`ftchaos.platforms.lab.launch` begins it.
"""

from __future__ import annotations

import asyncio
import json
import os
import select
import shutil
import signal
import socket
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from ftchaos.errors import FtchaosError, Invalid, MissingProgram, StepFailed
from ftchaos.platforms.lab import control
from ftchaos.platforms.lab.init import pids_of_self
from ftchaos.platforms.lab.layout import PLACES, Layout, ensure_zone
from ftchaos.platforms.lab.network import Loopback, Network, ensure_free
from ftchaos.platforms.lab.place import Place, until_gone
from ftchaos.platforms.lab.service import ServiceSpec
from ftchaos.platforms.lab.spawner import Spawner

_RESTART_AFTER_S = 0.2
_SETTLE_S = 0.05
_CLAIM_PORT = 7999


@dataclass(frozen=True)
class Settings:
    """What the supervisor is begun with.

    Attributes:
        listener, lock, host_proc: inherited descriptors: the control socket, the lock that says
            the lab is alive, the ``/proc`` of whoever began the lab.
        leash: a pidfd of the process that an ephemeral lab must not outlive.
    """

    name: str
    folder: str
    mode: str
    mode_reason: str
    listener: int
    lock: int
    host_proc: int
    leash: int | None
    recipe: dict[str, Any]


@dataclass
class Service:
    """A service that the lab remembers, alive or not."""

    spec: ServiceSpec
    spawner: Spawner
    pid: int | None = None
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    status: int | None = None
    beginning: bool = False
    forgotten: bool = False

    def end(self, status: int) -> None:
        """Note that it has ended."""
        self.pid = None
        self.status = status
        self.ended.set()


class Supervisor:
    """The state of a lab and all that can be done to it.

    Attributes:
        facts: what ``lab.json`` says beside the running state, for example under ``mysql``.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.folder = Path(settings.folder)
        self.facts: dict[str, Any] = {}
        self.up = False
        self.layout, self._claim = _claim(settings)
        self.network = Loopback(self.layout) if settings.mode == "loopback" else Network(self.layout)
        told = (self._service_begun, self._service_ended)
        self.places = {name: Place(name, self.network, settings.host_proc, *told, self._place_died) for name in PLACES}
        self.zygote = Spawner("the zygote", settings.host_proc, *told, self._zygote_died)
        self._zygote_begins = asyncio.Lock()
        self.services: dict[str, Service] = {}
        self._pids = pids_of_self(settings.host_proc)
        self._tasks: set[asyncio.Task[None]] = set()

    async def begin_places(self) -> None:
        """Give every place its process 1."""
        await asyncio.gather(*(place.begin() for place in self.places.values()))
        self.write()

    # Calls; their names and arguments are the control protocol.

    async def status(self) -> dict[str, Any]:
        """What runs, where, and which faults cannot be had in this mode."""
        return self.describe()

    async def begin_service(self, spec: ServiceSpec | dict[str, Any] | None = None, name: str = "") -> dict[str, Any]:
        """Begin a service and wait until it is ready.

        Args:
            spec: what to begin; it replaces what was remembered under its name.
            name: instead of a spec, a remembered service that is dead.

        Raises:
            Invalid: the name runs already or is unknown, or its port is taken.
            StepFailed: it died or was not ready in time; the fact names the log's last line.
        """
        if spec is None:
            spec = self._service(name).spec
        elif isinstance(spec, dict):
            spec = ServiceSpec.from_json(spec)
        known = self.services.get(spec.name)
        if known is not None and (known.pid is not None or known.beginning):
            raise Invalid(f"{spec.name} runs already", "kill it first, or choose another name")
        self.layout.address(spec.place)
        service = self.services[spec.name] = Service(spec, self._spawner(spec))
        service.beginning = True
        began_at = time.monotonic()
        try:
            await self._spawn(service)
            await self._ready(service)
        finally:
            service.beginning = False
            self.write()
        return {"pid": service.pid, "began_at": began_at, "ready_at": time.monotonic()}

    async def kill_service(self, name: str, signal: int = 9) -> dict[str, Any]:
        """Send a signal to a service; SIGKILL returns when it is gone. One with ``restart`` comes back.

        Returns:
            Its pid, and the instants ``killed_at`` (before the call) and ``gone_at`` (None unless SIGKILL).
        """
        service = self._service(name)
        if service.pid is None:
            raise Invalid(f"{name} does not run", f"its log is {service.spec.log}")
        pid, ended = service.pid, service.ended
        killed_at = time.monotonic()
        service.spawner.signal(name, signal)
        if signal == 9:
            await asyncio.wait_for(ended.wait(), 10)
        return {"pid": pid, "killed_at": killed_at, "gone_at": time.monotonic() if signal == 9 else None}

    async def forget_service(self, name: str) -> None:
        """Kill a service if it runs, and never begin it again; idempotent."""
        service = self.services.get(name)
        if service is None:
            return
        service.forgotten = True
        if service.pid is not None:
            await self.kill_service(name)
        del self.services[name]
        self.write()

    async def kill_zone(self, zone: str) -> dict[str, Any]:
        """Let a zone lose power: its cable goes dead and all its processes are killed in one call; idempotent."""
        place = self.places[ensure_zone(zone)]
        pids = {n: s.pid for n, s in self.services.items() if s.spec.place == zone and s.pid is not None}
        killed_at = time.monotonic()
        if isinstance(self.network, Network):
            self.network.cut(zone)
        await place.kill()
        if isinstance(self.network, Loopback):
            await until_gone(list(pids.values()))
        return {"killed_at": killed_at, "gone_at": time.monotonic(), "services": list(pids)}

    async def begin_zone(self, zone: str) -> dict[str, Any]:
        """Give a zone its power back: network, process 1, and the services it is remembered to have; idempotent."""
        place = self.places[ensure_zone(zone)]
        self.network.mend(zone)
        if not place.alive:
            await place.begin()
        dead = [n for n, s in self.services.items() if s.spec.place == zone and s.pid is None and not s.beginning]
        await asyncio.gather(*(self.begin_service(name=name) for name in dead))
        self.write()
        return {"services": dead}

    async def cut_zone(self, zone: str) -> dict[str, Any]:
        """Cut a zone from the network while its processes go on; idempotent."""
        cut_at = time.monotonic()
        self.network.cut(ensure_zone(zone))
        self.write()
        return {"cut_at": cut_at, "done_at": time.monotonic()}

    async def mend_zone(self, zone: str) -> dict[str, Any]:
        """Give a cut zone its network back; idempotent."""
        mended_at = time.monotonic()
        self.network.mend(ensure_zone(zone))
        self.write()
        return {"mended_at": mended_at, "done_at": time.monotonic()}

    async def remember(self, facts: dict[str, Any]) -> None:
        """Merge facts into ``lab.json``, for example which MySQL server is the primary now."""
        _merge(self.facts, facts)
        self.write()

    async def down(self) -> NoReturn:
        """End the lab."""
        if isinstance(self.network, Loopback):
            # No namespace takes the services along, so make sure of them one by one.
            pids = [service.pid for service in self.services.values() if service.pid is not None]
            await asyncio.gather(*(place.kill() for place in self.places.values()))
            await until_gone(pids)
        os._exit(0)

    # State.

    def describe(self) -> dict[str, Any]:
        """The lab as ``lab.json`` has it."""
        return {
            "name": self.settings.name,
            "mode": self.settings.mode,
            "mode_reason": self.settings.mode_reason,
            "up": self.up,
            "pid": self._pids[0],
            "ephemeral": self.settings.leash is not None,
            "base": self.layout.base,
            "addresses": self.layout.addresses(),
            "faults_not_to_be_had": _faults_not_to_be_had(self.settings.mode),
            "places": {
                name: {"pid": place.host_pid, "alive": place.alive, "cut": self.network.is_cut(name)}
                for name, place in self.places.items()
            },
            "services": {
                name: {
                    "place": service.spec.place,
                    "port": service.spec.port,
                    "pid": service.pid,
                    "alive": service.pid is not None,
                    "log": service.spec.log,
                }
                for name, service in self.services.items()
            },
            **self.facts,
        }

    def write(self) -> None:
        """Bring ``lab.json`` up to date, atomically."""
        fresh = self.folder / ".lab.json"
        fresh.write_text(json.dumps(self.describe(), indent=1) + "\n")
        fresh.rename(self.folder / "lab.json")

    def _service(self, name: str) -> Service:
        try:
            return self.services[name]
        except KeyError:
            known = ", ".join(self.services) or "none"
            raise Invalid(f"the lab has no service {name!r}", f"it has {known}") from None

    async def _spawn(self, service: Service) -> None:
        spec = service.spec
        if spec.port is not None:
            with self.network.inside(spec.place):
                ensure_free(self.layout.address(spec.place), spec.port)
        service.ended.clear()
        service.status = None
        request: dict[str, Any] = {
            "name": spec.name,
            "argv": [_program(spec), *spec.argv[1:]],
            "cwd": spec.cwd,
            "log": spec.log,
        }
        request["env"] = dict(spec.env)
        if service.spawner is self.zygote:
            await self._begin_zygote()
            request["place_pid"] = self.places[spec.place].pid
        await service.spawner.spawn(request, spec.ready_timeout_s)
        self.write()

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
            await asyncio.sleep(0.01)
        raise StepFailed(f"{spec.name} died while it began{_last_line(spec.log)}", f"read {spec.log}")

    async def _accepts(self, place: str, port: int) -> bool:
        with self.network.inside(place):
            trial = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        with trial:
            trial.setblocking(False)
            try:
                async with asyncio.timeout(0.2):
                    await asyncio.get_running_loop().sock_connect(trial, (self.layout.address(place), port))
            except (OSError, TimeoutError):
                return False
        return True

    def _spawner(self, spec: ServiceSpec) -> Spawner:
        """Who begins a service: the zygote its own Python modules, where it can reach into places."""
        ours = spec.argv[:2] == (sys.executable, "-m") and spec.argv[2].startswith("ftchaos.")
        return self.zygote if ours and isinstance(self.network, Network) else self.places[spec.place]

    async def _begin_zygote(self) -> None:
        async with self._zygote_begins:
            if not self.zygote.alive:
                await self.zygote.begin_process([sys.executable, "-m", "ftchaos.platforms.lab.zygote"])

    def _service_begun(self, name: str, pid: int) -> None:
        self.services[name].pid = pid

    def _service_ended(self, name: str, pid: int, status: int) -> None:
        service = self.services.get(name)
        if service is None or service.pid != pid:
            return
        service.end(status)
        if service.spec.restart and not service.forgotten:
            task = asyncio.ensure_future(self._restart(service))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        self.write()

    def _place_died(self, place: str) -> None:
        for service in self.services.values():
            if service.spec.place == place and service.pid is not None:
                service.end(-signal.SIGKILL)
        self.write()

    def _zygote_died(self, _: str) -> None:
        for name, service in self.services.items():
            if service.spawner is self.zygote and service.pid is not None:
                self._service_ended(name, service.pid, -signal.SIGKILL)

    async def _restart(self, service: Service) -> None:
        await asyncio.sleep(_RESTART_AFTER_S)
        forgotten = service.forgotten or self.services.get(service.spec.name) is not service
        if forgotten or service.pid is not None or service.beginning or not self.places[service.spec.place].alive:
            return
        try:
            await self.begin_service(service.spec)
        except FtchaosError as error:
            print(f"{service.spec.name} could not be begun again: {error}", file=sys.stderr, flush=True)  # noqa: T201


async def supervise(settings: Settings) -> None:
    """Be the lab's supervisor until the lab ends."""
    supervisor = Supervisor(settings)
    loop = asyncio.get_running_loop()
    calls = {
        name: getattr(supervisor, name)
        for name in (
            *("status", "begin_service", "kill_service", "forget_service", "remember", "down"),
            *("kill_zone", "begin_zone", "cut_zone", "mend_zone"),
        )
    }

    def end() -> None:
        supervisor._tasks.add(loop.create_task(supervisor.down()))

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end)

    async def bring_up(progress: control.Progress) -> dict[str, Any]:
        from ftchaos.platforms.lab import recipe

        await supervisor.begin_places()
        if settings.recipe:
            await recipe.bring_up(supervisor, settings.recipe, progress)
        supervisor.up = True
        supervisor.write()
        return supervisor.describe()

    async def dispatch(name: str, args: dict[str, Any], progress: control.Progress) -> Any:
        if name == "bring_up":
            return await bring_up(progress)
        if name not in calls:
            raise Invalid(f"the lab knows no call {name!r}", f"it knows {', '.join(calls)}")
        return await calls[name](**args)

    def lost(name: str) -> None:
        # A lab that came up half way belongs to nobody.
        if name == "bring_up":
            end()

    await control.serve(socket.socket(fileno=settings.listener), dispatch, lost)


def hold_leash(leash: int) -> None:
    """Die with the process behind a pidfd, however it dies, whatever the event loop is at."""

    def watch() -> None:
        poll = select.poll()
        poll.register(leash, select.POLLIN)
        poll.poll()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _claim(settings: Settings) -> tuple[Layout, socket.socket | None]:
    """A layout of addresses that no other lab uses, and what holds the claim."""
    if settings.mode != "loopback":
        return Layout.of(settings.mode, settings.name), None
    for attempt in range(16):
        layout = Layout.of(settings.mode, settings.folder, attempt)
        claim = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            claim.bind((layout.hub, _CLAIM_PORT))
            claim.listen(1)
        except OSError:
            claim.close()
            continue
        return layout, claim
    raise Invalid("no loopback addresses are free for another lab", "end a lab: `ftchaos lab down`")


def _program(spec: ServiceSpec) -> str:
    program = shutil.which(spec.argv[0])
    if program is None:
        raise MissingProgram(f"{spec.name} needs {spec.argv[0]}, which is missing", "run `ftchaos doctor`")
    return program


def _faults_not_to_be_had(mode: str) -> list[str]:
    if mode != "loopback":
        return []
    return [
        "network: zones cannot be cut, partitioned or slowed on loopback addresses",
        "zone: its processes are killed one by one, and their peers see connections closed instead of silence",
    ]


def _last_line(log: str) -> str:
    try:
        lines = Path(log).read_text(errors="replace").strip().splitlines()
    except FileNotFoundError:
        return ""
    return f": {lines[-1].strip()}" if lines else ""


def _merge(old: dict[str, Any], new: dict[str, Any]) -> None:
    for key, value in new.items():
        if isinstance(value, dict) and isinstance(old.get(key), dict):
            _merge(old[key], value)
        else:
            old[key] = value


def main() -> None:
    """Read the settings, take over the inherited descriptors, and supervise."""
    settings = Settings(**json.loads(sys.argv[1]))
    for descriptor in (settings.listener, settings.lock, settings.host_proc, settings.leash):
        if descriptor is not None:
            os.set_inheritable(descriptor, False)
    if settings.leash is not None:
        hold_leash(settings.leash)
    asyncio.run(supervise(settings))


if __name__ == "__main__":
    main()
