"""``report.md``: the run for a pull request, a ticket or a chat; short, and safe to render.

What a run supplies is escaped, so that no text of a server turns into a link, a table or HTML.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from ftchaos.evidence import Evidence
from ftchaos.report import lanes, losses, promised, wording
from ftchaos.units import human_size

_ROWS = 40
_CHARACTERS = 400
_SPECIAL = re.compile(r"([\\`*_\[\]<>|~&])")
_LEADING = re.compile(r"^(\d*)([#+=.)-])(?=\s|$|[#+=-])")
_MARK = {True: "✅", False: "❌", None: "❔"}


def render(evidence: Evidence) -> str:
    """The run as GitHub-flavoured Markdown, of bounded length."""
    parts = [
        f"# {wording.VERDICTS[evidence.verdict]}: {safe(evidence.kind)} {safe(evidence.name)}"
        f" in {safe(evidence.environment)}",
        f"**{safe(wording.lead(evidence))}**",
        *_further_reasons(evidence),
        safe(evidence.summary),
        f"Run `{evidence.run_id}`, {evidence.began_at} to {evidence.ended_at}, exit code {evidence.exit_code}"
        f" ({wording.CODES.get(evidence.exit_code, 'unknown')}).{_through(evidence)}",
        *_harmed(evidence),
        _table(
            ("Objective", "Promised", "Actual", "", "Detail"),
            [
                (row.name, row.promised or "whole", row.actual, f"{_MARK[row.met]} {row.judged}", row.detail)
                for row in wording.actuals(evidence)
            ],
        ),
        *_promises(evidence),
        *_scaling(evidence),
        *_components(evidence),
        *_workloads(evidence),
        *_phases(evidence),
        *_data(evidence),
        *_afterwards(evidence),
        *_steps(evidence),
        *_checks(evidence),
        *_calls(evidence),
        *([safe(f"Cost: {wording.cost_words(evidence)}.")] if evidence.cost else []),
        f"The whole report is `report.html`; `ftchaos report verify {evidence.run_id}` checks the evidence.",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _through(evidence: Evidence) -> str:
    """How clients saw the service, where there were any."""
    return (
        ""
        if wording.is_configuration(evidence)
        else f" Clients saw the service through {safe(evidence.service.through)}."
    )


def _further_reasons(evidence: Evidence) -> Iterable[str]:
    if len(evidence.reasons) > 1:
        yield "\n".join(f"- {safe(reason)}" for reason in evidence.reasons[1:_ROWS])


def _harmed(evidence: Evidence) -> Iterable[str]:
    if evidence.exit_code == 4:
        yield "> **The system is left harmed.** Heal it with `ftchaos recover`."
        for harm in evidence.undo.harms[:_ROWS]:
            if not harm.healed:
                yield f"> Not healed: {safe(harm.why)} {safe(harm.repair)}"


def _promises(evidence: Evidence) -> Iterable[str]:
    rows = promised.promised(evidence)
    if rows:
        yield f"## Promises: {promised.kept_words(rows)}"
        yield _table(
            ("Promise", "", "Detail"), [(row.words, f"{_MARK[row.kept]} {row.judged}", row.detail) for row in rows]
        )
    if unasked := promised.unasked_words(evidence):
        yield safe(unasked)
    if evidence.plan.targets:
        named = ", ".join(safe(one.name) for one in evidence.plan.targets[:_ROWS])
        yield f"What the fault hit: {named}."


def _scaling(evidence: Evidence) -> Iterable[str]:
    if rows := wording.scaling_rows(evidence):
        yield "## The autoscaler under the load"
        yield _table(("", ""), rows)


def _workloads(evidence: Evidence) -> Iterable[str]:
    if evidence.workloads:
        yield "## What else was stuck"
        yield "\n".join(f"- {safe(f'{one.name}: {lanes.said_words(one, evidence)}')}" for one in evidence.workloads)


def _components(evidence: Evidence) -> Iterable[str]:
    if not evidence.components:
        return
    yield "## Each component from the fault on"
    tables = [(one, lanes.outcome(one, evidence)[0], lanes.table_words(one, evidence)) for one in evidence.components]
    yield _table(
        ("Component", "", "Outcome", *tables[0][2], "It said"),
        [
            (one.name, "hit" if one.hit else "control", outcome, *words.values(), lanes.said_words(one, evidence))
            for one, outcome, words in tables
        ],
    )


def _afterwards(evidence: Evidence) -> Iterable[str]:
    if evidence.jobs is not None:
        yield "## The work of acknowledged uploads"
        yield safe(f"{wording.job_words(evidence)}.")
    if wording.is_drill(evidence) or evidence.exit_code == 5:
        return
    yield "## After the heal"
    yield safe(wording.as_before(evidence))
    if evidence.undo.differences:
        yield "\n".join(f"- {safe(one)}" for one in evidence.undo.differences[:_ROWS])


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
    stores = losses.stores(evidence)
    if stores:
        yield _table(
            ("Store", "Way", *losses.CLASSES),
            [
                (row.store, row.way or "all", *(wording.count(number) for number in row.classes.values()))
                for row in stores
            ],
        )
    if stores and not wording.is_drill(evidence):
        yield safe(losses.worst_words(evidence))
    if wording.is_configuration(evidence):
        source = wording.kept_in(evidence)
        yield safe(f"{wording.came_back(evidence)} It is kept in {source}." if source else "Nothing was restored.")
    elif evidence.exit_code != 5:
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
        drill = "configuration" if wording.is_configuration(evidence) else "restored data"
        yield f"## Checks of the {drill if wording.is_drill(evidence) else 'data after the heal'}"
        yield _table(
            ("Check", "Result", "Expected", "Actual"),
            [
                (f"{check.name} ({check.stage})", f"{_MARK[check.passed]} {words[check.passed]}",
                 check.expected, check.actual)
                for check in evidence.verification.checks
            ],
        )  # fmt: skip


def _calls(evidence: Evidence) -> Iterable[str]:
    calls = evidence.calls
    if calls is None:
        return
    yield f"## Calls to the API of the {'cluster' if evidence.platform == 'kubernetes' else 'cloud'}"
    yield safe(f"{wording.call_words(evidence)}.")
    yield _table(
        ("Operation", "Calls", "Failed", "Throttled", "Tried again"),
        [
            (one.name, *(wording.count(number) for number in (one.calls, one.errors, one.throttled, one.retries)))
            for one in calls.operations
        ],
    )


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *[[safe(cell) for cell in row] for row in rows[:_ROWS]]]
    text = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    left = len(rows) - _ROWS
    return f"{text}\n\nand {left} more in `evidence.json`" if left > 0 else text


def safe(text: str) -> str:
    """The text as Markdown that renders to itself, on one line."""
    short = text if len(text) <= _CHARACTERS else text[: _CHARACTERS - 1] + "…"
    plain = _SPECIAL.sub(r"\\\1", " ".join(short.split()))
    # A bare address turns into a link by itself, and some characters only mean something at the begin of a line.
    return _LEADING.sub(r"\1\\\2", plain.replace("://", ":\\//").replace("www.", "www\\."))
