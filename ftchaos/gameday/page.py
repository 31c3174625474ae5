"""The report of a game day for people: one self-contained page, Markdown, and lines for a terminal.

What a plan, a person or a run supplies is escaped as in every report.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ftchaos.evidence.sentence import moment
from ftchaos.gameday.day import Day, Event, PartDone
from ftchaos.report import charts, wording
from ftchaos.report import html as pages
from ftchaos.report.markdown import safe
from ftchaos.units import human_duration

_GOOD = {"passed": True, "failed": False}
_MARK = {True: "✅", False: "❌", None: "❔"}
_LEAST = 0.6


@dataclass(frozen=True)
class Bar:
    """A part on the axis of the day, in percent, with the spans in which its fault was in place."""

    part: PartDone
    x: float
    width: float
    faults: list[tuple[float, float]]
    good: bool | None


@dataclass(frozen=True)
class Chart:
    """The day on one axis: what people said above, the parts below.

    Attributes:
        marks: an event of people and where it lies.
    """

    bars: list[Bar]
    marks: list[tuple[Event, float]]
    ticks: list[charts.Tick]


def html(day: Day) -> str:
    """The page of a day, below 500 KB whatever it holds."""
    page = ""
    for limits in pages.LIMITS:
        page = pages.filled(
            "gameday.html.j2",
            day=day,
            limits=limits,
            chart=_chart(day),
            good=good,
            report=report,
            figures=figures,
            verdicts=wording.VERDICTS,
            length_s=_seconds(day.began_at, day.ended_at),
        )
        if len(page.encode()) < pages.MAX_BYTES:
            break
    return page


def markdown(day: Day) -> str:
    """The day as GitHub-flavoured Markdown, of bounded length."""
    blocks = [
        f"# {wording.VERDICTS[day.verdict]}: {safe(day.title)} in {safe(day.environment)}",
        safe(day.summary),
        _listed(day.reasons),
        f"Game day `{day.run_id}`, {day.began_at} to {day.ended_at}, exit code {day.exit_code}.",
        "## Parts",
        _table(("Part", "", "What", "Figures", "Why", "Report"), [_row(part) for part in day.parts]),
        "## Timeline",
        _table(
            ("At", "Who", "What"),
            [(one.at, safe(one.who or one.lane), safe(one.what)) for one in day.timeline[:200]],
        ),
        *([f"## Lessons\n\n{_listed(day.lessons)}"] if day.lessons else []),
        *(["## Actions", _table(("What", "Owner", "Due", "Status"), _actions(day))] if day.actions else []),
        f"The whole report is `report.html`; `ftchaos report verify {day.run_id}` checks the evidence.",
    ]
    return "\n\n".join(block for block in blocks if block) + "\n"


def good(part: PartDone) -> bool | None:
    """Whether a part went well; None where it proved nothing."""
    return _GOOD.get(part.state)


def report(part: PartDone) -> str:
    """The page of a part's own run, beside the day's; empty where there is none."""
    return f"../{part.result.run_id}/report.html" if part.result is not None and part.result.run_id else ""


def figures(part: PartDone) -> str:
    """What a part measured, in words."""
    if part.result is None:
        return ""
    found = []
    if part.result.recovery_time_s is not None:
        found.append(f"recovered in {human_duration(part.result.recovery_time_s)}")
    if part.result.lost is not None:
        found.append(f"{part.result.lost:,} writes lost")
    if part.result.data_loss_s:
        found.append(f"{human_duration(part.result.data_loss_s)} of data lost")
    return ", ".join(found)


def _row(part: PartDone) -> Sequence[str]:
    where = report(part)
    said = part.reason or (part.result.summary if part.result is not None else "")
    return (
        safe(part.name),
        f"{_MARK[good(part)]} {part.state}",
        safe(f"{part.kind}: {part.what}"),
        safe(figures(part)),
        safe(said),
        f"[report]({where})" if where else "",
    )


def _actions(day: Day) -> list[Sequence[str]]:
    return [(safe(one.what), safe(one.owner), safe(one.due), safe(one.status)) for one in day.actions]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, ["---"] * len(head), *rows))


def _listed(texts: Sequence[str]) -> str:
    return "\n".join(f"- {safe(text)}" for text in texts)


def _seconds(begin: str, end: str) -> float:
    return (moment(end) - moment(begin)).total_seconds()


def _chart(day: Day) -> Chart:
    length_s = max(_seconds(day.began_at, day.ended_at), 1.0)

    def at(instant: str) -> float:
        return min(100.0, max(0.0, 100 * _seconds(day.began_at, instant) / length_s))

    def bars() -> Iterator[Bar]:
        for part in day.parts:
            if part.began_at is None:
                continue
            begin, end = at(part.began_at), at(part.ended_at or day.ended_at)
            spans = []
            if part.result is not None and part.result.fault_at is not None:
                since = at(part.result.fault_at)
                until = at(part.result.restored_at or part.ended_at or day.ended_at)
                spans.append((since, max(_LEAST, until - since)))
            yield Bar(part, begin, max(_LEAST, end - begin), spans, good(part))

    marks = [(event, at(event.at)) for event in day.timeline if event.lane == "people"]
    return Chart(list(bars()), marks, charts.time_ticks(0.0, length_s))
