"""A run as an OpenTelemetry trace: a span for the run, for its recovery with each phase, and for each step.

Made from the evidence alone, as OTLP in its JSON form, which every receiver of OTLP over HTTP takes. All ids come
from the run's id: the same run told twice is the same trace.

Source: the OTLP specification: identifiers in hexadecimal digits, 64-bit integers as strings, enumerations as numbers.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import unquote

from ftchaos import __version__
from ftchaos.errors import Invalid
from ftchaos.evidence import Evidence
from ftchaos.evidence.sentence import moment
from ftchaos.telling.event import Event
from ftchaos.telling.request import Request, as_json

PATH = "/v1/traces"
_INTERNAL = 1
_OK, _ERROR = 1, 2
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def requests(url: str, headers: str, event: Event) -> list[Request]:
    """What is sent for an event: the trace at the end of a run, nothing else.

    Args:
        headers: as ``OTEL_EXPORTER_OTLP_HEADERS`` has them; may be empty.

    Raises:
        Invalid: the headers are none.
    """
    if event.what == "test":
        at_ns = _ns(event.at)
        test = _span("test", event.about.run_id, "ftchaos test", "", at_ns, at_ns, {"ftchaos.run_id": event.id})
        spans = [test]
    elif event.what == "verdict" and event.evidence is not None:
        spans = spans_of(event.evidence)
    else:
        return []
    return [as_json(url.rstrip("/") + PATH, payload(spans), parsed(headers))]


def parsed(headers: str) -> dict[str, str]:
    """Headers from ``name=value,name=value``, where values may be percent-encoded.

    Raises:
        Invalid: they are not like that.
    """
    found = {}
    for part in filter(None, (part.strip() for part in headers.split(","))):
        name, equals, value = part.partition("=")
        value = unquote(value.strip())
        plain = name.strip().replace("-", "").replace("_", "")
        if not equals or not plain.isalnum() or not plain.isascii() or not (value.isascii() and value.isprintable()):
            raise Invalid("the headers are not like name=value,name=value", "as OTEL_EXPORTER_OTLP_HEADERS has them")
        found[name.strip()] = value
    return found


def payload(spans: list[dict[str, Any]]) -> dict[str, Any]:
    """The body of an export request."""
    scope = {"name": "ftchaos", "version": __version__}
    resource = {"attributes": _attributes({"service.name": "ftchaos", "service.version": __version__})}
    return {"resourceSpans": [{"resource": resource, "scopeSpans": [{"scope": scope, "spans": spans}]}]}


def spans_of(found: Evidence) -> list[dict[str, Any]]:
    """The spans of a run, the root first."""
    run = found.run_id
    root = _span("run", run, f"{found.kind} {found.name}", "", _ns(found.began_at), _ns(found.ended_at), _facts(found))
    root["status"] = {"code": _OK} if found.verdict == "passed" else _failed(found.reasons[0] if found.reasons else "")
    marks = {"fault": "fault_at", "proven": "proven_at", "detected": "detected_at", "restored": "restored_at"}
    known = {name: getattr(found.recovery, key) for name, key in marks.items()}
    root["events"] = [{"timeUnixNano": str(_ns(at)), "name": name} for name, at in known.items() if at is not None]
    return [root, *_recovery(found, root["spanId"]), *_steps(found, root["spanId"])]


def _recovery(found: Evidence, root: str) -> list[dict[str, Any]]:
    recovery = found.recovery
    if recovery.fault_at is None:
        return []
    began_ns, parts = _ns(recovery.fault_at), []
    ended_ns = _ns(recovery.restored_at or found.ended_at)
    whole = _span("recovery", found.run_id, "recovery", root, began_ns, ended_ns, {"ftchaos.fault": recovery.fault})
    if recovery.restored_at is None:
        whole["status"] = _failed("the service was not seen to meet its objective again")
    for number, phase in enumerate(recovery.phases):
        at_ns = _ns(phase.began_at)
        facts = {"ftchaos.phase": phase.name, "ftchaos.bytes": phase.bytes, "ftchaos.detail": phase.detail}
        parts.append(
            _span(f"phase/{number}", found.run_id, f"phase {phase.name}", whole["spanId"], at_ns,
                  at_ns + _long_ns(phase.duration_s), facts)
        )  # fmt: skip
    return [whole, *parts]


def _steps(found: Evidence, root: str) -> list[dict[str, Any]]:
    """The steps that began; one that was not done has no time."""
    spans = []
    for number, step in enumerate(found.steps):
        if step.began_at is None:
            continue
        at_ns = _ns(step.began_at)
        facts = {"ftchaos.part": step.part, "ftchaos.status": step.status, "ftchaos.output": step.output}
        span = _span(f"step/{number}", found.run_id, f"step {step.name}", root, at_ns,
                     at_ns + _long_ns(step.duration_s or 0.0), facts)  # fmt: skip
        if step.status != "succeeded":
            span["status"] = _failed(step.error)
        spans.append(span)
    return spans


def _facts(found: Evidence) -> dict[str, Any]:
    return {
        "ftchaos.run_id": found.run_id,
        "ftchaos.kind": found.kind,
        "ftchaos.name": found.name,
        "ftchaos.platform": found.platform,
        "deployment.environment.name": found.environment,
        "ftchaos.verdict": found.verdict,
        "ftchaos.exit_code": found.exit_code,
        "ftchaos.recovery_time_s": found.recovery.recovery_time_s,
        "ftchaos.data_loss_s": found.data.data_loss_s,
        "ftchaos.lost_writes": found.data.lost,
        "vcs.ref.head.revision": found.system.commit,
    }


def _span(
    place: str, run: str, name: str, parent: str, began_ns: int, ended_ns: int, facts: dict[str, Any]
) -> dict[str, Any]:
    return {
        "traceId": _digits(run, 32),
        "spanId": _digits(f"{run}/{place}", 16),
        **({"parentSpanId": parent} if parent else {}),
        "name": name,
        "kind": _INTERNAL,
        "startTimeUnixNano": str(began_ns),
        "endTimeUnixNano": str(max(began_ns, ended_ns)),
        "attributes": _attributes(facts),
    }


def _failed(why: str) -> dict[str, Any]:
    return {"code": _ERROR, "message": why}


def _attributes(facts: dict[str, Any]) -> list[dict[str, Any]]:
    """Attributes of what is known: null and empty texts are left out."""
    return [{"key": key, "value": _value(value)} for key, value in facts.items() if value is not None and value != ""]


def _value(value: Any) -> dict[str, Any]:
    if isinstance(value, int):
        return {"intValue": str(value)}
    return {"doubleValue": value} if isinstance(value, float) else {"stringValue": str(value)}


def _digits(text: str, count: int) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:count]


def _ns(instant: str) -> int:
    """Nanoseconds since the epoch, exactly: a float would round them."""
    return (moment(instant) - _EPOCH) // timedelta(microseconds=1) * 1000


def _long_ns(seconds: float) -> int:
    return round(seconds * 1_000_000) * 1000
