"""Linux namespaces from within a process: what os.unshare and os.setns are from Python 3.12 on."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager

_CLONE_NEWNS = 0x00020000
_CLONE_NEWPID = 0x20000000
_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


def new_network() -> int:
    """A new, empty network namespace, as a file descriptor that keeps it alive.

    Must be called in the main thread of a process that may create namespaces.
    """
    home = os.open("/proc/self/ns/net", os.O_RDONLY)
    try:
        _check(_libc.unshare(_CLONE_NEWNET), "unshare")
        try:
            return os.open("/proc/self/ns/net", os.O_RDONLY)
        finally:
            _check(_libc.setns(home, _CLONE_NEWNET), "setns")
    finally:
        os.close(home)


@contextmanager
def inside(network: int, home: int) -> Iterator[None]:
    """Sockets opened and processes spawned within belong to another network namespace.

    Nothing may be awaited within: the whole thread is there.
    """
    _check(_libc.setns(network, _CLONE_NEWNET), "setns")
    try:
        yield
    finally:
        _check(_libc.setns(home, _CLONE_NEWNET), "setns")


def enter(pid: int) -> None:
    """Move this process to another's network and mounts, and its children to the other's pid namespace."""
    process = os.pidfd_open(pid)
    try:
        _check(_libc.setns(process, _CLONE_NEWNET | _CLONE_NEWPID | _CLONE_NEWNS), "setns")
    finally:
        os.close(process)


def _check(result: int, call: str) -> None:
    if result != 0:
        raise OSError(ctypes.get_errno(), f"{call}: {os.strerror(ctypes.get_errno())}")
