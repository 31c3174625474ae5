"""Where ftchaos keeps what must outlive a process: labs, locks, caches."""

from __future__ import annotations

import os
from pathlib import Path


def root() -> Path:
    """The state folder of this working folder: ``$FTCHAOS_STATE``, else ``./.ftchaos``."""
    return Path(os.environ.get("FTCHAOS_STATE") or ".ftchaos").absolute()


def cache() -> Path:
    """What is dear to make and may be deleted at any time: ``$FTCHAOS_CACHE``, else the user's cache folder."""
    chosen = os.environ.get("FTCHAOS_CACHE")
    if chosen:
        return Path(chosen).absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache").absolute() / "ftchaos"
