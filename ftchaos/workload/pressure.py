"""``python -m ftchaos.workload.pressure CONFIG.json``: requests beyond the usual, to an address that only reads.

Open loop: a request is sent when it is due, whether or not the service answers. How many are due each second rises in a
straight line from none to the top, and stays where it is from the moment that SIGUSR1 comes. A request that is due
while as many are under way as there may be, or was due while this machine stood still, is *held back*: counted and
never sent, so that a service that is slow is not buried. It ends by itself after its time, and with whoever began it.

Before anything is sent, the file ``own`` says which process this is, see :class:`ftchaos.process.Identity`; where its
folder is gone by then, nothing is. ``log`` gets a line of JSON each half second, whose counts grow::

    {"at": 1234.5, "rate": 120.0, "sent": 900, "answered": 880, "failed": 4, "held_back": 0}

*Answered* is what has a status of 2xx: whoever turns requests away, as a limit of their rate does, spares the service.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import aiohttp

from ftchaos.atomic import write
from ftchaos.errors import FtchaosError, Invalid
from ftchaos.process import Identity, die_with_parent
from ftchaos.workload import part

HOLD = signal.SIGUSR1
CONNECT_TIMEOUT_S = 2.0
STALL_S = 1.0  # being late by more, the machine stood still: what was not sent then is not sent in a burst
REST_S = 0.01  # nothing is due yet


@dataclass(frozen=True)
class Config:
    """What is sent where.

    Attributes:
        url: of the requests, all of them GET.
        rate: requests a second at the top; ``rise_s``: how long it takes to get there.
        under_way: how many may be under way at once.
        lasts_s: after which time it ends by itself.
        own, log: see the module.
    """

    url: str
    rate: float
    rise_s: float
    under_way: int
    timeout_s: float
    lasts_s: float
    own: str
    log: str
    parent_pid: int | None = None

    @classmethod
    def load(cls, path: Path) -> Config:
        """That of a file.

        Raises:
            Invalid: it cannot be read, or lacks something.
        """
        try:
            data = json.loads(path.read_bytes())
            return cls(**{one.name: data[one.name] for one in fields(cls) if one.name in data})
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise Invalid(f"the configuration {path} cannot be used: {error!r}", "see its module") from error


@dataclass
class Pressure:
    """One load; for one event loop."""

    config: Config
    began_at: float = 0.0
    held_at: float | None = None
    counts: dict[str, int] = field(
        default_factory=lambda: dict.fromkeys(("sent", "answered", "failed", "held_back"), 0)
    )
    _under_way: set[asyncio.Task[None]] = field(default_factory=set)

    def hold(self) -> None:
        """Rise no more."""
        self.held_at = self.held_at or time.monotonic()

    def rate(self, at: float) -> float:
        """How many requests a second are due at an instant."""
        risen_s = (at if self.held_at is None else min(at, self.held_at)) - self.began_at
        return self.config.rate * (min(1.0, risen_s / self.config.rise_s) if self.config.rise_s else 1.0)

    def due(self, at: float, since_s: float) -> float:
        """How many requests to send became due in the seconds before an instant; what is too late is held back."""
        self.counts["held_back"] += round(self.rate(at) * max(0.0, since_s - STALL_S))
        return self.rate(at) * min(since_s, STALL_S)

    async def run(self, end: asyncio.Event) -> None:
        """Send until told to end."""
        self.began_at = at = time.monotonic()
        due = 0.0
        limit = aiohttp.ClientTimeout(total=self.config.timeout_s, sock_connect=CONNECT_TIMEOUT_S)
        async with aiohttp.ClientSession(timeout=limit, connector=aiohttp.TCPConnector(limit=0)) as session:
            while not end.is_set():
                await asyncio.sleep(REST_S)
                since_s, at = time.monotonic() - at, time.monotonic()
                due += self.due(at, since_s)
                while due >= 1:
                    due -= 1
                    self._send(session)
            for one in self._under_way:
                one.cancel()
            await asyncio.gather(*self._under_way, return_exceptions=True)

    def _send(self, session: aiohttp.ClientSession) -> None:
        if len(self._under_way) >= self.config.under_way:
            self.counts["held_back"] += 1
            return
        task = asyncio.create_task(self._ask(session))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        self.counts["sent"] += 1

    async def _ask(self, session: aiohttp.ClientSession) -> None:
        try:
            async with session.get(self.config.url, allow_redirects=False) as answer:
                await answer.read()
                self.counts["answered" if 200 <= answer.status < 300 else "failed"] += 1
        except (aiohttp.ClientError, TimeoutError, OSError):
            self.counts["failed"] += 1

    def line(self) -> dict[str, Any]:
        """How far it has come."""
        at = time.monotonic()
        return {"at": at, "rate": round(self.rate(at), 3), **self.counts}


def main(argv: Sequence[str]) -> int:
    signal.pthread_sigmask(signal.SIG_BLOCK, [HOLD])  # before there is somebody to heed it, it would end us
    die_with_parent()
    part.defer()
    try:
        config = Config.load(Path(argv[0]))
        die_with_parent(config.parent_pid)
        announce(config)
        return _run(config)
    except (FtchaosError, OSError) as error:
        sys.stderr.write(f"pressure: {error}\n")
        return error.exit_code if isinstance(error, FtchaosError) else 2


def announce(config: Config) -> None:
    """Say who this is, for whoever is to end it.

    Raises:
        OSError: the folder is gone, as the load has been ended.
    """
    write(Path(config.own), Identity.of(os.getpid()).to_json())


def _run(config: Config) -> int:
    pressure = Pressure(config)
    log = os.open(config.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)

    def tell() -> None:
        os.write(log, (json.dumps(pressure.line()) + "\n").encode())

    async def begin(end: asyncio.Event) -> None:
        asyncio.get_running_loop().add_signal_handler(HOLD, pressure.hold)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [HOLD])
        await pressure.run(end)

    part.run(begin, config.lasts_s, tell)
    tell()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
