"""Process 1 of a place: begins its services, reaps them, and takes them all along when it dies.

The supervisor talks to it over a socket of JSON packets. Where the lab has pid namespaces the
kernel kills the whole place with this process; elsewhere each service asks the kernel to die
with its parent, which comes close. Imports little, because five of these begin with every lab.

Requests: ``{"begin": {name, argv, cwd, log, env}}`` and ``{"signal": {name, number}}``.
Events: ``hello`` once, then ``begun``, ``failed`` and ``ended``.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import sys
from dataclasses import dataclass
from typing import Any, NoReturn

from ftchaos.process import adopt_orphans, die_with_parent

_PACKET_BYTES = 1 << 18


@dataclass(frozen=True)
class Child:
    """A service that was spawned.

    Attributes:
        waited: the process to wait for.
        group: its process group, as this process sees it.
        host_pid: its id as ftchaos sees it.
    """

    waited: int
    group: int
    host_pid: int


class Init:
    """Spawns services when the supervisor asks, and tells it when they end."""

    def __init__(self, channel: socket.socket, host_proc: int) -> None:
        self.channel = channel
        self.host_proc = host_proc
        self._children: dict[str, Child] = {}
        self._wake, waker = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)

    def serve(self) -> None:
        """Do what the supervisor asks until it closes the channel."""
        pids = pids_of_self(self.host_proc)
        self._depth = len(pids)
        self._tell("hello", pids=pids)
        channel = self.channel.fileno()
        while True:
            ready, _, _ = select.select([channel, self._wake], [], [])
            if self._wake in ready:
                os.read(self._wake, 4096)
                self._reap()
            if channel in ready:
                packet = self.channel.recv(_PACKET_BYTES)
                if not packet:
                    return
                self._obey(json.loads(packet))

    def kill_all(self) -> None:
        """Kill every service; needed only where no pid namespace does it."""
        for child in self._children.values():
            os.killpg(child.group, signal.SIGKILL)

    def become(self, tell: int, parent: int, request: dict[str, Any]) -> None:
        """Turn a freshly forked child into the service; tells its pids, and closes the pipe when it has succeeded."""
        dress(tell, parent, self.host_proc, request)
        os.execvp(request["argv"][0], request["argv"])

    def prepare(self, request: dict[str, Any]) -> None:
        """Whatever is better done before the fork."""

    def _obey(self, request: dict[str, Any]) -> None:
        if "begin" in request:
            self._begin(request["begin"])
        else:
            child = self._children.get(request["signal"]["name"])
            if child is not None:
                os.killpg(child.group, request["signal"]["number"])

    def _begin(self, request: dict[str, Any]) -> None:
        name = request["name"]
        try:
            self.prepare(request)
        except ImportError as error:
            self._tell("failed", name=name, reason=str(error))
            return
        # The child says its pids and, when it cannot become the service, why; the end of the pipe is success.
        told, tell = os.pipe()
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            os.close(told)
            self._child(tell, parent, request)
        os.close(tell)
        with os.fdopen(told) as pipe:
            pids, _, failure = pipe.read().partition("\n")
        if failure or not pids:
            os.waitpid(pid, 0)
            self._tell("failed", name=name, reason=failure or "it died at once")
            return
        seen = [int(text) for text in pids.split()]
        self._children[name] = Child(pid, seen[self._depth - 1], seen[0])
        self._tell("begun", name=name, pid=seen[0])

    def _child(self, tell: int, parent: int, request: dict[str, Any]) -> NoReturn:
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            self.become(tell, parent, request)
        except OSError as error:
            os.write(tell, str(error).encode())
        finally:
            os._exit(127)

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            for name in [name for name, child in self._children.items() if child.waited == pid]:
                child = self._children.pop(name)
                self._tell("ended", name=name, pid=child.host_pid, status=os.waitstatus_to_exitcode(status))

    def _tell(self, event: str, **facts: Any) -> None:
        self.channel.send(json.dumps({"event": event, **facts}).encode())


def dress(tell: int, parent: int | None, host_proc: int, request: dict[str, Any]) -> None:
    """Give this process what a service has: a session, a log, its folder and environment, and death with its parent."""
    os.setsid()
    die_with_parent(parent)
    os.write(tell, f"{' '.join(map(str, pids_of_self(host_proc)))}\n".encode())
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    log = os.open(request["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.chdir(request["cwd"])
    os.environ.update(request["env"])


def pids_of_self(proc: int) -> list[int]:
    """This process's ids, from the namespace that a ``/proc`` was mounted in down to its own.

    Args:
        proc: a directory descriptor of that ``/proc``, which may have been opened outside.
    """
    status = os.open("self/status", os.O_RDONLY, dir_fd=proc)
    with os.fdopen(status) as lines:
        for line in lines:
            if line.startswith("NSpid:"):
                return [int(pid) for pid in line.split()[1:]]
    return [os.getpid()]


def run(kind: type[Init]) -> None:
    """Serve; the last two arguments are the descriptors of the channel and of the host's ``/proc``."""
    die_with_parent()
    adopt_orphans()
    channel, host_proc = (int(argument) for argument in sys.argv[-2:])
    for descriptor in (channel, host_proc):
        os.set_inheritable(descriptor, False)
    spawner = kind(socket.socket(fileno=channel), host_proc)
    try:
        spawner.serve()
    except (BrokenPipeError, ConnectionResetError):
        pass  # the supervisor is gone, and so are we
    finally:
        spawner.kill_all()


if __name__ == "__main__":
    run(Init)
