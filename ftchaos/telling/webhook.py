"""Events as JSON for any webhook, signed as the well-known ones are, so that ready-made checks of signatures fit."""

from __future__ import annotations

import hashlib
import hmac
from typing import Any

from ftchaos.telling.event import Event
from ftchaos.telling.request import Request, as_json

SCHEMA = "ftchaos.event/1"
EVENT_HEADER = "X-Ftchaos-Event"
SIGNATURE_HEADER = "X-Ftchaos-Signature-256"


def requests(url: str, secret: str, event: Event, report_url: str = "") -> list[Request]:
    """What is sent for an event.

    Args:
        secret: signs the body; empty for none.
    """
    asked = as_json(url, payload(event, report_url), {EVENT_HEADER: event.what})
    if not secret:
        return [asked]
    return [Request(asked.url, asked.body, {**asked.headers, SIGNATURE_HEADER: signature(secret, asked.body)})]


def signature(secret: str, body: bytes) -> str:
    """``sha256=`` and the HMAC-SHA256 of the body in hexadecimal digits."""
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def payload(event: Event, report_url: str = "") -> dict[str, Any]:
    """The body of an event; what is not known is null."""
    about, found = event.about, event.evidence
    return {
        "schema": SCHEMA,
        "id": event.id,
        "event": event.what,
        "at": event.at,
        "title": event.title,
        "text": event.text,
        "run": {
            "run_id": about.run_id,
            "kind": about.kind,
            "name": about.name,
            "title": about.title,
            "environment": about.environment,
            "platform": about.platform,
            "began_at": about.began_at,
        },
        "report_url": report_url or None,
        "harmed": event.harmed,
        "result": None
        if found is None
        else {
            "verdict": found.verdict,
            "exit_code": found.exit_code,
            "reasons": found.reasons,
            "ended_at": found.ended_at,
            "fault_at": found.recovery.fault_at,
            "restored_at": found.recovery.restored_at,
            "recovery_time_s": found.recovery.recovery_time_s,
            "rto_s": found.objectives.rto_s,
            "data_loss_s": found.data.data_loss_s,
            "rpo_s": found.objectives.rpo_s,
            "lost_writes": found.data.lost,
            "unhealed_harms": found.undo.failed,
            "commit": found.system.commit,
        },
    }
