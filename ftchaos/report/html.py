"""``report.html``: one self-contained page, without scripts and without the network, under 500 KB.

Every value in it comes from a run and is escaped by the template engine; the page's content security
policy forbids anything but its own style sheet, by hash, so that even a value that slipped through could do nothing.
"""

from __future__ import annotations

import base64
import dataclasses
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from markupsafe import Markup

from ftchaos.evidence import Evidence
from ftchaos.evidence.sentence import moment
from ftchaos.report import charts, lanes, losses, outage, promised, wording
from ftchaos.units import human_size

MAX_BYTES = 500_000
_TEMPLATES = Path(__file__).resolve().parent / "templates"


@dataclass(frozen=True)
class Limits:
    """How much of very long evidence the page shows; the rest stands in ``evidence.json``."""

    rows: int
    characters: int
    charts: int
    lanes: int


LIMITS = (Limits(120, 1000, 6, 20), Limits(40, 300, 4, 8), Limits(15, 120, 2, 2), Limits(5, 60, 1, 0))


def render(evidence: Evidence, files: Mapping[str, Mapping[str, Any]]) -> str:
    """The page of a run.

    Args:
        evidence: the run.
        files: sha256 and size of its raw files by path, as :func:`ftchaos.manifest.digests` gives them.

    Returns:
        HTML of less than :data:`MAX_BYTES`, whatever the evidence holds: its longest lists and texts are cut
        until it fits.
    """
    page = ""
    for limits in LIMITS:
        page = _page(evidence, files, limits)
        if len(page.encode()) < MAX_BYTES:
            break
    return page


def _page(evidence: Evidence, files: Mapping[str, Mapping[str, Any]], limits: Limits) -> str:
    return filled(
        "report.html.j2",
        e=evidence,
        files=files,
        limits=limits,
        lead=wording.lead(evidence),
        actuals=wording.actuals(evidence),
        classes=wording.ledger_classes(evidence),
        points=_point_bars(evidence),
        milestones=wording.milestones(evidence),
        waterfall=charts.waterfall(evidence),
        outages=outage.outages(evidence, limits.charts),
        timeline=_drawn(lanes.timeline(evidence), limits),
        table_words=lambda component: lanes.table_words(component, evidence),
        said_words=lambda component: lanes.said_words(component, evidence),
        stores=losses.stores(evidence),
        store_classes=losses.CLASSES,
        alarming_classes=losses.ALARMING,
        store_points=losses.points(evidence),
        store_words=losses.worst_words(evidence),
        promises=promised.promised(evidence),
        unasked=promised.unasked_words(evidence),
        kept_words=promised.kept_words,
        all_kept=promised.all_kept,
        jobs=wording.job_rows(evidence),
        scaling=wording.scaling_rows(evidence),
        job_words=wording.job_words(evidence),
        call_words=wording.call_words(evidence),
        cost_words=wording.cost_words(evidence),
        as_before=wording.as_before(evidence),
        compared=wording.compared(evidence),
        drill=wording.is_drill(evidence),
        arguments={name: value for name, value in evidence.arguments.items() if value not in ("", None)},
        configuration=wording.is_configuration(evidence),
        came_back=wording.came_back(evidence),
        kept_in=wording.kept_in(evidence),
        length_s=(moment(evidence.ended_at) - moment(evidence.began_at)).total_seconds(),
        codes=wording.CODES,
        verdicts=wording.VERDICTS,
    )


def filled(template: str, **values: Any) -> str:
    """A page in the style that all pages share, which its own policy names by hash."""
    templates = _environment()
    style = Markup(templates.get_template("style.css.j2").render())
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return templates.get_template(template).render(style=style, style_sha256=digest, **values)


def _drawn(timeline: lanes.Timeline | None, limits: Limits) -> lanes.Timeline | None:
    """The timeline with what its samplers did drawn in as many lanes as fit."""
    if timeline is None:
        return None
    spare = iter([True] * limits.lanes)
    hit, control = (
        [lane if next(spare, False) else dataclasses.replace(lane, rates=None) for lane in group]
        for group in (timeline.hit, timeline.control)
    )
    return dataclasses.replace(timeline, hit=hit, control=control)


def _point_bars(evidence: Evidence) -> list[tuple[wording.RecoveryPoint, float | None, float]]:
    """Each way to look at data loss, with its length and the objective's on an axis that holds all of them."""
    points = wording.recovery_points(evidence)
    axis_s = max([evidence.objectives.rpo_s, *(point.seconds or 0.0 for point in points)]) or 1.0
    objective = 100 * evidence.objectives.rpo_s / axis_s
    return [(point, None if point.seconds is None else 100 * point.seconds / axis_s, objective) for point in points]


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    measures: dict[str, Callable[[Any], str]] = {
        "duration": wording.duration,
        "offset": wording.offset,
        "percent": wording.percent,
        "size": human_size,
        "ms": outage.milliseconds_words,
    }
    environment.filters |= {name: _unbroken(words) for name, words in measures.items()}
    environment.filters |= {
        "count": wording.count,
        "plain": wording.plain,
        "day": lambda instant: f"{moment(instant):%d %B %Y}".lstrip("0"),
        "time": lambda instant: f"{moment(instant):%H:%M:%S}.{moment(instant).microsecond // 1000:03d}Z",
        "clip": _clip,
        "head": _head,
    }
    return environment


def _unbroken(words: Callable[[Any], str]) -> Callable[[Any], str]:
    """The same words with the number and its unit on one line."""
    return lambda value: words(value).replace(" ", "\N{NO-BREAK SPACE}")


@pass_context
def _clip(context: Context, text: str) -> str:
    most = context["limits"].characters
    return text if len(text) <= most else text[: most - 1] + "…"


@pass_context
def _head(context: Context, items: Sequence[Any] | Mapping[str, Any]) -> list[Any]:
    values = items.items() if isinstance(items, Mapping) else items
    return list(islice(values, context["limits"].rows))
