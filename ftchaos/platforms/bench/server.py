"""The throw-away server: begun in the jail on the scratch folder, without network, events, plugins or durability."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from ftchaos.errors import StepFailed
from ftchaos.mysql import session as sessions
from ftchaos.mysql.flavour import Flavour, Options
from ftchaos.mysql.server import Server, start_plain
from ftchaos.mysql.session import Session
from ftchaos.platforms.bench.jail import Jail
from ftchaos.platforms.bench.scratch import Scratch

_READY_S = 3600.0  # crash recovery may take long; a server that dies is noticed at once
_LEAST_POOL, _MOST_POOL = 64 << 20, 2 << 30
# On these the server's own programs and files cannot be reached, whatever SQL a backup brings.
_SEALED: Options = {
    # Not DISABLED: MariaDB then refuses to restore events at all. Only an administrator could switch it on.
    "event-scheduler": "OFF",
    "local-infile": 0,
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


class _Discarded(Exception):
    """Thrown into the running server's context: nobody needs it any more."""


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
        self._running: AbstractContextManager[Server] | None = None
        self.server = Server("the bench's server", flavour, scratch.data)

    def options(self) -> dict[str, str | int | None]:
        """All that it is begun with beside the flavour's usual."""
        places: Options = {
            "datadir": str(self._scratch.data),
            "tmpdir": str(self._scratch.temporary),
            "plugin-dir": str(self._scratch.closed),
            "secure-file-priv": str(self._scratch.closed),
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
        running = start_plain(
            self.flavour,
            self._scratch.data,
            name=self.server.name,
            options=options,
            prefix=self._jail.argv(self._scratch.jail, argv, write=[self._scratch.folder]),
            log=self._scratch.log,
            ready_timeout_s=_READY_S,
        )
        self.server = running.__enter__()
        self._running = running

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
        running, self._running = self._running, None
        if running is not None:
            running.__exit__(None, None, None)

    def discard(self) -> None:
        """Kill it."""
        running, self._running = self._running, None
        if running is not None:
            running.__exit__(_Discarded, _Discarded(), None)

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
            telling = [line for line in words.strip().splitlines() if "rror" in line] or words.strip().splitlines()
            raise StepFailed(f"{what} failed with {done.returncode}: {' / '.join(telling[-3:])}")
        return words


def _pool_bytes() -> int:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min(max(memory // 8, _LEAST_POOL), _MOST_POOL)


def last_words(log: Path) -> str:
    """The newest errors in a server's log, for a sentence."""
    try:
        lines = log.read_text(errors="replace").strip().splitlines()
    except FileNotFoundError:
        return ""
    telling = [line for line in lines if "ERROR" in line or "Assertion" in line] or lines
    return " / ".join(telling[-2:])
