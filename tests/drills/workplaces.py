"""Drills as a user runs them: the command line in a process of its own, and what it left on disk."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FLAVOURS = ("mariadb", "mysql")
# Every drill here is given far more time than it needs; one that hangs must not hang the suite.
TIMEOUT_S = 240


@dataclass(frozen=True)
class Done:
    """One finished command."""

    exit_code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        return json.loads(self.stdout)


@dataclass(frozen=True)
class Workplace:
    """An empty folder in which ftchaos is run."""

    folder: Path

    @property
    def state(self) -> Path:
        return self.folder / "state"

    @property
    def reports(self) -> Path:
        return self.folder / "reports"

    def environment(self) -> dict[str, str]:
        return {**os.environ, "FTCHAOS_STATE": str(self.state)}

    def begin(self, *arguments: str, program: str = "ftchaos") -> subprocess.Popen[str]:
        """A command under way."""
        return subprocess.Popen(
            [sys.executable, "-m", program, *arguments],
            cwd=self.folder,
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str, program: str = "ftchaos") -> Done:
        """A command to its end."""
        process = self.begin(*arguments, program=program)
        try:
            stdout, stderr = process.communicate(timeout=TIMEOUT_S)
        finally:
            process.kill()
        return Done(process.returncode, stdout, stderr)

    def runs(self) -> list[Path]:
        """The folders of all runs, oldest first."""
        return sorted(path.parent for path in self.reports.glob("*/run.json"))
