"""A static site of all runs: an index that finds any of them, and a page for each drill or experiment over time.

The index of ten thousand runs is one file below 500 KB: each run is some thirty characters in it, and its script, the
only one that the page's policy allows, draws no more than a hundred at a time.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from markupsafe import Markup

from ftchaos import __version__, atomic
from ftchaos.clock import iso
from ftchaos.report import html, trend
from ftchaos.store.history import Due, points
from ftchaos.store.summary import Summary

_VERDICTS = ("passed", "failed", "inconclusive", "unreadable")
_RUN = re.compile(r"(\d{8}T\d{6}Z)-(.+)-([0-9a-f]{4})")
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]")


@dataclass(frozen=True)
class Reports:
    """Where the report of a run is, seen from the site.

    Attributes:
        before, after: what stands around the run's id in its address; None where there are no reports to lead to.
        others: addresses of reports that lie elsewhere.
    """

    before: str | None
    after: str
    others: Mapping[str, str]

    def href(self, run_id: str) -> str | None:
        common = None if self.before is None else f"{self.before}{run_id}{self.after}"
        return self.others.get(run_id, common)


def write(
    folder: Path,
    runs: Sequence[Summary],
    reports: Reports,
    made_at: datetime,
    due: Callable[[Sequence[Summary]], Due | None],
) -> list[Path]:
    """Write the index and a page for each definition in each environment.

    Args:
        folder: gets the files; what else lies there stays.
        runs: all of them, newest first.
        reports: where their reports are.
        made_at: now.
        due: when a definition with these runs is due again; None where nobody says.

    Returns:
        The files, the index first.

    Raises:
        OSError: the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    groups: dict[tuple[str, str], list[Summary]] = {}
    for run in runs:
        groups.setdefault((run.name, run.environment), []).append(run)
    written, rows = [folder / "index.html"], []
    for name, environment in sorted(groups):
        file = _file(name, environment)
        its = points(groups[name, environment])
        newest = its[-1]
        hrefs = {one.run.run_id: href for one in its[-trend.ROWS :] if (href := reports.href(one.run.run_id))}
        title = f"{name or 'unreadable runs'} in {environment or 'no environment'}"
        when = due(groups[name, environment])
        atomic.write(folder / file, trend.page(title, its, when, hrefs, made_at, "index.html"))
        written.append(folder / file)
        rows.append(
            {
                "href": file,
                "name": name or "(unreadable)",
                "environment": environment,
                "count": f"{len(its):,}",
                "verdict": newest.run.verdict,
                "began_at": newest.run.began_at,
                "recovery_time": trend.words(newest.recovery_time.value_s),
                "slower": newest.recovery_time.regressed,
                "median": trend.words(newest.recovery_time.median_s),
                "data_loss": trend.words(newest.data_loss.value_s),
                "lossier": newest.data_loss.regressed,
            }
        )
    atomic.write(folder / "index.html", index(runs, reports, rows, made_at))
    return written


def index(runs: Sequence[Summary], reports: Reports, rows: Sequence[Mapping[str, Any]], made_at: datetime) -> str:
    """The page with all runs."""
    templates = html._environment()
    style, style_sha256 = trend.style()
    script = Markup(templates.get_template("site.js").render())
    return templates.get_template("site.html.j2").render(
        rows=rows,
        total=f"{len(runs):,}",
        data=Markup(_harmless(packed(runs, reports))),
        script=script,
        script_sha256=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        style=style,
        style_sha256=style_sha256,
        made_at=iso(made_at),
        version=__version__,
    )


def packed(runs: Sequence[Summary], reports: Reports) -> dict[str, Any]:
    """All runs as few characters: a line each, numbers to the base 36, names once."""
    definitions = {one: number for number, one in enumerate(dict.fromkeys((run.name, run.environment) for run in runs))}
    began = [_began_s(run.run_id) for run in runs]
    from_s = min(began, default=0)
    ids: list[str] = []
    lines = []
    for run, at_s in zip(runs, began, strict=True):
        match = _RUN.fullmatch(run.run_id)
        if match and match[2] == run.name:
            suffix = match[3]
        else:
            suffix = f"={_base36(len(ids))}"
            ids.append(run.run_id)
        recovery = "" if run.recovery_time_s is None else _base36(round(run.recovery_time_s * 100))
        lost = "" if run.lost is None else _base36(run.lost)
        number = _base36(definitions[run.name, run.environment])
        lines.append(f"{_base36(at_s - from_s)},{suffix},{number},{_VERDICTS.index(run.verdict)},{recovery},{lost}")
    return {
        "from": from_s, "definitions": list(definitions), "ids": ids, "rows": "\n".join(lines),
        "before": reports.before, "after": reports.after, "hrefs": dict(reports.others),
    }  # fmt: skip


def _began_s(run_id: str) -> int:
    """When a run began by its id, in seconds since 1970; 0 where the id has no such time."""
    try:
        return int(datetime.strptime(run_id[:16], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp())
    except ValueError:
        return 0


def _base36(number: int) -> str:
    digits = ""
    while number:
        number, digit = divmod(number, 36)
        digits = _DIGITS[digit] + digits
    return digits or "0"


def _harmless(value: Any) -> str:
    """JSON that cannot end the element that it stands in, nor begin another."""
    text = json.dumps(value, separators=(",", ":"))
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _file(name: str, environment: str) -> str:
    """A file name for a definition in an environment that no two of them share and that leads nowhere else."""
    plain = _UNSAFE.sub("-", f"{name}-{environment}")[:80].strip(".-") or "runs"
    digest = hashlib.sha256(f"{name}\0{environment}".encode()).hexdigest()[:6]
    return f"{plain}-{digest}.html"
