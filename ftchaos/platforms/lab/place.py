"""A place of the lab as the supervisor holds it: a process 1 that can be killed in one call."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress

from ftchaos.errors import StepFailed
from ftchaos.platforms.lab import init
from ftchaos.platforms.lab.network import Loopback, Network
from ftchaos.platforms.lab.spawner import Spawner
from ftchaos.process import alive

_GONE_TIMEOUT_S = 10.0


class Place(Spawner):
    """One place of the lab, alive or dead."""

    def __init__(
        self,
        name: str,
        network: Network | Loopback,
        host_proc: int,
        begun: Callable[[str, int], None],
        ended: Callable[[str, int, int], None],
        died: Callable[[str], None],
    ) -> None:
        super().__init__(name, host_proc, begun, ended, died)
        self._network = network
        self._isolated = isinstance(network, Network)

    @property
    def host_pid(self) -> int | None:
        """Id of process 1 as ftchaos sees it; None while the place is dead."""
        return self.pids[0] if self.pids else None

    @property
    def pid(self) -> int:
        """Id of process 1 as the supervisor sees it."""
        return self.pids[-2] if self._isolated else self.pids[-1]

    async def begin(self) -> None:
        """Give the place a process 1.

        Raises:
            StepFailed: it did not come up.
        """
        # By its path and not as a module, which would import the packages above it first.
        argv = [sys.executable, "-P", init.__file__, self.name]
        if self._isolated:
            argv = ["unshare", "-p", "-m", "-f", "--kill-child", "--mount-proc", *argv]
        await self.begin_process(argv, self._network.inside(self.name))

    async def kill(self) -> None:
        """Kill process 1, and with it the place; return when nothing of it runs any more."""
        if self.alive:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
        try:
            await asyncio.wait_for(self.gone.wait(), _GONE_TIMEOUT_S)
        except TimeoutError:
            raise StepFailed(f"{self.name} is not dead {_GONE_TIMEOUT_S:g} s after it was killed") from None


async def until_gone(pids: list[int], timeout_s: float = _GONE_TIMEOUT_S) -> None:
    """Return when none of the processes runs; for places whose death takes no namespace along.

    Raises:
        StepFailed: one of them still runs.
    """
    deadline_at = asyncio.get_running_loop().time() + timeout_s
    while left := [pid for pid in pids if alive(pid)]:
        if asyncio.get_running_loop().time() > deadline_at:
            raise StepFailed(f"processes {left} survived the kill of their place")
        await asyncio.sleep(0.002)
