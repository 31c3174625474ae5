"""Binary logs that continue a backup: what of them is wanted, and how they are applied to the bench's server."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from ftchaos.errors import StepFailed, Unusable
from ftchaos.mysql import chain
from ftchaos.mysql.archive import logs_for
from ftchaos.mysql.binlog import Damaged, Tail, head, transactions
from ftchaos.mysql.chain import Boundary, Reach
from ftchaos.mysql.flavour import Options
from ftchaos.mysql.foreign.about import About
from ftchaos.mysql.gtidset import Growing, GtidSet
from ftchaos.mysql.reading import Reading
from ftchaos.mysql.replay import Replayed, replay
from ftchaos.mysql.session import execute
from ftchaos.platforms.bench.scratch import Scratch, ensure_space
from ftchaos.platforms.bench.server import BenchServer, last_words

_NO_ACCOUNT = "1133,1141,1147,1269,1396"  # a statement about an account that is not there
# SQL does not bring accounts along, so statements of the logs that change them have nothing to change.
ACCOUNTS_ARE_ELSEWHERE: Mapping[str, Options] = {
    "mariadb": {"slave-skip-errors": _NO_ACCOUNT},
    "mysql": {"replica-skip-errors": f"{_NO_ACCOUNT},1410,3162,3523"},
}
_FOREIGN_TABLE = "a backup of some schemas only cannot be brought forward with logs that change others"
_OTHER = "name the logs of the server that the backup was taken from"

Progress = Callable[[int, int], None]


class Logs:
    """The logs of one run; they are read by another process while the backup is restored."""

    def __init__(self, folder: Path, boundary: Boundary) -> None:
        """
        Args:
            folder: a plain folder of logs, or an archive of ftchaos.
            boundary: where the replay has to end.
        """
        self._folder = folder
        self._boundary = boundary
        self._reading: Reading | None = None
        self.since: GtidSet | None = None

    def begin(self, about: About, flavour: str) -> None:
        """Begin to read them, once the backup has said where it ends.

        Raises:
            Unusable: the backup does not say, or the logs are not its server's.
        """
        if self._reading is not None:
            return
        since = position(about, self._folder)
        folder = logs_for(self._folder, since)
        logs = chain.logs_in(folder)
        heads = chain.heads_of(logs)
        if heads[0].flavour != flavour:
            raise Unusable(f"the logs are of {heads[0].flavour}, the backup is of {flavour}", _OTHER)
        log = folder / about.log_file
        if about.log_file and log.is_file() and not chain.continues(log, about.log_position, since):
            raise Unusable(
                f"what follows the backup in {about.log_file} is not its next transaction: the log is another server's",
                _OTHER,
            )
        self.since = since
        self._reading = Reading(folder, since, self._boundary)

    def apply(self, server: BenchServer, scratch: Scratch, progress: Progress) -> tuple[Reach, Replayed]:
        """Apply all that is wanted, exactly.

        Raises:
            Unusable: a log is missing, damaged, or of another server.
            Invalid: the target lies before the backup or after the last event.
            StepFailed: the server refused a transaction, or the disk is full.
        """
        if self._reading is None or self.since is None:
            raise StepFailed("the logs were not read", "see the step that restores")
        reach = self._reading.result()
        copied = _copied(reach, scratch)
        if links := [path.name for path in scratch.data.iterdir() if path.is_symlink()]:
            raise StepFailed(
                f"the server has made links in its data folder: {', '.join(links)}", "do not trust the backup"
            )
        with server.connect() as session:
            if GtidSet.parse(server.flavour.gtid_executed(session)) != self.since:
                execute(session, server.flavour.set_gtid_position(str(self.since), logged=False))
        try:
            with _shared():
                return reach, replay(server.server, copied, progress)
        except StepFailed as error:
            raise StepFailed(f"{error.fact} ({last_words(scratch.log)})", error.hint or _FOREIGN_TABLE) from error

    def end(self) -> None:
        """Give up on them."""
        reading, self._reading = self._reading, None
        if reading is not None:
            reading.end()


def position(about: About, folder: Path) -> GtidSet:
    """Which transactions the backup has: as it says, else by reading the log that it names up to the offset it names.

    Raises:
        Unusable: it does not say, or that log is not there or has no GTIDs.
    """
    if about.gtid is not None:
        return GtidSet.parse(about.gtid)
    if not about.log_file:
        raise Unusable(
            f"{about.path} does not say where in the binary log it was taken",
            "make it with the position: mysqldump --source-data=2, mariadb-dump --master-data=2 --gtid",
        )
    log = folder / Path(about.log_file).name
    if not log.is_file():
        raise Unusable(f"the backup ends in {about.log_file}, which is not in {folder}", "bring that log along")
    with chain.opened(log) as data:
        try:
            about_log = head(data)
            growing = Growing(about_log.before)
            for one in transactions(data, about_log, Tail()):
                if not one.source:
                    raise Unusable(f"{log.name} is of a server without GTIDs", "only logs with GTIDs can be replayed")
                if one.begin >= about.log_position:
                    break
                growing.add(one.source, one.number, one.server_id)
        except Damaged as damage:
            if damage.offset < about.log_position:
                raise Unusable(f"{log.name}: {damage.fact}", damage.hint) from damage
    return growing.whole()


def _copied(reach: Reach, scratch: Scratch) -> Reach:
    """The same with copies of its logs: a server of another user must read them, and never reaches the originals."""
    ensure_space(scratch.folder, 2 * sum(part.path.stat().st_size for part in reach.parts))
    scratch.logs.mkdir()
    parts = []
    try:
        for part in reach.parts:
            target = scratch.logs / part.path.name
            shutil.copyfile(part.path, target)
            target.chmod(0o666)  # the folder above is open to nobody else
            parts.append(part._replace(path=target))
    except OSError as error:
        raise StepFailed(f"the logs cannot be copied: {error.strerror}", "give the state folder space") from error
    return replace(reach, parts=tuple(parts))


@contextmanager
def _shared() -> Iterator[None]:
    """Let the server write what we write into its data folder, which nobody else may enter."""
    before = os.umask(0)
    try:
        yield
    finally:
        os.umask(before)
