"""The two kinds of server that can stand for RDS MySQL, and what differs between them.

A :class:`Flavour` knows where the programs of its kind are, how a server is begun as durably as RDS begins it, and the
SQL words that differ. Statements come back as text, so that callers decide on which connection, and when, to run them.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from ftchaos.errors import Invalid, MissingProgram, StepFailed

if TYPE_CHECKING:  # PyMySQL is heavy and `ftchaos doctor` only asks which flavours are there
    from ftchaos.mysql.session import Session

Options = Mapping[str, str | int | None]
NAMES = ("mariadb", "mysql")
SEMI_SYNC_TIMEOUT_MS = 2_000_000_000  # 23 days: with a short one a cut primary falls back to async and loses silently


@dataclass(frozen=True)
class ReplicaStatus:
    """What a replica says of itself, in one vocabulary.

    Attributes:
        receiving: its receiver thread is connected to the source.
        applying: its applier thread runs.
        source: address of the source.
        port: TCP port of the source.
        received: GTID position up to which it holds transactions, applied or not.
        behind_s: whole seconds behind the source by its own account, None while it does not know.
        error_code: of the receiver, else of the applier; 0 without an error.
        error: the words of that error.
    """

    receiving: bool
    applying: bool
    source: str
    port: int
    received: str
    behind_s: int | None
    error_code: int
    error: str


class Flavour(Protocol):
    """One kind of server, found on this machine."""

    @property
    def name(self) -> str:
        """``mariadb`` or ``mysql``."""
        ...

    @property
    def version(self) -> tuple[int, int, int]:
        """The server's version, comparable."""
        ...

    @property
    def version_text(self) -> str:
        """The server's version as it writes it itself."""
        ...

    def program(self, name: str) -> list[str]:
        """The argv prefix of ``server``, ``client``, ``dump``, ``binlog``, ``admin``, ``import`` or ``backup``.

        Options of the caller's own may follow at once; defaults files are already switched off.

        Raises:
            MissingProgram: this machine, or this flavour, has none.
        """

    def server_argv(
        self, datadir: Path, *, server_id: int, bind: str | None, port: int, options: Options | None = None
    ) -> list[str]:
        """The argv of a server as durable as RDS runs it: everything synced, row binary log, GTIDs, small memory.

        It begins read-only, so that an old primary which comes back cannot take writes before anybody decides.

        Args:
            datadir: absolute path of its data folder; its socket is ``mysql.sock`` there.
            server_id: its replication id, unique among its peers.
            bind: the IP address to listen on; None for no network at all.
            port: the TCP port.
            options: server options by name that add to or overrule the usual; None as a value is a bare switch.
        """

    def initialize(self, datadir: Path) -> None:
        """Make a fresh data folder whose root has no password and comes in by the socket only.

        Raises:
            StepFailed: the program that makes it failed.
        """

    def rejoin_options(self) -> Options:
        """Options for a crashed primary to return as a replica minus its unacknowledged tail; none if it cannot."""

    # Statements -------------------------------------------------------------------------------------------------

    def replicate_from(self, address: str, port: int, user: str, password: str) -> list[str]:
        """Forget any source, and follow this one from the server's own GTID position."""

    def begin_replication(self) -> str: ...
    def stop_replication(self) -> str: ...
    def begin_applying(self) -> str: ...
    def stop_applying(self) -> str: ...
    def begin_receiving(self) -> str: ...
    def stop_receiving(self) -> str: ...
    def forget_replication(self) -> list[str]: ...

    def set_gtid_position(self, position: str, *, logged: bool = True) -> list[str]:
        """Declare that the data holds exactly this position; empties the binary log.

        Args:
            position: the GTID position.
            logged: whether the server writes a binary log at all; MariaDB takes a second to empty it.
        """

    def empty_binlog(self) -> str:
        """Delete all binary logs and all GTIDs."""

    def semi_sync_source(self, on: bool, timeout_ms: int = SEMI_SYNC_TIMEOUT_MS) -> list[str]:
        """Whether commits wait, after the sync of the binary log, for a replica to have them (AFTER_SYNC)."""

    def semi_sync_replica(self, on: bool) -> list[str]:
        """Whether this replica acknowledges; takes effect when its receiver begins."""

    def read_only(self, on: bool) -> list[str]:
        """Whether writes of ordinary accounts are refused."""

    # Questions --------------------------------------------------------------------------------------------------

    def gtid_executed(self, session: Session) -> str:
        """The position that the data holds."""

    def gtid_binlog(self, session: Session) -> str:
        """The position at the end of the server's own binary log."""

    def gtid_received(self, session: Session) -> str:
        """The position that the data and the relay log hold together."""

    def history(self, session: Session) -> str:
        """All that this server has ever executed, for :meth:`contains`."""

    def purged(self, session: Session) -> str:
        """The position before which its binary logs hold nothing; who lacks more can never follow it."""
        ...

    def binlog_position(self, session: Session) -> tuple[str, int]:
        """File and offset of the end of the binary log."""

    def replica_status(self, session: Session) -> ReplicaStatus | None:
        """How its replication does; None on a server that follows nobody."""

    def semi_sync_replicas(self, session: Session) -> int:
        """How many replicas acknowledge commits at this moment; 0 also when the source does not wait."""

    def confirms(self, session: Session) -> bool:
        """Whether this server, as a replica, acknowledges what it receives; forgotten when it is begun anew."""
        ...

    def wait_for_gtid(self, session: Session, position: str, timeout_s: float) -> bool:
        """Whether the position was applied before the timeout."""

    # Arithmetic -------------------------------------------------------------------------------------------------

    def progress(self, position: str) -> int:
        """A number that grows with each transaction, to compare the servers of one history."""

    def contains(self, history: str, position: str) -> bool:
        """Whether a server with this history has executed everything that the position names."""


def find(name: str | None = None) -> Flavour:
    """The flavour of that name, or the first that this machine has.

    Raises:
        Invalid: there is no flavour of that name.
        MissingProgram: this machine lacks it; the hint says how to get it.
    """
    if name is None:
        present = found()
        if not present:
            raise MissingProgram("neither MariaDB nor MySQL is on this machine", "apt-get install mariadb-server")
        return present[0]
    if name not in NAMES:
        raise Invalid(f"no server flavour {name!r}", f"choose one of {', '.join(NAMES)}")
    return _finders()[name]()


def found() -> list[Flavour]:
    """The flavours that this machine has, the one that is quicker to bring up first."""
    present = []
    for name in NAMES:
        try:
            present.append(find(name))
        except MissingProgram:
            continue
    return present


def _finders() -> dict[str, Callable[[], Flavour]]:
    from ftchaos.mysql import mariadb, oracle

    return {"mariadb": mariadb.find, "mysql": oracle.find}


@cache
def version_of(server: tuple[str, ...]) -> tuple[tuple[int, int, int], str, bool] | None:
    """Version, its text, and whether it is MariaDB, of the server program with this argv prefix; None if it fails."""
    try:
        done = subprocess.run([*server, "--no-defaults", "--version"], capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = re.search(r"Ver ((\d+)\.(\d+)\.(\d+)\S*)", done.stdout)
    if match is None:
        return None
    version = (int(match[2]), int(match[3]), int(match[4]))
    return version, match[1], "mariadb" in done.stdout.lower()


def option_argv(*layers: Options) -> list[str]:
    """Layers of options as arguments; a later layer overrules an earlier one, whichever dashes it writes."""
    merged: dict[str, str | int | None] = {}
    for layer in layers:
        merged |= {name.replace("_", "-"): given for name, given in layer.items()}
    return [f"--{name}" if given is None else f"--{name}={given}" for name, given in merged.items()]


def which(program: str) -> str | None:
    """The path of a system program, also where an ordinary user's PATH does not look."""
    return shutil.which(program) or shutil.which(program, path="/usr/sbin:/usr/local/sbin:/usr/libexec")


def quoted(text: str) -> str:
    """A text as an SQL string literal, for the statements that take no arguments."""
    if "\0" in text:
        raise Invalid("a text for SQL holds a NUL byte")
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


def run(argv: Sequence[str], what: str, *, given: str | None = None, fds: Sequence[int] = ()) -> str:
    """The output of a program that must succeed.

    Args:
        argv: the program and its arguments.
        what: its name in the sentence of a failure.
        given: its standard input; nothing when None.
        fds: file descriptors that it inherits.

    Raises:
        StepFailed: it failed; the sentence ends with its last words.
    """
    done = subprocess.run(argv, input=given or "", capture_output=True, text=True, errors="replace", pass_fds=fds)
    if done.returncode:
        last = " / ".join((done.stdout + done.stderr).strip().splitlines()[-3:])
        raise StepFailed(f"{what} failed with {done.returncode}: {last}")
    return done.stdout
