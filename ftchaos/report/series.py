"""What several runs come to together: a table, a polite and a brutal one side by side, or a matrix. Pure.

A matrix proves more than its runs: where writes are less durable than configured, losses must show. If they do not,
the instruments are blind, and that nothing was lost as configured proves nothing either.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from ftchaos.report.markdown import safe
from ftchaos.report.wording import UNKNOWN, duration
from ftchaos.units import human_duration

CONFIGURED, WEAKER = "configured", "weaker"
LOSING = ("lag", "partition")
"""Manners in which writes that nobody else confirmed are lost; a plain kill on one machine loses nothing."""
NOT_RUN = "not run"
_WIDTH = 80
_CODES: dict[str, int] = {"passed": 0, "failed": 1, "inconclusive": 3}


@dataclass(frozen=True)
class Row:
    """One run of a series.

    Attributes:
        manner: how the fault was done; empty where there is no choice.
        durability: ``configured`` or ``weaker``.
        verdict: passed, failed, inconclusive, or ``not run``.
        recovery_time_s: None where the service was not seen restored.
        lost: acknowledged writes lost, by store; None when they were not looked for.
        reason: the first reason, or the run in one sentence.
        acknowledged: how many writes were acknowledged.
    """

    name: str
    manner: str
    durability: str
    verdict: str
    recovery_time_s: float | None
    lost: Mapping[str, int] | None
    reason: str
    acknowledged: int | None = None
    run_id: str = ""

    @property
    def lost_in_all(self) -> int | None:
        return None if self.lost is None else sum(self.lost.values())

    @property
    def lost_where_hit(self) -> int | None:
        """What was lost in the store that the experiment is named after: losses elsewhere prove nothing of it."""
        if self.lost is None:
            return None
        return self.lost.get("redis" if self.name.startswith("redis") else "mysql", self.lost.get("all stores", 0))

    @property
    def cell(self) -> str:
        """Which cell of the matrix it is, for people: ``lag, weaker``."""
        return ", ".join(part for part in (self.manner, self.durability) if part)


@dataclass(frozen=True)
class Matrix:
    """Manner by durability, and what all of it proves.

    Attributes:
        reasons: one sentence each, the first decided; empty when it passed.
        text: for a terminal.
        markdown: for a ticket.
        data: for a program.
    """

    verdict: Literal["passed", "failed", "inconclusive"]
    reasons: tuple[str, ...]
    text: str
    markdown: str
    data: dict[str, Any] = field(default_factory=dict)

    @property
    def exit_code(self) -> int:
        return _CODES[self.verdict]


def row(evidence: Mapping[str, Any], options: Mapping[str, str], error: str = "") -> Row:
    """A run of a series from its evidence as read from JSON.

    Args:
        evidence: empty where the run did not begin.
        options: in what the run differs from the others: ``manner``, ``durability``.
        error: what kept it from beginning.
    """
    given = evidence.get("arguments", {})
    manner = options.get("manner") or str(given.get("manner") or "")
    durability = options.get("durability") or str(given.get("durability") or CONFIGURED)
    if not evidence:
        return Row(str(options.get("name", "")), manner, durability, NOT_RUN, None, None, error or "it did not begin")
    reasons = evidence.get("reasons") or [evidence.get("summary", "")]
    return Row(
        name=str(evidence["name"]),
        manner=manner,
        durability=durability,
        verdict=str(evidence["verdict"]),
        recovery_time_s=evidence.get("recovery", {}).get("recovery_time_s"),
        lost=_lost(evidence.get("data", {})),
        reason=str(reasons[0]),
        acknowledged=evidence.get("data", {}).get("acknowledged"),
        run_id=str(evidence.get("run_id", "")),
    )


def _lost(data: Mapping[str, Any]) -> dict[str, int] | None:
    """By store as a whole; the ways into a store would count its writes a second time."""
    stores = data.get("stores", {})
    found = {name: stores[name].get("lost") for name in stores if ", " not in name and stores[name]}
    known = {name: count for name, count in found.items() if isinstance(count, int)}
    if known and len(known) == len(found):
        return known
    return {"all stores": data["lost"]} if isinstance(data.get("lost"), int) else None


def table(rows: Sequence[Row]) -> str:
    """The runs for a terminal: one line each, and below it the reason of each that did not pass."""
    if not rows:
        return "no run"
    columns = _columns(rows)
    lines = _aligned([list(columns[0]), *(list(line) for line in columns[1:])])
    found = [lines[0]]
    for one, line in zip(rows, lines[1:], strict=True):
        found.append(line)
        if one.verdict != "passed":
            found.append(f"  {_cut(one.reason, _WIDTH - 2)}")
    return "\n".join([*found, "", counted(rows)])


def markdown(rows: Sequence[Row]) -> str:
    """The runs as a table of GitHub-flavoured Markdown."""
    columns = _columns(rows)
    lines = [[*columns[0], "reason"], ["---"] * (len(columns[0]) + 1)]
    lines += [[*cells, one.reason] for cells, one in zip(columns[1:], rows, strict=True)]
    return "\n".join(_markdown_line(line) for line in lines)


def data(rows: Sequence[Row]) -> dict[str, Any]:
    """The runs for a program."""
    return {"runs": [_data(one) for one in rows], "counts": _counts(rows)}


def counted(rows: Sequence[Row]) -> str:
    """``16 runs: 14 passed, 1 failed, 1 inconclusive``."""
    counts = ", ".join(f"{count} {verdict}" for verdict, count in _counts(rows).items())
    return f"{len(rows)} {'run' if len(rows) == 1 else 'runs'}: {counts}"


def pair(polite: Row, brutal: Row) -> tuple[str, dict[str, Any]]:
    """The polite and the brutal run, and their difference in words and in numbers."""
    took_s = _difference(brutal.recovery_time_s, polite.recovery_time_s)
    lost = _difference(brutal.lost_in_all, polite.lost_in_all)
    sentences = [_recovery_words(polite, brutal, took_s), _loss_words(polite, brutal)]
    numbers = {
        "polite": _data(polite),
        "brutal": _data(brutal),
        "difference": {
            "recovery_time_s": took_s,
            "lost": lost,
            "lost_by_store": _by_store(polite, brutal),
        },
        "words": " ".join(sentences),
    }
    return "\n".join([table([polite, brutal]), "", *sentences]), numbers


def matrix(rows: Sequence[Row]) -> Matrix:
    """Manner by durability with the losses of each cell, and the verdict of the whole.

    Passed only when every configured cell passed and every weaker cell of a losing manner shows losses.
    """
    manners = list(dict.fromkeys(one.manner for one in rows))
    cells = {(one.manner, one.durability): one for one in rows}
    failed, unknown = _judged(manners, cells)
    verdict: Literal["passed", "failed", "inconclusive"]
    verdict = "failed" if failed else "inconclusive" if unknown else "passed"
    reasons = (*failed, *unknown)
    grid = [["", "as configured", "weaker"]]
    grid += [[manner or "-", *(_cell(cells.get((manner, one))) for one in (CONFIGURED, WEAKER))] for manner in manners]
    said = list(reasons) or ["As configured every run passed, and where writes are less durable the losses show."]
    text = "\n".join([*_aligned(grid, left=True), "", f"{verdict.upper()}", *said])
    marked = "\n".join([*(_markdown_line(line) for line in (grid[0], ["---"] * 3, *grid[1:])), "",
                        f"**{verdict.capitalize()}.** {' '.join(said)}"])  # fmt: skip
    return Matrix(
        verdict,
        reasons,
        text,
        marked,
        {"verdict": verdict, "exit_code": _CODES[verdict], "reasons": list(reasons), **data(rows)},
    )


def _judged(manners: Iterable[str], cells: Mapping[tuple[str, str], Row]) -> tuple[list[str], list[str]]:
    """Why it failed, and why nobody knows."""
    failed, unknown = [], []
    for manner in dict.fromkeys((*manners, *LOSING)):
        configured, weaker = cells.get((manner, CONFIGURED)), cells.get((manner, WEAKER))
        if configured is None or configured.verdict == NOT_RUN:
            unknown.append(_missing(manner, CONFIGURED, configured))
        elif configured.verdict == "failed":
            failed.append(f"As configured the system did not pass {manner}: {_sentence(configured.reason)}")
        elif configured.verdict != "passed":
            unknown.append(f"The cell '{configured.cell}' is inconclusive: {_sentence(configured.reason)}")
        if weaker is None or weaker.verdict == NOT_RUN:
            unknown.append(_missing(manner, WEAKER, weaker))
        elif manner not in LOSING:
            continue
        elif weaker.lost_where_hit is None:
            unknown.append(f"What the cell '{weaker.cell}' lost is unknown: {_sentence(weaker.reason)}")
        elif weaker.lost_where_hit == 0:
            unknown.append(
                f"The instruments are blind: the cell '{weaker.cell}' lost none of"
                f" {_count(weaker.acknowledged)} acknowledged writes, where losses must show."
            )
    return failed, unknown


def _missing(manner: str, durability: str, found: Row | None) -> str:
    why = f": {_sentence(found.reason)}" if found is not None else "."
    return f"The cell '{manner}, {durability}' was not run{why}"


def _cell(found: Row | None) -> str:
    if found is None or found.verdict == NOT_RUN:
        return NOT_RUN
    return f"{found.verdict}, lost {_lost_words(found)}"


def _columns(rows: Sequence[Row]) -> list[tuple[str, ...]]:
    """The head and a line for each run; a column that says the same of every run is left out."""
    manner, durability = any(one.manner for one in rows), any(one.durability != CONFIGURED for one in rows)
    head = ["experiment", *(["manner"] if manner else []), *(["durability"] if durability else [])]
    found: list[tuple[str, ...]] = [(*head, "verdict", "recovery", "lost")]
    for one in rows:
        own = [one.name, *([one.manner] if manner else []), *([one.durability] if durability else [])]
        took = "-" if one.verdict == NOT_RUN else duration(one.recovery_time_s)
        found.append((*own, one.verdict, took, "-" if one.verdict == NOT_RUN else _lost_words(one)))
    return found


def _lost_words(found: Row) -> str:
    """``0``, or what was lost in which store: ``312 in redis``, ``2,315 (mysql 2,311, redis 4)``."""
    if found.lost is None:
        return UNKNOWN
    some = {store: count for store, count in found.lost.items() if count}
    if len(some) > 1:
        return f"{found.lost_in_all:,} ({', '.join(f'{store} {count:,}' for store, count in some.items())})"
    return next((f"{count:,} in {store}" for store, count in some.items()), "0")


def _recovery_words(polite: Row, brutal: Row, difference_s: float | None) -> str:
    if difference_s is None:
        missing = [one.name for one in (polite, brutal) if one.recovery_time_s is None]
        return f"The difference in recovery time is unknown: {' and '.join(missing)} was not seen restored."
    how = f"{human_duration(polite.recovery_time_s or 0.0)} against {human_duration(brutal.recovery_time_s or 0.0)}"
    if human_duration(abs(difference_s)) == "0 ms":
        return f"Both recovered equally fast ({how})."
    quicker, slower = ("polite", "brutal") if difference_s > 0 else ("brutal", "polite")
    return f"The {quicker} one recovered {human_duration(abs(difference_s))} sooner than the {slower} one ({how})."


def _loss_words(polite: Row, brutal: Row) -> str:
    if polite.lost is None or brutal.lost is None:
        return "The difference in lost writes is unknown."
    if not polite.lost_in_all and not brutal.lost_in_all:
        return "Neither lost an acknowledged write."
    return (
        f"Of {_count(polite.acknowledged)} acknowledged writes the polite one lost {_lost_words(polite)},"
        f" of {_count(brutal.acknowledged)} the brutal one {_lost_words(brutal)}."
    )


def _by_store(polite: Row, brutal: Row) -> dict[str, int] | None:
    if polite.lost is None or brutal.lost is None:
        return None
    stores = sorted(polite.lost.keys() | brutal.lost.keys())
    return {store: brutal.lost.get(store, 0) - polite.lost.get(store, 0) for store in stores}


def _difference(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one - other


def _data(found: Row) -> dict[str, Any]:
    return {**asdict(found), "lost": None if found.lost is None else dict(found.lost), "lost_in_all": found.lost_in_all}


def _counts(rows: Sequence[Row]) -> dict[str, int]:
    verdicts = [one.verdict for one in rows]
    order = (*_CODES, NOT_RUN)
    return {verdict: verdicts.count(verdict) for verdict in order if verdict in verdicts}


def _count(number: int | None) -> str:
    return UNKNOWN if number is None else f"{number:,}"


def _sentence(text: str) -> str:
    return f"{text.strip().rstrip('.')}."


def _aligned(rows: Sequence[Sequence[str]], *, left: bool = False) -> list[str]:
    """Columns of equal width; numbers, which are the last two, to the right."""
    widths = [max(len(line[column]) for line in rows) for column in range(len(rows[0]))]
    last = len(widths) - 2
    lines = []
    for line in rows:
        cells = [
            cell.rjust(width) if not left and number >= last else cell.ljust(width)
            for number, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return lines


def _cut(text: str, width: int) -> str:
    line = " ".join(text.split())
    return line if len(line) <= width else line[: width - 1] + "…"


def _markdown_line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cell if cell == '---' else safe(cell) for cell in cells)} |"
