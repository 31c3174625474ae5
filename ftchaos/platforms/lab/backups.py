"""The lab's backups and its archive of the binary log: both outside every zone, as production has them."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

from ftchaos.clock import now
from ftchaos.errors import StepFailed
from ftchaos.mysql import archive, take
from ftchaos.mysql.backup import MANIFEST, Backup, Method, backups_in
from ftchaos.platforms.base import Progress
from ftchaos.platforms.lab.lab import Lab
from ftchaos.platforms.lab.tier import Tier

WANTED = 2
KEPT = WANTED + 1
GROWS_WITHIN_S = 10.0


class Backups:
    """What a recovery of this lab can be made from."""

    def __init__(self, lab: Lab, tier: Tier) -> None:
        self.tier = tier
        self.folder = lab.folder / "backups"
        self.archive: Path = lab.folder / "archive"

    def ensure(self, method: Method, progress: Progress) -> None:
        """Have the newest backup of the primary of the moment, and one to turn to when that is damaged.

        Raises:
            StepFailed: a backup cannot be taken, or the archive does not grow.
        """
        usable = [backup for backup in backups_in(self.folder)[0] if self._continues(backup)]
        for _ in range(max(1, WANTED - len(usable))):
            self.take(method, progress)
        self._prune()
        self._wait_until_archive_grows()

    def _prune(self) -> None:
        """Keep what a drill may turn to; in a lab that stays up, each drill adds one."""
        for backup in backups_in(self.folder)[0][KEPT:]:
            (backup.folder / MANIFEST).unlink()  # first, for without it a folder is no backup
            shutil.rmtree(backup.folder)

    def take(self, method: Method, progress: Progress) -> Backup:
        """Take one backup from a replica."""
        began_at = now()
        backup = take.take(self.tier.replicas()[-1], self.folder, method)
        progress(f"backup {backup.id}: {backup.size_bytes >> 20} MiB after {now() - began_at:.1f} s")
        return backup

    def problem(self) -> str:
        """Empty when there is a complete backup and the archive grows under load, else what is wrong."""
        complete, rejected = backups_in(self.folder)
        if not complete:
            return rejected[0].why if rejected else f"there is no backup in {self.folder}"
        try:
            self._wait_until_archive_grows()
        except StepFailed as error:
            return error.fact
        return ""

    def _continues(self, backup: Backup) -> bool:
        """Whether a backup is of the primary of the moment: the archive of another does not continue it."""
        return backup.origin is not None and backup.origin.server_id == self.tier.primary.server_id

    def _wait_until_archive_grows(self) -> None:
        before, deadline = archive.newest(self.archive), now() + GROWS_WITHIN_S
        while archive.newest(self.archive) in (None, before):
            if now() > deadline:
                raise StepFailed(
                    f"the archive {self.archive} does not grow under load", "read the archiver's log in the lab's edge"
                )
            time.sleep(0.05)
