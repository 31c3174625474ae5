"""Healing as an activity, so that it shows in the definition and in Chaos Toolkit's journal."""

from __future__ import annotations

from ftchaos import platforms
from ftchaos.errors import HealFailed
from ftchaos.run import current
from ftchaos.undo import is_fault, repair

__all__ = ["heal"]


def heal() -> str:
    """Heal all that this run has harmed, newest first; what is healed already is left alone.

    An environment that was begun for the run stays until its end: the audit still needs it.

    Raises:
        HealFailed: something is still harmed.
    """
    run = current()
    healing = run.undo.heal(platforms.heal, run.progress.note, only=is_fault)
    if healing.failed:
        record, error = healing.failed[0]
        raise HealFailed(f"not healed: {record.why}: {error}", f"run `{repair()}`")
    return f"healed: {len(healing.healed)}"
