"""The throw-away server: begun in the jail on the scratch folder, without network, events, plugins or durability."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import pymysql

from ftchaos.errors import StepFailed
from ftchaos.mysql import session as sessions
from ftchaos.mysql.flavour import Flavour, Options
from ftchaos.mysql.server import Server, stop
from ftchaos.mysql.session import Session, Unreachable
from ftchaos.platforms.bench.jail import Jail
from ftchaos.platforms.bench.scratch import Scratch

_READY_S = 3600.0
_POLL_S = 0.02
_SHUT_OUT = frozenset({1044, 1045, 1130, 1698, 1820})
_LEAST_POOL, _MOST_POOL = 64 << 20, 2 << 30
# With these the server's own programs and files cannot be reached, whatever SQL a backup brings.
_SEALED: Options = {
    # Not DISABLED: MariaDB then refuses to restore events at all. Only an administrator could switch it on.
    "event-scheduler": "OFF",
    "local-infile": 0,
    "read-only": 0,
    "skip-log-bin": None,
    "max-allowed-packet": "1G",
    # It is thrown away: a crash costs a new run, never data.
    "innodb-flush-log-at-trx-commit": 0,
    "innodb-doublewrite": 0,
}
_SEALED_OF: Mapping[str, Options] = {
    "mariadb": {"symbolic-links": 0},
    "mysql": {"plugin-load-add": "", "persisted-globals-load": "OFF"},
}


class BenchServer:
    """One server on the bench; it may be begun again on the same data."""

    def __init__(self, flavour: Flavour, scratch: Scratch, jail: Jail, given: Options) -> None:
        """
        Args:
            flavour: what it is.
            scratch: where it lives; its data folder is made by others.
            jail: what keeps it in.
            given: options that its data needs.
        """
        self.flavour = flavour
        self._scratch = scratch
        self._jail = jail
        self._given = given
        self._process: subprocess.Popen[bytes] | None = None
        self.server = Server("the bench's server", flavour, scratch.data)

    def options(self) -> dict[str, str | int | None]:
        """All that it is begun with beside the flavour's usual."""
        places: Options = {
            "datadir": str(self._scratch.data),
            "tmpdir": str(self._scratch.temporary),
            "plugin-dir": str(self._scratch.closed),
            # MySQL can forbid it altogether, MariaDB needs a folder to confine it to.
            "secure-file-priv": "NULL" if self.flavour.name == "mysql" else str(self._scratch.closed),
            "innodb-buffer-pool-size": _pool_bytes(),
        }
        return {**_SEALED, **_SEALED_OF[self.flavour.name], **places, **self._given}

    def begin(self, more: Options | None = None) -> None:
        """Begin it and wait until it answers.

        Raises:
            StepFailed: it did not begin, with its last words.
        """
        self._jail.own(self._scratch.folder)
        options = {**self.options(), **(more or {})}
        argv = self.flavour.server_argv(self._scratch.data, server_id=1, bind=None, port=0, options=options)
        prefix = self._jail.argv(self._scratch.jail, argv, write=[self._scratch.folder])
        with self._scratch.log.open("ab") as log:
            self._process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *prefix, *argv],
                cwd=self._scratch.data,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            self._wait_ready(self._process)
        except BaseException:
            self.discard()
            raise

    def _wait_ready(self, process: subprocess.Popen[bytes]) -> None:
        """Not the usual wait: recovery from a crash may take an hour, but a server that shuts us out never changes."""
        deadline = time.monotonic() + _READY_S
        while True:
            try:
                with self.connect() as session:
                    sessions.value(session, "SELECT 1")
                return
            except (Unreachable, pymysql.err.MySQLError) as error:
                if process.poll() is not None:
                    words = last_words(self._scratch.log)
                    raise StepFailed(
                        f"the server died with {process.returncode} as it began: {words}", self._jail.advice
                    ) from error
                cause = error.__cause__ or error
                if cause.args and cause.args[0] in _SHUT_OUT:
                    raise StepFailed(f"the server shuts us out: {last_words(self._scratch.log)}") from error
                if time.monotonic() > deadline:
                    raise StepFailed(f"the server was not ready after {_READY_S:g} s") from error
            time.sleep(_POLL_S)

    def connect(self, user: str = "root") -> Session:
        """A connection through its socket.

        Raises:
            Unreachable: it is gone.
        """
        return sessions.connect(self._scratch.data, user=user)

    def end(self) -> None:
        """Stop it cleanly, so that it can be begun again.

        Raises:
            StepFailed: it did not stop.
        """
        process, self._process = self._process, None
        if process is not None:
            try:
                stop(self.server, process)
            finally:
                process.kill()
                process.wait()

    def discard(self) -> None:
        """Kill it."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()

    def run_jailed(self, argv: list[str], what: str, given: bytes = b"", reads: Sequence[str] = ()) -> str:
        """Run another program on the scratch folder, in the same jail.

        Args:
            argv: the program.
            what: its name in the sentence of a failure.
            given: its standard input.
            reads: what it must be able to see beside its own argv.

        Returns:
            What it said on both outputs.

        Raises:
            StepFailed: it failed, with its last words.
        """
        self._jail.own(self._scratch.folder)
        prefix = self._jail.argv(self._scratch.jail, [*argv, *reads], write=[self._scratch.folder])
        done = subprocess.run(
            ["setpriv", "--pdeathsig", "KILL", *prefix, *argv],
            input=given,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=self._scratch.folder,
        )
        words = done.stdout.decode(errors="replace")
        if done.returncode:
            raise StepFailed(f"{what} failed with {done.returncode}: {_telling(words)}")
        return words


def _pool_bytes() -> int:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min(max(memory // 8, _LEAST_POOL), _MOST_POOL)


def last_words(log: Path) -> str:
    """The newest errors in a server's log, for a sentence."""
    try:
        return _telling(log.read_text(errors="replace"))
    except FileNotFoundError:
        return ""


def _telling(words: str) -> str:
    lines = [line for line in words.splitlines() if line.strip()]
    for mark in ("[ERROR]", "ERROR", "rror", ""):
        if found := [line for line in lines if mark in line and "my_thread_global_end" not in line]:
            return " / ".join(found[-2:])
    return ""
