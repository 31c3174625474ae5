"""Annotations in Grafana: the fault as a region up to the recovery, and the recovery as a point.

Source: Grafana's annotations API: ``POST /api/annotations``, instants in milliseconds since the epoch. Its text may
hold HTML, so ours is escaped.
"""

from __future__ import annotations

import html
from typing import Any

from ftchaos.evidence import Evidence
from ftchaos.evidence.sentence import moment
from ftchaos.telling.event import Event
from ftchaos.telling.request import Request, as_json
from ftchaos.units import human_duration

PATH = "/api/annotations"


def requests(url: str, token: str, event: Event, dashboard: str = "", report_url: str = "") -> list[Request]:
    """What is sent for an event: annotations at the end of a run, nothing else.

    Args:
        dashboard: uid of the only dashboard that is to show them; empty for all.
    """
    if event.what == "test":
        found = [_annotation(_ms(event.at), "ftchaos, a test: nothing has happened", ["ftchaos", "test"])]
    elif event.what == "verdict" and event.evidence is not None:
        found = of_run(event.evidence, report_url)
    else:
        return []
    target = {"dashboardUID": dashboard} if dashboard else {}
    headers = {"Authorization": f"Bearer {token}"}
    return [as_json(url.rstrip("/") + PATH, {**target, **one}, headers) for one in found]


def of_run(found: Evidence, report_url: str = "") -> list[dict[str, Any]]:
    """The annotations of a run; none for a run without a fault."""
    recovery = found.recovery
    if recovery.fault_at is None:
        return []
    tags = ["ftchaos", found.kind, found.name, found.environment]
    link = f' <a href="{html.escape(report_url)}">report</a>' if report_url else ""
    fault = _annotation(
        _ms(recovery.fault_at),
        f"{html.escape(recovery.fault or 'a fault was injected')} ({html.escape(found.run_id)}){link}",
        [*tags, "fault"],
    )
    if recovery.restored_at is None:
        # Nobody knows when it was over; it was at the end of the run at the latest that nothing was harmed any more.
        return [{**fault, "timeEnd": max(fault["time"], _ms(found.ended_at))}]
    restored_ms = max(fault["time"], _ms(recovery.restored_at))
    took = f" after {human_duration(recovery.recovery_time_s)}" if recovery.recovery_time_s is not None else ""
    text = f"the service met its objective again{took}: {found.verdict}{link}"
    return [{**fault, "timeEnd": restored_ms}, _annotation(restored_ms, text, [*tags, "recovery", found.verdict])]


def _annotation(time_ms: int, text: str, tags: list[str]) -> dict[str, Any]:
    return {"time": time_ms, "text": text, "tags": tags}


def _ms(instant: str) -> int:
    return round(moment(instant).timestamp() * 1000)
