"""What stands between a definition and harm: the blast radius, the environment's protection, and one run at a time."""

from __future__ import annotations

import fcntl
import getpass
import json
import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from ftchaos import approval, state
from ftchaos.clock import iso
from ftchaos.errors import Locked, Refused
from ftchaos.units import human_duration

if TYPE_CHECKING:  # pydantic is dear, and processes of the lab need no more than Target
    from ftchaos.config import BlastRadius, Environment

DEFAULT_ZONES = 1
"""Zones that one run may take whole where no blast radius is configured: what the architecture promises to survive."""

DEFAULT_SHARE = 0.67
"""Share of the servers of one kind: two of three."""

DEFAULT_REQUESTS = 500.0
"""Requests a second that a fault may send beyond the usual, where no blast radius is configured."""

RECOVERY = "recovery of "
"""What the holder of a lock is called that heals what a dead run left."""


@dataclass(frozen=True)
class Target:
    """One thing that a fault hits.

    Attributes:
        name: as the witness and the evidence name it.
        kind: ``zone``, ``mysql``, ``redis-cluster``, ``redis-queue``, ``sentinel``, ``api``, ``worker`` or ``edge``.
        zone: where it stands; empty for what stands in several.
        of: how many of that kind the environment has.
    """

    name: str
    kind: str
    zone: str
    of: int

    def __str__(self) -> str:
        return self.name if self.zone in ("", self.name) else f"{self.name} in {self.zone}"


def ensure_within(
    radius: BlastRadius | None, targets: Sequence[Target], *, quorum_lost: str = "", beyond_quorum: bool = False,
    requests_per_s: float = 0.0,
) -> None:  # fmt: skip
    """Refuse a fault that would hit more than is allowed, or nothing at all.

    Args:
        radius: what the environment's configuration allows; None for one zone whole, and two of three of any kind.
        targets: what the fault was resolved to. Those of the kind ``zone`` count as zones; every kind is held to the
            share, by its distinct names.
        quorum_lost: the cluster that would lose its quorum, in words; empty for none.
        beyond_quorum: the definition says that this is meant.
        requests_per_s: how many requests a second the fault sends at the most.

    Raises:
        Refused: with the numbers, and what to change.
    """
    if not targets:
        raise Refused("the fault would hit nothing", "see its arguments: they name nothing that is there")
    zones, share = (DEFAULT_ZONES, DEFAULT_SHARE) if radius is None else (radius.zones, radius.share)
    requests = DEFAULT_REQUESTS if radius is None else radius.requests
    if requests_per_s > requests:
        raise Refused(
            f"the fault would send up to {requests_per_s:g} requests a second, "
            f"and the blast radius allows {requests:g}",
            f"choose fewer, or set blast_radius: {{requests: {requests_per_s:g}}} for the environment in ftchaos.yaml",
        )
    whole = sorted({target.name for target in targets if target.kind == "zone"})
    if len(whole) > zones:
        raise Refused(
            f"the fault would take {_counted(len(whole), 'zone')} ({', '.join(whole)}), "
            f"and the blast radius allows {_counted(zones, 'zone')}",
            f"choose fewer, or set blast_radius: {{zones: {len(whole)}}} for the environment in ftchaos.yaml",
        )
    # A load takes nobody away: it is held to its rate, and not to a share.
    for kind in dict.fromkeys(target.kind for target in targets if not requests_per_s):
        names = sorted({target.name for target in targets if target.kind == kind})
        of = max(len(names), *(target.of for target in targets if target.kind == kind))
        hit = len(names) / of
        # In whole percent, as people write them: one of three is within 33 %.
        if hit > share + min(0.005, share):
            raise Refused(
                f"the fault would hit {len(names)} of {of} {kind} ({hit:.0%}: {', '.join(names)}), "
                f"and the blast radius allows {share:.0%} of a kind",
                f"choose fewer, or set blast_radius: {{share: {-(-len(names) * 100 // of)}%}} "
                "for the environment in ftchaos.yaml",
            )
    if quorum_lost and not beyond_quorum:
        raise Refused(
            f"the fault would take the quorum of {quorum_lost}",
            "where that is meant, the definition says beyond_quorum: true in its extension",
        )


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


@dataclass(frozen=True)
class Permit:
    """Leave to run in an environment.

    Attributes:
        how: how it was given, in words for the evidence; empty where none was needed.
        approval: the one-time approval that it rests on.
    """

    how: str = ""
    approval: Path | None = None

    def use(self, run_id: str) -> None:
        """Use up what can be used only once; call it with the lock held, before anything is touched.

        Raises:
            Refused: another run has used it.
        """
        if self.approval is not None:
            approval.use(self.approval, run_id)


def ensure_allowed(
    environment: str, settings: Environment, run: str, *, confirm: str = "", at: datetime | None = None
) -> Permit:
    """Leave for a run in an environment: a protected one must list it, have its window open, and be confirmed.

    Args:
        environment: its name.
        settings: what is configured for it.
        run: kind and id of the definition, for example ``drill/restore``.
        confirm: the name of the environment, typed once more.
        at: now, in UTC.

    Returns:
        The permit; nothing is used up yet, so that a preview may ask too.

    Raises:
        Refused: it is protected, and something of that is missing.
    """
    at = at or datetime.now(UTC)
    if not settings.protected:
        return Permit()
    protected = f"the environment '{environment}' is protected"
    if run not in settings.allow:
        raise Refused(
            f"{protected}, and {run} is not on its list: {', '.join(settings.allow) or 'it is empty'}",
            f"run in the lab, or add {run} to environments.{environment}.allow in ftchaos.yaml",
        )
    if not any(window.holds(at) for window in settings.windows):
        opens = min((window.next(at) for window in settings.windows), default=None)
        raise Refused(
            f"{protected}, and now, {at:%a %H:%M} UTC, is outside its windows: "
            f"{', '.join(window.text for window in settings.windows) or 'there are none'}",
            f"wait until {opens:%a %Y-%m-%d %H:%M} UTC" if opens else f"add environments.{environment}.windows",
        )
    if confirm == environment:
        return Permit("confirmed by its name")
    if confirm:
        raise Refused(f"{protected}, and {confirm!r} is not its name", f"say --confirm {environment} if you mean it")
    if settings.approval is None:
        raise Refused(f"{protected}, and it was not confirmed", f"say --confirm {environment} if you mean it")
    approval.ensure_approved(settings.approval, run, environment, at)
    return Permit(f"approved once by {settings.approval}", settings.approval)


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
            with _turn(self.path.parent):
                self._acquire(run_id)
        except OSError as error:
            self.release()
            raise Refused(
                f"the lock {error.filename or self.path} cannot be written: {error.strerror}",
                "set FTCHAOS_STATE to a folder of yours",
            ) from error

    def _acquire(self, run_id: str) -> None:
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(descriptor)
            raise Locked(
                f"the environment '{self.environment}' is in use by "
                f"{last_holder(self.environment) or 'another run that has just begun'}",
                "wait until it ends, or end that run with SIGTERM; it heals what it harmed",
            ) from error
        self._descriptor = descriptor
        os.ftruncate(descriptor, 0)
        os.pwrite(
            descriptor,
            json.dumps(
                {"run_id": run_id, "pid": os.getpid(), "user": _user(), "host": socket.gethostname(),
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


@dataclass(frozen=True)
class Holder:
    """Who holds a lock.

    Attributes:
        run_id: the run, or what else holds it.
        pid: for people alone: in another container it is the number of another process, or of none.
        since: in seconds since the Unix epoch.
    """

    run_id: str
    pid: int
    user: str
    host: str
    since: float

    @property
    def heals(self) -> bool:
        """Whether it is no run, but the recovery of one."""
        return self.run_id.startswith(RECOVERY)

    def __str__(self) -> str:
        what = f"the {self.run_id}" if self.heals else f"run {self.run_id}"
        age = human_duration(max(0.0, datetime.now(UTC).timestamp() - self.since))
        since = iso(datetime.fromtimestamp(self.since, UTC))
        return f"{what} of {self.user} on {self.host} (process {self.pid}, for {age}, since {since})"


def holder(environment: str) -> Holder | None:
    """Who holds a lock at this moment; None when nobody does, or whoever does is just leaving.

    The kernel says so, also of a process on another machine or in another container that shares the volume.

    Raises:
        Refused: the state folder is not this user's to write.
    """
    path = state.root() / "locks" / f"{environment}.lock"
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:  # it was never taken, or is not ours to read
        return None
    try:
        with _turn(path.parent):
            try:
                fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return last_holder(environment)
            fcntl.flock(descriptor, fcntl.LOCK_UN)  # before it is anybody else's turn to take it
        return None
    except OSError as error:
        raise Refused(
            f"nobody can tell whose {path} is, as {error.filename or path} cannot be written: {error.strerror}",
            "set FTCHAOS_STATE to a folder of yours",
        ) from error
    finally:
        os.close(descriptor)


@contextmanager
def _turn(folder: Path) -> Iterator[None]:
    """One at a time takes a lock, writes its name into it, or looks whose it is: so the name is never another's."""
    descriptor = os.open(folder / "turn", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def last_holder(environment: str) -> Holder | None:
    """Who wrote its name into a lock last, dead or alive; None when that one has released it."""
    try:
        data: dict[str, Any] = json.loads((state.root() / "locks" / f"{environment}.lock").read_text())
        return Holder(str(data["run_id"]), int(data["pid"]), str(data["user"]), str(data["host"]), float(data["since"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # an account without a name, as containers have them
        return f"user {os.getuid()}"
