"""The middle of the terminal's summary of an experiment: recovery by component, losses, work and promises.

Those that were hit stand in the table; of the control group only those that failed, for its calm is one line.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from rich.text import Text

from ftchaos.evidence import Component, Evidence
from ftchaos.evidence.sentence import calm
from ftchaos.report import lanes, losses, promised, wording

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]+")
_HEADS = {"First failure": "failed", "Writable": "writable", "Durable": "durable", "SLO sustained": "SLO again"}
_LEAST_ROWS = 2
_COLOURS = {True: "green", False: "bold red", None: "yellow"}


def body(evidence: Evidence, room: int, fancy: bool) -> list[Text]:
    """At most so many lines; when they are too many, the components that came back first are left out."""
    foot = [*_scaling(evidence), *_losses(evidence), *_jobs(evidence), *_promises(evidence)]
    shown = [one for one in evidence.components if not calm(one, evidence)]
    quiet = _quiet([one for one in evidence.components if calm(one, evidence)])
    rows = max(_LEAST_ROWS, room - len(foot) - len(quiet) - 1)
    left = 0
    if len(shown) > rows:
        kept = sorted(shown, key=_badness)[: rows - 1]
        left = len(shown) - len(kept)
        shown = [one for one in shown if one in kept]
    lines = [*_table(shown, evidence, fancy), *([Text(f"and {left} more, which came back sooner")] if left else [])]
    return [*[*lines, *quiet][: max(0, room - len(foot))], *foot]


def _badness(component: Component) -> tuple[bool, float]:
    return (component.restored_at is not None, -(component.recovery_time_s or 0.0))


def _table(components: Sequence[Component], evidence: Evidence, fancy: bool) -> list[Text]:
    if not components:
        return []
    rows = [("", *_HEADS.values(), "down")]
    for one in components:
        words = lanes.table_words(one, evidence)
        instants = [words[name] or "-" for name in _HEADS]
        name = _plain(one.name)[:18] + ("" if one.hit else " (control)")
        rows.append((name, *instants, words["Unavailable"]))
    if not any(row[3] != "-" for row in rows[1:]):  # none of them asks for a second server's word
        rows = [row[:3] + row[4:] for row in rows]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for number, row in enumerate(rows):
        cells = [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        line = "  ".join(cells)
        never = number > 0 and components[number - 1].restored_at is None
        lines.append(Text(line if fancy else line.replace("\N{MINUS SIGN}", "-"), "bold red" if never else ""))
    return lines


def _quiet(components: Sequence[Component]) -> list[Text]:
    """Those that never failed, in one line for each group."""
    lines = []
    for hit, words in ((True, "hit"), (False, "control group")):
        names = [_plain(one.name) for one in components if one.hit == hit]
        if names:
            lines.append(Text(f"{words}, no operation failed: {', '.join(names)}"))
    return lines


def _losses(evidence: Evidence) -> list[Text]:
    found = losses.words(evidence)
    lines = []
    for number, words in enumerate(found[:4]):
        line = Text(f"{'lost' if not number else '':9} ")
        line.append(_plain(words), "bold red" if ": 0 of" not in words else "")
        lines.append(line)
    return [*lines, *([Text(f"{'':9} and {len(found) - 4} more ways, see the report")] if len(found) > 4 else [])]


def _scaling(evidence: Evidence) -> list[Text]:
    did = evidence.scaling
    if did is None:
        return []
    line = Text(f"{'scaled':9} ")
    line.append(f"{did.replicas_before} to {did.replicas_highest} replicas of at most {did.replicas_most}, enough: ")
    line.append({True: "yes", False: "no", None: "unknown"}[did.enough], _COLOURS[did.enough])
    return [line]


def _jobs(evidence: Evidence) -> list[Text]:
    words = wording.job_words(evidence)
    return [Text(f"{'jobs':9} {words}")] if words else []


def _promises(evidence: Evidence) -> list[Text]:
    rows = promised.promised(evidence)
    if not rows:
        return []
    line = Text(f"{'promises':9} ")
    line.append(promised.kept_words(rows), _COLOURS[promised.all_kept(rows)])
    if evidence.plan.unasked:
        line.append(f", {len(evidence.plan.unasked)} not asked here")
    return [line]


def _plain(text: str) -> str:
    return " ".join(_CONTROL.sub(" ", text).split())
