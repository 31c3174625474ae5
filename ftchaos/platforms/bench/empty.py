"""An empty data folder: made once for each flavour and version, kept in the cache, and copied."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from pathlib import Path

from ftchaos import state
from ftchaos.mysql.flavour import Flavour, run

_OWN_TO_A_SERVER = ("auto.cnf",)


def lay(flavour: Flavour, datadir: Path) -> None:
    """Make a fresh data folder whose root has no password and comes in by the socket only.

    Raises:
        StepFailed: the program that makes it failed, or the disk is full.
    """
    version = re.sub(r"[^0-9A-Za-z.]+", "-", flavour.version_text)
    kept = state.cache() / "empty" / f"{flavour.name}-{version}"
    if not kept.is_dir():
        _make(flavour, kept)
    run(["cp", "-a", "--sparse=always", "--reflink=auto", str(kept), str(datadir)], f"copying {kept}")


def _make(flavour: Flavour, kept: Path) -> None:
    """It appears whole, by a rename; who comes second throws his own away."""
    kept.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=".making-", dir=kept.parent))
    try:
        flavour.initialize(folder / "data")
        for name in _OWN_TO_A_SERVER:
            (folder / "data" / name).unlink(missing_ok=True)
        try:
            os.rename(folder / "data", kept)
        except OSError:
            if not kept.is_dir():
                raise
    finally:
        shutil.rmtree(folder)
