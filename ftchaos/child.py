"""One run as a process of its own: begun, watched, ended by its own stop, and what it says at its end.

Chaos Toolkit keeps its state in its modules, so that one process plays one experiment; and a run that dies takes no
other with it.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from ftchaos.errors import FtchaosError
from ftchaos.process import die_with_parent


@dataclass(frozen=True)
class Said:
    """What a run said at its end: its evidence, or its preview; else the error that kept it from beginning."""

    exit_code: int
    document: Mapping[str, Any] = field(default_factory=dict)
    error: str = ""


class Child:
    """A process of the command line with ``--json``.

    Args:
        arguments: of ``ftchaos``.
        words: what it does, for messages.
        verbose: let it show its progress on our standard error.
        apart: keep it from the signals of our terminal, and have the kernel end it with SIGTERM, upon which it heals,
            when we die.
    """

    def __init__(self, arguments: Sequence[str], words: str, *, verbose: bool = False, apart: bool = False) -> None:
        self._words = words
        # Files, not pipes: nobody reads while it runs, and a full pipe would hold it up.
        self._stdout = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as this object
        self._stderr = None if verbose else tempfile.TemporaryFile()  # noqa: SIM115
        self._process = subprocess.Popen(
            [sys.executable, "-m", "ftchaos", *arguments, "--json"],
            stdin=subprocess.DEVNULL,
            stdout=self._stdout,
            stderr=self._stderr,
            start_new_session=apart,
            preexec_fn=partial(die_with_parent, os.getpid(), signal.SIGTERM) if apart else None,
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def has_ended(self) -> bool:
        return self._process.poll() is not None

    def terminate(self) -> None:
        """Send SIGTERM: it heals what it harmed, and ends."""
        self._process.terminate()

    def wait(self) -> Said:
        """What it said, once it has ended.

        Raises:
            FtchaosError: it died without a word.
        """
        try:
            exit_code = self._process.wait()
            self._stdout.seek(0)
            said = json.loads(self._stdout.read())
            if not isinstance(said, dict):
                raise ValueError("it is no JSON object")
        except ValueError as error:
            raise FtchaosError(
                f"{self._words} ended with {exit_code} and said nothing: {self._last_words() or error}",
                "run it alone with -v; `ftchaos recover` undoes what it left",
            ) from error
        finally:
            for file in (self._stdout, self._stderr):
                if file is not None:
                    file.close()
        if "error" in said:
            return Said(exit_code, error=str(said["error"]["fact"]))
        return Said(exit_code, said)

    def _last_words(self) -> str:
        if self._stderr is None:
            return ""
        self._stderr.seek(0)
        lines = self._stderr.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else ""
