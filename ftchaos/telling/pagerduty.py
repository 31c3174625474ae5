"""Alerts for PagerDuty's Events API v2.

Two kinds of alert, each with a key of its own, so that what opened one is also what resolves it: *a run is under
way* from its begin to its end, and *this run does not pass* from a verdict until the same run passes.

Source: the schema of the Events API v2: ``summary`` of at most 1,024 characters, ``dedup_key`` of at most 255.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from typing import Any

from ftchaos.telling.event import Event, cut
from ftchaos.telling.request import Request, as_json

SUMMARY_CHARACTERS = 1024
KEY_CHARACTERS = 255


def requests(url: str, key: str, event: Event, trigger: Collection[str], report_url: str = "") -> list[Request]:
    """What is sent for an event; nothing for many.

    Args:
        trigger: what opens an alert: ``begin``, ``failed``, ``inconclusive``.
    """
    return [as_json(url, one) for one in payloads(key, event, trigger, report_url)]


def payloads(key: str, event: Event, trigger: Collection[str], report_url: str = "") -> list[dict[str, Any]]:
    """The bodies for an event, in the order in which they are to be sent."""
    about, found = event.about, event.evidence
    under_way = _key(about.environment, about.kind, about.name, about.run_id)
    not_passing = _key(about.environment, about.kind, about.name)
    if event.what == "test":
        return [_trigger(key, under_way, event, "info"), _resolve(key, under_way)]
    if event.what == "begin" and "begin" in trigger:
        return [_trigger(key, under_way, event, "info")]
    if event.what == "end":
        ended = [_resolve(key, under_way)] if "begin" in trigger else []
        # A run with evidence says so with its verdict, which comes right after.
        lost = event.harmed and found is None
        return ended + ([_trigger(key, not_passing, event, "critical")] if lost else [])
    if event.what != "verdict" or found is None:
        return []
    if event.harmed:
        return [_trigger(key, not_passing, event, "critical", report_url)]
    if found.verdict == "passed":
        return [_resolve(key, not_passing)]
    severity = "error" if found.verdict == "failed" else "warning"
    return [_trigger(key, not_passing, event, severity, report_url)] if found.verdict in trigger else []


def _trigger(key: str, dedup_key: str, event: Event, severity: str, report_url: str = "") -> dict[str, Any]:
    about = event.about
    alert: dict[str, Any] = {
        "routing_key": key,
        "event_action": "trigger",
        "dedup_key": dedup_key,
        "client": "ftchaos",
        "payload": {
            "summary": cut(f"{event.title}. {event.text}".strip(), SUMMARY_CHARACTERS),
            "source": cut(about.environment or "ftchaos", KEY_CHARACTERS),
            "severity": severity,
            "timestamp": event.at,
            "component": about.name,
            "group": about.platform,
            "class": about.kind,
            "custom_details": {"run_id": about.run_id, "title": about.title, "event": event.what, **_figures(event)},
        },
    }
    if report_url:
        alert["links"] = [{"href": report_url, "text": "The report of the run"}]
    return alert


def _resolve(key: str, dedup_key: str) -> dict[str, Any]:
    return {"routing_key": key, "event_action": "resolve", "dedup_key": dedup_key}


def _figures(event: Event) -> dict[str, Any]:
    found = event.evidence
    if found is None:
        return {}
    return {
        "verdict": found.verdict,
        "exit_code": found.exit_code,
        "reasons": found.reasons[:10],
        "recovery_time_s": found.recovery.recovery_time_s,
        "data_loss_s": found.data.data_loss_s,
        "lost_writes": found.data.lost,
        "unhealed_harms": found.undo.failed,
    }


def _key(*parts: str) -> str:
    """The same for the same parts, and short enough."""
    whole = "ftchaos/" + "/".join(parts)
    if len(whole) <= KEY_CHARACTERS:
        return whole
    return f"ftchaos/{hashlib.sha256(whole.encode('utf-8', 'replace')).hexdigest()}"
