"""A drill or experiment over time, for a terminal, for a program, and as one page that needs nothing else."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from markupsafe import Markup

from ftchaos import __version__
from ftchaos.clock import iso
from ftchaos.report import html, wording
from ftchaos.store.history import Due, Figure, Point
from ftchaos.units import human_duration

ROWS = 200
DOTS = 600
WIDTH, HEIGHT, TOP = 960, 180, 12
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]+")


@dataclass(frozen=True)
class Chart:
    """One figure over time: dots in the order of the runs, with the objective where it fits.

    Attributes:
        dots: x, y, class and words of each.
        objective_y: of its line; None where it lies far above everything measured.
        highest: the value at the top, in words.
    """

    title: str
    dots: tuple[tuple[float, float, str, str], ...]
    objective_y: float | None
    objective: str
    highest: str


def text(title: str, points: Sequence[Point], due: Due | None, *, rows: int = 30) -> str:
    """The newest runs for a terminal, oldest first, each against the median of those before it."""
    if not points:
        return f"{_line(title)}: no runs" + ("" if due is None else "; due now")
    lines = [f"{_line(title)}: {_runs(points)}", ""]
    lines.append(f"{'began':17} {'verdict':12} {'recovery':>9} {'median':>9} {'data loss':>9}  run")
    for point in points[-rows:]:
        mark = "  WORSE" if point.regressed else ""
        lines.append(
            f"{point.run.began_at[:16]}Z {point.run.verdict:12} {words(point.recovery_time.value_s):>9} "
            f"{words(point.recovery_time.median_s):>9} {words(point.data_loss.value_s):>9}  {point.run.run_id}{mark}"
        )
    lines += ["", *(_line(sentence) for sentence in sentences(points, due))]
    return "\n".join(lines)


def sentences(points: Sequence[Point], due: Due | None) -> list[str]:
    """What the history comes to, in sentences."""
    said = []
    newest = points[-1] if points else None
    for name, figure in () if newest is None else (
        ("recovery time", newest.recovery_time),
        ("data loss", newest.data_loss),
    ):  # fmt: skip
        said += _judged(name, figure)
    if due is not None:
        said.append(due_words(due))
    return said


def due_words(due: Due) -> str:
    """When it is due again."""
    if due.at is None:
        return "It never came to a conclusion: it is due now."
    return f"{'Overdue since' if due.overdue else 'Next due'} {due.at:%Y-%m-%d %H:%M}Z."


def data(points: Sequence[Point], due: Due | None) -> dict[str, Any]:
    """The history for a program."""
    return {
        "runs": [{**asdict(point), "regressed": point.regressed} for point in points],
        "due_at": iso(due.at) if due and due.at else None,
        "overdue": due.overdue if due else None,
        "sentences": sentences(points, due),
    }


def page(
    title: str, points: Sequence[Point], due: Due | None, hrefs: dict[str, str], made_at: datetime, home: str = ""
) -> str:
    """One page without scripts and without the network.

    Args:
        title: of the definition and its environment.
        points: oldest first.
        due: when it is due again, where that is known.
        hrefs: of the reports of runs, by their ids.
        made_at: when the page is made.
        home: the address of the index, where there is one.
    """
    its_style, style_sha256 = style()
    return (
        html._environment()
        .get_template("trend.html.j2")
        .render(
            title=title,
            points=list(reversed(points))[:ROWS],
            total=len(points),
            counted=_runs(points),
            sentences=sentences(points, due),
            overdue=due is not None and due.overdue,
            charts=[_chart("Recovery time", points, "recovery"), _chart("Data loss", points, "loss")],
            hrefs=hrefs,
            home=home,
            words=words,
            made_at=iso(made_at),
            version=__version__,
            width=WIDTH,
            height=HEIGHT,
            top=TOP,
            style=its_style,
            style_sha256=style_sha256,
        )
    )


def style() -> tuple[Markup, str]:
    """The style sheet of these pages, and its hash for their policy."""
    sheets = (html._environment().get_template(f"{name}.css.j2").render() for name in ("style", "site"))
    whole = Markup("\n".join(sheets))
    return whole, base64.b64encode(hashlib.sha256(whole.encode()).digest()).decode()


def _chart(title: str, points: Sequence[Point], which: str) -> Chart:
    """Dots of all runs that measured it; of very many the newest."""
    chosen = [(point, point.recovery_time if which == "recovery" else point.data_loss) for point in points[-DOTS:]]
    values = [figure.value_s for _, figure in chosen if figure.value_s is not None]
    objectives = [point.run.rto_s if which == "recovery" else point.run.rpo_s for point, _ in chosen]
    objective_s = objectives[-1] if objectives else 0.0
    highest_s = max([*values, 0.001])
    fits = 0 < objective_s <= 3 * highest_s
    top_s = max(highest_s, objective_s) if fits else highest_s
    dots = []
    for number, (point, figure) in enumerate(chosen):
        if figure.value_s is None:
            continue
        x = 10 + (WIDTH - 20) * (number + 0.5) / len(chosen)
        kind = "worse" if figure.regressed else point.run.verdict
        said = f"{point.run.began_at[:16]}Z: {words(figure.value_s)}, {point.run.verdict}"
        dots.append((round(x, 1), _y(figure.value_s, top_s), kind, said))
    line_y = _y(objective_s, top_s) if fits else None
    return Chart(title, tuple(dots), line_y, human_duration(objective_s), words(max(values, default=0.0)))


def _y(value_s: float, top_s: float) -> float:
    return round(TOP + (HEIGHT - 2 * TOP) * (1 - value_s / top_s), 1)


def _judged(name: str, figure: Figure) -> list[str]:
    if figure.value_s is None or figure.median_s is None:
        return []
    values = f"{words(figure.value_s)}, the median of earlier runs {words(figure.median_s)}"
    if figure.regressed:
        return [f"The {name} of the newest run is worse than before: {values}."]
    return [f"The {name} of the newest run is {values}."]


def _runs(points: Sequence[Point]) -> str:
    counts = {verdict: sum(point.run.verdict == verdict for point in points) for verdict in wording.VERDICTS}
    others = len(points) - sum(counts.values())
    parts = [f"{count:,} {verdict}" for verdict, count in counts.items() if count]
    return f"{len(points):,} runs, {', '.join([*parts, *([f'{others:,} unreadable'] if others else [])])}"


def words(seconds: float | None) -> str:
    """A duration for people, or a dash where there is none."""
    return "\N{EN DASH}" if seconds is None else wording.duration(seconds)


def _line(text: str) -> str:
    return _CONTROL.sub(" ", text)
