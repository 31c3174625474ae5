"""The accounts of one run, kept in files that nobody else can read.

Never in the evidence, the undo log or a command line; the files go at the end of the run, or with its recovery.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ftchaos import notes
from ftchaos.errors import HealFailed, StepFailed

if TYPE_CHECKING:
    from ftchaos.undo import UndoLog

HEAL = "login.begin"  # as an environment that is begun for a run, it lasts to the end of the run


@dataclass(frozen=True)
class Login:
    """Who writes to a store.

    Attributes:
        file: with the password.
    """

    user: str
    file: Path

    @property
    def password(self) -> str:
        return self.file.read_text().strip()


@dataclass(frozen=True)
class Account:
    """What a secret holds; the password is in memory only."""

    user: str
    password: str = field(repr=False)


def keep(account: Account, of: str, run_id: str, platform: str, undo: UndoLog) -> Login:
    """Put the password into a file of this run.

    Args:
        of: whose account it is.
        platform: whose heals remove the file.

    Raises:
        StepFailed: the file cannot be written.
    """
    file = notes.undo_log(run_id).with_name(f"{run_id}.{of}.secret")
    undo.record(platform, HEAL, {"file": str(file)}, f"the password of the {of} lies in the state folder of this run")
    try:
        with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "w") as opened:
            opened.write(account.password)
    except OSError as error:
        raise StepFailed(f"{file} cannot be written: {error.strerror}", "make room there") from error
    return Login(account.user, file)


def forget(kept: Mapping[str, Any]) -> str:
    """Remove the file, from its undo record alone.

    Raises:
        HealFailed: it cannot be removed.
    """
    try:
        Path(kept["file"]).unlink(missing_ok=True)
    except OSError as error:
        raise HealFailed(f"{kept['file']} cannot be removed: {error.strerror}", "remove it by hand") from error
    return "the password was removed"
