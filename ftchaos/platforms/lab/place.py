"""The supervisor's side of a place: its process 1, which can be killed in one call, and what it tells."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from ftchaos.errors import MissingProgram, StepFailed
from ftchaos.platforms.lab import init
from ftchaos.platforms.lab.network import Loopback, Network
from ftchaos.platforms.lab.service import ServiceSpec
from ftchaos.process import alive

_HELLO_TIMEOUT_S = 10.0
_GONE_TIMEOUT_S = 10.0


class Place:
    """One place of the lab and its process 1.

    Attributes:
        host_pid: id of process 1 as ftchaos sees it; None while the place is dead.
    """

    def __init__(
        self,
        name: str,
        network: Network | Loopback,
        host_proc: int,
        ended: Callable[[str, int], None],
        died: Callable[[str], None],
    ) -> None:
        self.name = name
        self.host_pid: int | None = None
        self._network = network
        self._host_proc = host_proc
        self._ended = ended
        self._died = died
        self._pid = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: socket.socket | None = None
        self._answers: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._gone = asyncio.Event()
        self._gone.set()

    @property
    def alive(self) -> bool:
        """Whether the place has a process 1."""
        return self.host_pid is not None

    async def begin(self) -> None:
        """Give the place a process 1.

        Raises:
            StepFailed: it did not come up.
        """
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        # By its path and not as a module, which would import the packages above it first.
        argv = [sys.executable, "-P", init.__file__, self.name]
        argv += [str(theirs.fileno()), str(self._host_proc)]
        if isinstance(self._network, Network):
            argv = ["unshare", "-p", "-m", "-f", "--kill-child", "--mount-proc", *argv]
        with self._network.inside(self.name), theirs:
            self._process = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, pass_fds=(theirs.fileno(), self._host_proc)
            )
        self._channel = ours
        self._gone.clear()
        loop = asyncio.get_running_loop()
        loop.add_reader(ours, self._hear)
        hello = await self._answer("hello", _HELLO_TIMEOUT_S)
        pids = hello["pids"]
        self.host_pid = pids[0]
        self._pid = pids[-2] if isinstance(self._network, Network) else pids[-1]

    async def kill(self) -> None:
        """Kill process 1, and with it the place; return when nothing of it runs any more."""
        if self._process is None:
            return
        with suppress(ProcessLookupError):
            os.kill(self._pid or self._process.pid, signal.SIGKILL)
        await asyncio.wait_for(self._gone.wait(), _GONE_TIMEOUT_S)

    async def begin_service(self, spec: ServiceSpec) -> int:
        """Spawn a service.

        Returns:
            Its process id as ftchaos sees it.

        Raises:
            MissingProgram, StepFailed: it could not be spawned.
        """
        program = shutil.which(spec.argv[0])
        if program is None:
            raise MissingProgram(f"{spec.name} needs {spec.argv[0]}, which is missing", "run `ftchaos doctor`")
        request = {"name": spec.name, "argv": [program, *spec.argv[1:]], "cwd": spec.cwd, "log": spec.log}
        self._send({"begin": {**request, "env": dict(spec.env)}})
        answer = await self._answer(spec.name, spec.ready_timeout_s)
        if answer["event"] == "failed":
            raise StepFailed(f"{spec.name} could not be spawned: {answer['reason']}")
        return int(answer["pid"])

    def signal_service(self, name: str, number: int) -> None:
        """Send a signal to a service and all of its processes."""
        self._send({"signal": {"name": name, "number": number}})

    def _send(self, request: dict[str, Any]) -> None:
        try:
            if self._channel is None:
                raise BrokenPipeError
            self._channel.send(json.dumps(request).encode())
        except (BrokenPipeError, ConnectionResetError):
            raise StepFailed(f"{self.name} is dead", "begin the zone first") from None

    async def _answer(self, key: str, timeout_s: float) -> dict[str, Any]:
        future: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._answers[key] = future
        try:
            return await asyncio.wait_for(future, timeout_s)
        except TimeoutError:
            raise StepFailed(f"{self.name} did not answer within {timeout_s:g} s") from None
        finally:
            self._answers.pop(key, None)

    def _hear(self) -> None:
        assert self._channel is not None
        try:
            packet = self._channel.recv(1 << 18)
        except BlockingIOError:
            return
        except ConnectionResetError:
            packet = b""
        if not packet:
            self._lost()
            return
        event = json.loads(packet)
        if event["event"] == "ended":
            self._ended(event["name"], event["status"])
            return
        answer = self._answers.get(event.get("name", "hello"))
        if answer is not None and not answer.done():
            answer.set_result(event)

    def _lost(self) -> None:
        """Process 1 is dead: wait for the rest of the place, without blocking."""
        assert self._channel is not None
        assert self._process is not None
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._channel)
        self._channel.close()
        self._channel = None
        self.host_pid = None
        self._pid = 0
        self._died(self.name)
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(StepFailed(f"{self.name} died"))
        process, handle = self._process, os.pidfd_open(self._process.pid)

        def reap() -> None:
            loop.remove_reader(handle)
            os.close(handle)
            process.wait()
            self._process = None
            self._gone.set()

        loop.add_reader(handle, reap)


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
