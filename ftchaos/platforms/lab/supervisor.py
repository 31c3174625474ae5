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
import signal
import socket
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from ftchaos.errors import Invalid
from ftchaos.platforms.lab import asking, control
from ftchaos.platforms.lab.flows import from_json
from ftchaos.platforms.lab.init import pids_of_self
from ftchaos.platforms.lab.layout import Layout, ensure_zone
from ftchaos.platforms.lab.network import Loopback, Network
from ftchaos.platforms.lab.place import until_gone
from ftchaos.platforms.lab.roster import Roster
from ftchaos.platforms.lab.service import ServiceSpec

_CLAIM_PORT = 7999


@dataclass(frozen=True)
class Settings:
    """What the supervisor is begun with.

    Attributes:
        listener, lock, host_proc: inherited descriptors: the control socket, the lock that says
            the lab is alive, the ``/proc`` of whoever began the lab.
        leash: a pidfd of the process that began it, which an ephemeral lab must not outlive, and no other until it
            was asked to come up.
    """

    name: str
    folder: str
    mode: str
    mode_reason: str
    listener: int
    lock: int
    host_proc: int
    leash: int
    ephemeral: bool
    recipe: dict[str, Any]


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
        self.roster = Roster(self.layout, self.network, settings.host_proc, self.write)
        self._pids = pids_of_self(settings.host_proc)
        self._ending: asyncio.Task[NoReturn] | None = None

    async def begin_places(self) -> None:
        """Give every place its process 1."""
        await asyncio.gather(*(place.begin() for place in self.roster.places.values()))
        self.write()

    def end(self) -> None:
        """Begin to go :meth:`down`."""
        self._ending = self._ending or asyncio.ensure_future(self.down())

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
            spec = self.roster.service(name).spec
        return await self.roster.begin(spec if isinstance(spec, ServiceSpec) else ServiceSpec.from_json(spec))

    async def kill_service(self, name: str, signal: int = 9) -> dict[str, Any]:
        """Send a signal to a service; SIGKILL returns when it is gone. One with ``restart`` comes back.

        Returns:
            Its pid, and the instants ``killed_at`` (before the call) and ``gone_at`` (None unless SIGKILL).
        """
        return await self.roster.kill(name, signal)

    async def kill_services(self, names: list[str]) -> list[dict[str, Any]]:
        """Kill several services at once, as :meth:`kill_service` does one; returns when all are gone."""
        return await asyncio.gather(*(self.roster.kill(name, signal.SIGKILL) for name in names))

    async def forget_service(self, name: str) -> None:
        """Kill a service if it runs, and never begin it again; idempotent."""
        await self.roster.forget(name)

    async def kill_zone(self, zone: str) -> dict[str, Any]:
        """Let a zone lose power: its cable goes dead and all its processes are killed in one call; idempotent."""
        place = self.roster.places[ensure_zone(zone)]
        pids = self.roster.alive_in(zone)
        killed_at = time.monotonic()
        if isinstance(self.network, Network):
            self.network.cut(zone)
        await place.kill()
        if isinstance(self.network, Loopback):
            await until_gone(list(pids.values()))
        return {"killed_at": killed_at, "gone_at": time.monotonic(), "services": list(pids)}

    async def begin_zone(self, zone: str) -> dict[str, Any]:
        """Give a zone its power back: network, process 1, and the services it is remembered to have; idempotent."""
        place = self.roster.places[ensure_zone(zone)]
        self.network.mend(zone)
        if not place.alive:
            await place.begin()
        dead = self.roster.dead_in(zone)
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

    async def block(self, flows: list[dict[str, Any]]) -> dict[str, Any]:
        """Let single flows between places vanish; idempotent.

        Args:
            flows: each as :class:`ftchaos.platforms.lab.flows.Flow` takes it.
        """
        blocked_at = time.monotonic()
        self.network.block(from_json(flows))
        self.write()
        return {"blocked_at": blocked_at, "done_at": time.monotonic()}

    async def unblock(self, flows: list[dict[str, Any]]) -> None:
        """Let blocked flows pass again; idempotent."""
        self.network.unblock(from_json(flows))
        self.write()

    async def slow_place(self, place: str, delay_s: float, ports: list[int]) -> None:
        """Let packets from and to TCP ports of a place come later; idempotent."""
        await asyncio.to_thread(self.network.slow, place, delay_s, ports)
        self.write()

    async def quicken_place(self, place: str) -> None:
        """Undo :meth:`slow_place`; idempotent."""
        await asyncio.to_thread(self.network.quicken, place)
        self.write()

    async def ask(self, questions: list[tuple[str, int, str]]) -> list[str]:
        """The raw replies of Redis servers, each asked from inside its own place; empty where one gave none in time.

        Args:
            questions: place, port and command of each.
        """
        return await asyncio.gather(*(asking.ask(self.network, self.layout, *question) for question in questions))

    async def remember(self, facts: dict[str, Any]) -> None:
        """Merge facts into ``lab.json``, for example which MySQL server is the primary now."""
        _merge(self.facts, facts)
        self.write()

    async def down(self) -> NoReturn:
        """End the lab."""
        if isinstance(self.network, Loopback):
            # No namespace takes the services along, so make sure of them one by one.
            pids = [pid for place in self.roster.places for pid in self.roster.alive_in(place).values()]
            await asyncio.gather(*(place.kill() for place in self.roster.places.values()))
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
            "ephemeral": self.settings.ephemeral,
            "base": self.layout.base,
            "addresses": self.layout.addresses(),
            "faults_not_to_be_had": _faults_not_to_be_had(self.settings.mode),
            "places": {
                name: {
                    "pid": place.host_pid,
                    "alive": place.alive,
                    "cut": self.network.is_cut(name),
                    "slowed_s": self.network.slowed_s(name),
                }
                for name, place in self.roster.places.items()
            },
            "blocked": [str(flow) for flow in self.network.blocked()],
            "services": {
                name: {
                    "place": service.spec.place,
                    "port": service.spec.port,
                    "pid": service.pid,
                    "alive": service.pid is not None,
                    "log": service.spec.log,
                }
                for name, service in self.roster.services.items()
            },
            **self.facts,
        }

    def write(self) -> None:
        """Bring ``lab.json`` up to date, atomically."""
        fresh = self.folder / ".lab.json"
        fresh.write_text(json.dumps(self.describe(), indent=1) + "\n")
        fresh.rename(self.folder / "lab.json")


async def supervise(settings: Settings) -> None:
    """Be the lab's supervisor until the lab ends."""
    supervisor = Supervisor(settings)
    loop = asyncio.get_running_loop()
    calls = {
        name: getattr(supervisor, name)
        for name in (
            *("status", "begin_service", "kill_service", "kill_services", "forget_service", "remember", "down", "ask"),
            *("kill_zone", "begin_zone", "cut_zone", "mend_zone", "block", "unblock"),
            *("slow_place", "quicken_place"),
        )
    }

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, supervisor.end)
    loop.add_reader(settings.leash, supervisor.end)

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
            loop.remove_reader(settings.leash)
            return await bring_up(progress)
        if name not in calls:
            raise Invalid(f"the lab knows no call {name!r}", f"it knows {', '.join(calls)}")
        return await calls[name](**args)

    def lost(name: str) -> None:
        # A lab that came up half way belongs to nobody.
        if name == "bring_up":
            supervisor.end()

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


def _faults_not_to_be_had(mode: str) -> list[str]:
    if mode != "loopback":
        return []
    return [
        "network: zones cannot be cut, partitioned or slowed on loopback addresses",
        "zone: its processes are killed one by one, and their peers see connections closed instead of silence",
    ]


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
        os.set_inheritable(descriptor, False)
    if settings.ephemeral:
        hold_leash(settings.leash)
    asyncio.run(supervise(settings))


if __name__ == "__main__":
    main()
