"""What stands between a definition and harm: the environment's protection, and one run at a time."""

from __future__ import annotations

import fcntl
import getpass
import json
import os
import socket
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType

from ftchaos import state
from ftchaos.clock import iso
from ftchaos.errors import Locked, Refused
from ftchaos.units import human_duration


@dataclass(frozen=True)
class Target:
    """One thing that a fault hits.

    Attributes:
        name: as the witness and the evidence name it.
        kind: ``zone``, ``mysql``, ``redis-cluster``, ``redis-queue``, ``sentinel``, ``api``, ``worker`` or ``edge``.
        zone: where it stands.
        of: how many of that kind the environment has.
    """

    name: str
    kind: str
    zone: str
    of: int

    def __str__(self) -> str:
        return self.name if self.name == self.zone else f"{self.name} in {self.zone}"


def ensure_allowed(environment: str, protected: bool) -> None:
    """Refuse a protected environment.

    Raises:
        Refused: always for a protected environment, as this version has no way to confirm one.
    """
    if protected:
        raise Refused(
            f"the environment '{environment}' is protected",
            "run against an unprotected environment, such as the lab: --environment lab",
        )


class EnvironmentLock:
    """One run at a time in an environment, held by the kernel, so that a killed holder frees it.

    The lock file also says who holds it, for the message to the second.
    """

    def __init__(self, environment: str) -> None:
        self.environment = environment
        self.path = state.root() / "locks" / f"{environment}.lock"
        self._descriptor: int | None = None

    def acquire(self, run_id: str) -> None:
        """Take the lock at once or be refused.

        Raises:
            Locked: a live run holds it; the message names it, its process and its age.
            Refused: the state folder cannot be written.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise Refused(
                f"the lock {self.path} cannot be written: {error.strerror}", "set FTCHAOS_STATE to a folder of yours"
            ) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(descriptor)
            raise Locked(
                f"the environment '{self.environment}' is in use by {_holder(self.path)}",
                "wait until it ends, or end that run with SIGTERM; it heals what it harmed",
            ) from error
        self._descriptor = descriptor
        os.ftruncate(descriptor, 0)
        os.pwrite(
            descriptor,
            json.dumps(
                {"run_id": run_id, "pid": os.getpid(), "user": getpass.getuser(), "host": socket.gethostname(),
                 "since": datetime.now(UTC).timestamp()}
            ).encode(),
            0,
        )  # fmt: skip

    def release(self) -> None:
        """Let the next one in; harmless when not held."""
        if self._descriptor is not None:
            os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> EnvironmentLock:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.release()


def _holder(path: Path) -> str:
    try:
        holder = json.loads(path.read_text())
        age = human_duration(max(0.0, datetime.now(UTC).timestamp() - holder["since"]))
        return (
            f"run {holder['run_id']} of {holder['user']} on {holder['host']} "
            f"(process {holder['pid']}, for {age}, since {iso(datetime.fromtimestamp(holder['since'], UTC))})"
        )
    except (OSError, ValueError, KeyError, TypeError):
        # The holder has the lock but has not written its name yet.
        return "another run that has just begun"
