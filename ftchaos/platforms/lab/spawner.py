"""The supervisor's side of a process that spawns services for it: a place's process 1, or the zygote."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from ftchaos.errors import StepFailed

PACKET_BYTES = 1 << 18
_HELLO_TIMEOUT_S = 10.0


class Spawner:
    """Requests to one spawning process, and what it tells; :mod:`ftchaos.platforms.lab.init` has the protocol.

    Args:
        name: what errors call it.
        host_proc: descriptor of the ``/proc`` of whoever began the lab.
        begun: told name and host pid of each service that was spawned; always before it is said to have ended.
        ended: told name, host pid and exit status of each service that ended.
        died: told the name when the process itself has died, and with it all of its services.
    """

    def __init__(
        self,
        name: str,
        host_proc: int,
        begun: Callable[[str, int], None],
        ended: Callable[[str, int, int], None],
        died: Callable[[str], None],
    ) -> None:
        self.name = name
        self.pids: list[int] = []
        self.gone = asyncio.Event()
        self.gone.set()
        self._host_proc = host_proc
        self._begun = begun
        self._ended = ended
        self._died = died
        self._channel: socket.socket | None = None
        self._answers: dict[str, asyncio.Future[dict[str, Any]]] = {}

    @property
    def alive(self) -> bool:
        """Whether the process has come up and has not died since."""
        return bool(self.pids)

    async def begin_process(self, argv: Sequence[str], where: AbstractContextManager[None] | None = None) -> None:
        """Spawn the process itself; the channel's and the host's ``/proc`` descriptors are added to its arguments.

        Raises:
            StepFailed: it did not come up.
        """
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        inherited = (theirs.fileno(), self._host_proc)
        with where or nullcontext(), theirs:
            process = subprocess.Popen([*argv, *map(str, inherited)], stdin=subprocess.DEVNULL, pass_fds=inherited)
        self._channel = ours
        self.gone.clear()
        asyncio.get_running_loop().add_reader(ours, self._hear, ours, process)
        self.pids = (await self._answer("hello", _HELLO_TIMEOUT_S))["pids"]

    async def spawn(self, request: dict[str, Any], timeout_s: float) -> None:
        """Spawn a service.

        Raises:
            StepFailed: it could not be spawned.
        """
        self._send({"begin": request})
        answer = await self._answer(request["name"], timeout_s)
        if answer["event"] == "failed":
            raise StepFailed(f"{request['name']} could not be spawned: {answer['reason']}")

    def signal(self, name: str, number: int) -> None:
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

    def _hear(self, channel: socket.socket, process: subprocess.Popen[bytes]) -> None:
        try:
            packet = channel.recv(PACKET_BYTES)
        except BlockingIOError:
            return
        except ConnectionResetError:
            packet = b""
        if not packet:
            self._lost(channel, process)
            return
        event = json.loads(packet)
        if event["event"] == "ended":
            self._ended(event["name"], event["pid"], event["status"])
            return
        if event["event"] == "begun":
            self._begun(event["name"], event["pid"])
        answer = self._answers.get(event.get("name", "hello"))
        if answer is not None and not answer.done():
            answer.set_result(event)

    def _lost(self, channel: socket.socket, process: subprocess.Popen[bytes]) -> None:
        """The process is dead: wait for all that dies with it, without blocking."""
        loop = asyncio.get_running_loop()
        loop.remove_reader(channel)
        channel.close()
        self._channel = None
        self.pids = []
        self._died(self.name)
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(StepFailed(f"{self.name} died"))
        handle = os.pidfd_open(process.pid)

        def reap() -> None:
            loop.remove_reader(handle)
            os.close(handle)
            process.wait()
            self.gone.set()

        loop.add_reader(handle, reap)
