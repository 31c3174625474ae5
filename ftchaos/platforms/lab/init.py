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
from typing import Any, NoReturn

from ftchaos.process import adopt_orphans, die_with_parent

_PACKET_BYTES = 1 << 18


class Init:
    """The services of one place, by name and by process id."""

    def __init__(self, channel: socket.socket, host_proc: int) -> None:
        self._channel = channel
        self._host_proc = host_proc
        self._pids: dict[str, int] = {}
        self._wake, waker = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        os.set_blocking(waker, False)
        signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)

    def serve(self) -> None:
        """Do what the supervisor asks until it closes the channel."""
        self._tell("hello", pids=pids_of_self(self._host_proc))
        while True:
            ready, _, _ = select.select([self._channel.fileno(), self._wake], [], [])
            if self._wake in ready:
                os.read(self._wake, 4096)
                self._reap()
            if self._channel.fileno() in ready:
                packet = self._channel.recv(_PACKET_BYTES)
                if not packet:
                    return
                self._obey(json.loads(packet))

    def kill_all(self) -> None:
        """Kill every service; needed only where no pid namespace does it."""
        for pid in self._pids.values():
            os.killpg(pid, signal.SIGKILL)

    def _obey(self, request: dict[str, Any]) -> None:
        if "begin" in request:
            self._begin(**request["begin"])
        else:
            name, number = request["signal"]["name"], request["signal"]["number"]
            if name in self._pids:
                os.killpg(self._pids[name], number)

    def _begin(self, name: str, argv: list[str], cwd: str, log: str, env: dict[str, str]) -> None:
        # The child says its pid and, when it cannot become the service, why; exec closes the pipe.
        told, tell = os.pipe()
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            _become(tell, parent, self._host_proc, argv, cwd, log, {**os.environ, **env})
        os.close(tell)
        with os.fdopen(told) as pipe:
            host_pid, _, failure = pipe.read().partition("\n")
        if failure:
            os.waitpid(pid, 0)
            self._tell("failed", name=name, reason=failure)
        else:
            self._pids[name] = pid
            self._tell("begun", name=name, pid=int(host_pid))

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            for name in [name for name, known in self._pids.items() if known == pid]:
                del self._pids[name]
                self._tell("ended", name=name, status=os.waitstatus_to_exitcode(status))

    def _tell(self, event: str, **facts: Any) -> None:
        self._channel.send(json.dumps({"event": event, **facts}).encode())


def _become(
    tell: int, parent: int, host_proc: int, argv: list[str], cwd: str, log: str, env: dict[str, str]
) -> NoReturn:
    try:
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGPIPE):
            signal.signal(number, signal.SIG_DFL)
        os.setsid()
        die_with_parent(parent)
        os.write(tell, f"{pids_of_self(host_proc)[0]}\n".encode())
        os.dup2(os.open("/dev/null", os.O_RDONLY), 0)
        output = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.chdir(cwd)
        os.execvpe(argv[0], argv, env)
    except BaseException as error:
        os.write(tell, str(error).encode())
        raise
    finally:
        os._exit(127)


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


def main() -> None:
    """``python init.py PLACE CHANNEL HOST_PROC``, both descriptors."""
    die_with_parent()
    adopt_orphans()
    for descriptor in (int(sys.argv[2]), int(sys.argv[3])):
        os.set_inheritable(descriptor, False)
    init = Init(socket.socket(fileno=int(sys.argv[2])), int(sys.argv[3]))
    try:
        init.serve()
    except (BrokenPipeError, ConnectionResetError):
        pass  # the supervisor is gone, and so are we
    finally:
        init.kill_all()


if __name__ == "__main__":
    main()
