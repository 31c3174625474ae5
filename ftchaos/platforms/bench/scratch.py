"""The scratch folder of a bench: where the throw-away server lives, and how nothing of it is left behind."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread

from ftchaos import state
from ftchaos.errors import HealFailed, StepFailed
from ftchaos.process import wait_gone
from ftchaos.undo import Record, UndoLog
from ftchaos.units import human_size

PLATFORM = "bench"
HEAL = "bench.scratch"
RESERVE_BYTES = 512 << 20  # what a server needs beside its data, and what is always left to others
_OURS = (b"inmate.py", b"--datadir=", b"--target-dir=")
_FULL = ("No space left on device", "Disk full", "Disk is full")
_WATCH_S = 0.25
_GONE_S = 20.0


@dataclass(frozen=True)
class Scratch:
    """The places of one bench.

    What we write ourselves lies outside of what the jail may write, so that nobody in there can lead us elsewhere.

    Attributes:
        folder: what the jail may write.
    """

    folder: Path

    @property
    def data(self) -> Path:
        """The server's data folder."""
        return self.folder / "data"

    @property
    def temporary(self) -> Path:
        """Where the server keeps what it sorts."""
        return self.folder / "tmp"

    @property
    def closed(self) -> Path:
        """An empty folder: the only one from which the server may load a file or a library."""
        return self.folder / "closed"

    @property
    def jail(self) -> Path:
        """Where the jail's root is mounted, outside of what it may write."""
        return self.folder.parent / "jail"

    @property
    def logs(self) -> Path:
        """Copies of the binary logs."""
        return self.folder.parent / "logs"

    @property
    def admin(self) -> Path:
        """Statements that let us in."""
        return self.folder.parent / "admin.sql"

    @property
    def log(self) -> Path:
        """The server's messages."""
        return self.folder.parent / "error.log"


def path(run_id: str) -> Path:
    """The scratch folder of a run."""
    return state.root() / "bench" / run_id


def make(run_id: str, undo: UndoLog) -> Scratch:
    """Make the scratch folder of a run; its undo is on disk before.

    Raises:
        StepFailed: it cannot be made.
    """
    folder = path(run_id)
    undo.record(PLATFORM, HEAL, {"folder": str(folder)}, f"the throw-away server in {folder}")
    scratch = Scratch(folder / "server")
    try:
        for part in (scratch.temporary, scratch.closed, scratch.jail):
            part.mkdir(parents=True)
    except OSError as error:
        raise StepFailed(
            f"{folder} cannot be made: {error.strerror}", "set FTCHAOS_STATE to a folder with space that is yours"
        ) from error
    scratch.closed.chmod(0o555)
    return scratch


def ensure_space(folder: Path, need_bytes: int) -> None:
    """Refuse to begin what cannot fit.

    Raises:
        StepFailed: less is free than is needed, with the reserve.
    """
    free = shutil.disk_usage(folder).free
    if free < need_bytes + RESERVE_BYTES:
        raise StepFailed(
            f"{human_size(need_bytes + RESERVE_BYTES)} are needed in {folder}, but {human_size(free)} are free",
            "free some, or set FTCHAOS_STATE to a folder on another disk",
        )


class DiskWatch:
    """Whether the disk ran out: a server that waits for space never says so, and one that dies of it says little."""

    def __init__(self, scratch: Scratch) -> None:
        self._scratch = scratch
        self._seen = False

    def look(self) -> bool:
        """Whether nearly nothing is left, now or before."""
        self._seen = self._seen or shutil.disk_usage(self._scratch.folder).free < RESERVE_BYTES // 4
        return self._seen

    def ensure(self) -> None:
        """Turn a consequence of a full disk into what it was.

        Raises:
            StepFailed: the disk was full.
        """
        if self.look() or self._server_says_so():
            raise StepFailed(
                f"no space was left in {self._scratch.folder}, so the restore was ended",
                "free some, or set FTCHAOS_STATE to a folder on another disk",
            )

    def _server_says_so(self) -> bool:
        try:
            words = self._scratch.log.read_text(errors="replace")
        except FileNotFoundError:
            return False
        return any(mark in words for mark in _FULL)


@contextmanager
def watched(scratch: Scratch) -> Iterator[None]:
    """Kill the bench's programs when the disk is nearly full, so that nothing hangs and others keep some space."""
    watch, done = DiskWatch(scratch), Event()

    def look() -> None:
        while not done.wait(_WATCH_S):
            if watch.look():
                kill(scratch.folder.parent)
                return

    thread = Thread(target=look, name="disk-watch", daemon=True)
    thread.start()
    try:
        yield
    except Exception:
        watch.ensure()
        raise
    finally:
        done.set()
        thread.join()


def kill(folder: Path) -> int:
    """Kill every program of a bench in the folder, and wait until they are gone.

    Returns:
        How many there were.
    """
    found = _processes(folder)
    for pid in found:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    return len([pid for pid in found if wait_gone(pid, _GONE_S)])


def heal(record: Record) -> str:
    """Remove a bench from nothing but its record: its processes, then its folder.

    Raises:
        HealFailed: something of it remains.
    """
    if record.heal != HEAL:
        raise HealFailed(f"the bench knows no heal {record.heal!r}", "a newer ftchaos may have written this undo log")
    folder = Path(str(record.arguments["folder"]))
    if folder.parent.name != "bench" or not folder.is_absolute():
        raise HealFailed(f"{folder} is not the folder of a bench", f"look at it, and remove it by hand: rm -r {folder}")
    killed = kill(folder)
    if not folder.exists():
        return "nothing was left"
    try:
        shutil.rmtree(folder)
    except OSError as error:
        raise HealFailed(f"{folder} cannot be removed: {error}", f"rm -r {folder}") from error
    return f"removed {folder}" + (f", killed {killed} processes" if killed else "")


def _processes(folder: Path) -> list[int]:
    wanted = os.fsencode(folder) + b"/"
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                words = (entry / "cmdline").read_bytes()
                # Somebody who reads the server's log names the folder too, and is left alone.
                if wanted in words and any(mark in words for mark in _OURS):
                    found.append(int(entry.name))
            except (FileNotFoundError, ProcessLookupError, PermissionError):
                continue
    return found
