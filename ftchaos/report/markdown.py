"""``report.md``: the run for a pull request, a ticket or a chat; short, and safe to render.

What a run supplies is escaped, so that no text of a server turns into a link, a table or HTML.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from ftchaos.evidence import Evidence
from ftchaos.report import wording
from ftchaos.units import human_size

_ROWS = 40
_CHARACTERS = 400
_SPECIAL = re.compile(r"([\\`*_\[\]<>|~&])")
_LEADING = re.compile(r"^(#|[-+=]|\d+[.)])")
_MARK = {True: "✅", False: "❌", None: "❔"}


def render(evidence: Evidence) -> str:
    """The run as GitHub-flavoured Markdown, of bounded length."""
    parts = [
        f"# {wording.VERDICTS[evidence.verdict]}: {_safe(evidence.kind)} {_safe(evidence.name)}"
        f" in {_safe(evidence.environment)}",
        f"**{_safe(wording.lead(evidence))}**",
        *_further_reasons(evidence),
        _safe(evidence.summary),
        f"Run `{evidence.run_id}`, {evidence.began_at} to {evidence.ended_at}, exit code {evidence.exit_code}"
        f" ({wording.CODES.get(evidence.exit_code, 'unknown')}).",
        *_harmed(evidence),
        _table(
            ("Objective", "Promised", "Actual", "", "Detail"),
            [
                (row.name, row.promised or "whole", row.actual, f"{_MARK[row.met]} {row.judged}", row.detail)
                for row in wording.actuals(evidence)
            ],
        ),
        *_phases(evidence),
        *_data(evidence),
        *_steps(evidence),
        *_checks(evidence),
        f"The whole report is `report.html`; `ftchaos report verify {evidence.run_id}` checks the evidence.",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _further_reasons(evidence: Evidence) -> Iterable[str]:
    if len(evidence.reasons) > 1:
        yield "\n".join(f"- {_safe(reason)}" for reason in evidence.reasons[1:_ROWS])


def _harmed(evidence: Evidence) -> Iterable[str]:
    if evidence.exit_code == 4:
        yield "> **The system is left harmed.** Heal it with `ftchaos recover`."
        for harm in evidence.undo.harms[:_ROWS]:
            if not harm.healed:
                yield f"> Not healed: {_safe(harm.why)} {_safe(harm.repair)}"


def _phases(evidence: Evidence) -> Iterable[str]:
    phases = evidence.recovery.phases
    if not phases:
        return
    total_s = evidence.recovery.recovery_time_s or sum(phase.duration_s for phase in phases) or 1.0
    yield "## Where each second went"
    yield _table(
        ("Phase", "Took", "Share", "Detail"),
        [
            (phase.name, wording.duration(phase.duration_s), wording.percent(phase.duration_s / total_s), phase.detail)
            for phase in phases
        ],
    )


def _data(evidence: Evidence) -> Iterable[str]:
    data = evidence.data
    if data.acknowledged is not None:
        yield "## Every write by its class"
        yield (
            f"{wording.count(data.attempted)} attempted: {wording.count(data.acknowledged)} acknowledged,"
            f" {wording.count(data.failed)} failed, {wording.count(data.indeterminate)} indeterminate."
        )
        rows = wording.ledger_classes(evidence)
        yield _table(
            ("Class", "Writes", "Meaning"), [(row.name, wording.count(row.count), row.meaning) for row in rows]
        )
    if evidence.exit_code != 5:
        yield _table(
            ("Figure", "Length", "Meaning"),
            [
                (f"{point.name}{', judged' if point.judged else ''}", wording.duration(point.seconds), point.meaning)
                for point in wording.recovery_points(evidence)
            ],
        )


def _steps(evidence: Evidence) -> Iterable[str]:
    if evidence.steps:
        yield "## Steps"
        yield _table(
            ("Step", "Status", "Took", "Outcome"),
            [
                (step.name, step.status, "" if step.duration_s is None else wording.duration(step.duration_s),
                 step.error or step.output)
                for step in evidence.steps
            ],
        )  # fmt: skip
    backup = evidence.backup
    if backup is not None and backup.considered:
        yield "## Backups considered"
        yield _table(
            ("Backup", "Choice", "Size", "Why"),
            [
                (one.id, "restored" if one.chosen else "passed over",
                 "" if one.bytes is None else human_size(one.bytes), one.why)
                for one in backup.considered
            ],
        )  # fmt: skip


def _checks(evidence: Evidence) -> Iterable[str]:
    words = {True: "passed", False: "failed", None: "not done"}
    if evidence.verification.checks:
        yield "## Checks of the restored data"
        yield _table(
            ("Check", "Result", "Expected", "Actual"),
            [
                (f"{check.name} ({check.stage})", f"{_MARK[check.passed]} {words[check.passed]}",
                 check.expected, check.actual)
                for check in evidence.verification.checks
            ],
        )  # fmt: skip


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *[[_safe(cell) for cell in row] for row in rows[:_ROWS]]]
    text = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    left = len(rows) - _ROWS
    return f"{text}\n\nand {left} more in `evidence.json`" if left > 0 else text


def _safe(text: str) -> str:
    """The text as Markdown that renders to itself, on one line."""
    short = text if len(text) <= _CHARACTERS else text[: _CHARACTERS - 1] + "…"
    plain = _SPECIAL.sub(r"\\\1", " ".join(short.split()))
    # A bare address turns into a link by itself, and some characters only mean something at the begin of a line.
    return _LEADING.sub(r"\\\1", plain.replace("://", ":\\//").replace("www.", "www\\."))
