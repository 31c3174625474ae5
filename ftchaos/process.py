"""Processes that must not outlive what they serve: the little of prctl(2) that Python lacks."""

from __future__ import annotations

import ctypes
import json
import os
import select
import signal
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_PR_SET_NAME = 15
_PR_SET_CHILD_SUBREAPER = 36
_libc = ctypes.CDLL(None, use_errno=True)


def die_with_parent(parent_pid: int | None = None, number: int = signal.SIGKILL) -> None:
    """Have the kernel send this process a signal when its parent dies.

    The kernel forgets the wish when credentials change, so a process that was begun through
    ``nsenter -U`` or ``setpriv --reuid`` must call this itself, after that.

    Args:
        parent_pid: the parent as it sees itself. When given and already gone, this process
            exits here, which closes the race between fork and prctl.
        number: SIGKILL, or one upon which it puts things in order first.
    """
    _prctl(_PR_SET_PDEATHSIG, number)
    if parent_pid is not None and os.getppid() != parent_pid:
        os._exit(1)


def adopt_orphans() -> None:
    """Become the parent of every orphaned descendant, as pid 1 is inside a pid namespace."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"


def wait_gone(pid: int, timeout_s: float) -> bool:
    """Whether a process, which need not be a child, has ended within the time.

    For pid 1 of a namespace that means that the whole namespace is empty.
    """
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        poll = select.poll()
        poll.register(handle, select.POLLIN)
        deadline_at = time.monotonic() + timeout_s
        while (left_s := deadline_at - time.monotonic()) > 0:
            if poll.poll(left_s * 1000):
                return True
        return False
    finally:
        os.close(handle)


@dataclass(frozen=True)
class Identity:
    """Which process one is, for whoever comes later: its number alone may be another's by then.

    Attributes:
        boot: the boot of the machine that it runs on.
        space: the namespace of process numbers in which ``pid`` means it.
        began: when it began, in ticks of the kernel since that boot.
    """

    boot: str
    space: str
    pid: int
    began: int

    @classmethod
    def of(cls, pid: int) -> Identity:
        """That of a process that runs.

        Raises:
            OSError: there is no such process.
        """
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        # Field 22 of proc(5), where the first one here is field 3.
        return cls(boot, os.readlink("/proc/self/ns/pid"), pid, int(fields[19]))

    @classmethod
    def read(cls, path: Path) -> Identity | None:
        """What a process wrote of itself; None where it has written nothing, or nothing whole."""
        try:
            return cls(**json.loads(path.read_bytes()))
        except (OSError, ValueError, TypeError):
            return None

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @property
    def alive(self) -> bool:
        """Whether that process runs, and no other with its number."""
        try:
            return Identity.of(self.pid) == self and alive(self.pid)
        except OSError:
            return False

    def signal(self, number: int) -> bool:
        """Send it a signal; whether it was there."""
        try:
            handle = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return False
        try:
            # What a handle holds becomes nobody else's number: only now is it certain who is meant.
            if not self.alive:
                return False
            signal.pidfd_send_signal(handle, number)
            return True
        except ProcessLookupError:
            return False
        finally:
            os.close(handle)

    def end(self, timeout_s: float) -> bool:
        """Kill it and wait until it is gone; whether it was there.

        Raises:
            TimeoutError: it does not go.
        """
        was_there = self.signal(signal.SIGKILL)
        if was_there and not wait_gone(self.pid, timeout_s):
            raise TimeoutError(f"process {self.pid} does not end")
        return was_there


def name_process(name: str, argv: Sequence[str]) -> None:
    """Give this process the name and the arguments that ``ps`` and ``top`` show.

    Args:
        name: only 15 bytes of it fit.
        argv: only as many bytes fit as the process was begun with.
    """
    _prctl(_PR_SET_NAME, ctypes.create_string_buffer(name.encode()[:15]))
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    # Fields 48 and 49 of proc(5), where the first one here is field 3.
    begin, end = int(fields[45]), int(fields[46])
    shown = "\0".join(argv).encode()[: end - begin - 1]
    ctypes.memmove(begin, shown.ljust(end - begin, b"\0"), end - begin)


def _prctl(option: int, value: int | ctypes.Array[ctypes.c_char]) -> None:
    if _libc.prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")
