"""How people answer while a game day runs: at its terminal, with `ftchaos gameday approve`, or by a file in CI.

All of them end as entries of the record, with a name.
"""

from __future__ import annotations

import getpass
import json
import os
import re
import select
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, TextIO

from ftchaos import approval
from ftchaos.errors import Refused
from ftchaos.gameday.plan import Part, Plan

YES = ("y", "yes", "done", "ok")


@dataclass(frozen=True)
class Answer:
    """What somebody said of a part that waits."""

    approved: bool
    by: str
    text: str = ""

    @property
    def what(self) -> Literal["approved", "rejected"]:
        """As the record has it."""
        return "approved" if self.approved else "rejected"


class People:
    """Whoever may answer beside `ftchaos gameday approve`.

    Args:
        stream: the terminal; None where there is none.
        approvals: folder in which a file ``PART.json`` approves a part once.
        tell: told why a file does not.
    """

    def __init__(
        self, stream: TextIO | None, approvals: Path | None, tell: Callable[[str], None], plan: Plan, environment: str
    ) -> None:
        self._stream = stream
        self._approvals = approvals
        self._tell = tell
        self._plan = plan
        self._environment = environment
        self._refused = ""

    def ask(self, part: Part) -> None:
        """Tell what is waited for."""
        who = f" ({part.role})" if part.role else ""
        self._tell(f"{part.name}{who}: {part.manual}")
        here = "type 'done' here, or 'no' and why; or elsewhere: " if self._stream else ""
        self._tell(f"  {here}ftchaos gameday approve {part.name}")
        if self._approvals is not None:
            self._tell(f"  or put a one-time approval into {self._file(part)}")

    def answer(self, part: Part, run_id: str) -> Answer | None:
        """What somebody has just said; None while nobody did."""
        return self._typed() or self._filed(part, run_id)

    def _typed(self) -> Answer | None:
        if self._stream is None or not select.select([self._stream], [], [], 0)[0]:
            return None
        line = self._stream.readline()
        if not line:  # the terminal is gone: others may still answer
            self._stream = None
            return None
        word, rest, *_ = (*re.split(r"\W+", line.strip(), maxsplit=1), "")
        if word.lower() in YES:
            return Answer(True, person(), rest)
        if word.lower() in ("n", "no"):
            return Answer(False, person(), rest)
        self._tell("  type 'done', or 'no' and why")
        return None

    def _filed(self, part: Part, run_id: str) -> Answer | None:
        if self._approvals is None or not (path := self._file(part)).exists():
            return None
        run = f"gameday/{self._plan.name}/{part.name}"
        try:
            approval.ensure_approved(path, run, self._environment, datetime.now(UTC))
            used = approval.use(path, run_id)
        except Refused as error:
            if error.fact != self._refused:
                self._refused = error.fact
                self._tell(f"  {error.fact}")
            return None
        return Answer(True, str(json.loads(used.read_bytes()).get("by") or used.name), f"by the file {path.name}")

    def _file(self, part: Part) -> Path:
        assert self._approvals is not None
        return self._approvals / f"{part.name}.json"


def person() -> str:
    """Who sits at this terminal, or whom CI names."""
    if actor := os.environ.get("GITHUB_ACTOR"):
        return actor
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # an account without a name, as containers have them
        return f"user {os.getuid()}"
