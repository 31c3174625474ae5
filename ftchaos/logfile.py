"""Chaos Toolkit's log: it goes to the run's folder, and to the terminal only when asked for."""

from __future__ import annotations

import contextlib
import logging
from pathlib import Path

FILE = "chaostoolkit.log"


class _LogFile(logging.FileHandler):
    """The log of a run; on a full disk it is cut short, and what the steps say is not lost among its tracebacks."""

    def handleError(self, record: logging.LogRecord) -> None:
        """Nothing more can be done."""

    def close(self) -> None:
        """Give up what cannot be written any more."""
        with contextlib.suppress(OSError):
            super().close()


def quiet(verbose: bool) -> None:
    """Keep the log off the terminal, unless asked for."""
    logger = logging.getLogger("chaostoolkit")
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    logger.handlers = [logging.StreamHandler() if verbose else logging.NullHandler()]


def into(folder: Path | None) -> None:
    """Write the log into a run's folder from now on, or no more."""
    logger = logging.getLogger("chaostoolkit")
    for handler in [one for one in logger.handlers if getattr(one, "of_ftchaos", False)]:
        logger.removeHandler(handler)
        handler.close()
    if folder is not None:
        handler = _LogFile(folder / FILE)
        handler.of_ftchaos = True  # type: ignore[attr-defined]
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        logger.addHandler(handler)
