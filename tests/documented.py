"""What the documentation of other services says that they accept, for the tests of what is sent to them."""

from __future__ import annotations

import base64
import copy
from typing import Any

from google.protobuf import json_format
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


def _text(most: int, kind: str = "plain_text") -> dict[str, Any]:
    return {
        "type": "object",
        "required": ["type", "text"],
        "properties": {
            "type": {"const": kind},
            "text": {"type": "string", "minLength": 1, "maxLength": most},
            "emoji": {"type": "boolean"},
        },
        "additionalProperties": False,
    }


def _block(kind: str, **properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "required": ["type", *properties],
        "properties": {"type": {"const": kind}, **properties},
        "additionalProperties": False,
    }


# Block Kit: at most 50 blocks, 150 characters in a header, 3,000 in a section, 10 elements in a context.
SLACK = {
    "type": "object",
    "required": ["text", "blocks"],
    "properties": {
        "text": {"type": "string", "minLength": 1, "maxLength": 40000},
        "blocks": {
            "type": "array",
            "minItems": 1,
            "maxItems": 50,
            "items": {
                "oneOf": [
                    _block("header", text=_text(150)),
                    _block("section", text={"anyOf": [_text(3000), _text(3000, "mrkdwn")]}),
                    _block("context", elements={"type": "array", "minItems": 1, "maxItems": 10, "items": _text(2000)}),
                ]
            },
        },
    },
    "additionalProperties": False,
}

_PAGERDUTY_KEYS = {
    "routing_key": {"type": "string", "pattern": "^[0-9A-Za-z]{32}$"},
    "dedup_key": {"type": "string", "minLength": 1, "maxLength": 255},
}

# Events API v2: a summary of at most 1,024 characters; source and severity are required; a resolve needs its key.
PAGERDUTY = {
    "oneOf": [
        {
            "type": "object",
            "required": ["routing_key", "event_action", "payload"],
            "properties": {
                **_PAGERDUTY_KEYS,
                "event_action": {"const": "trigger"},
                "client": {"type": "string"},
                "client_url": {"type": "string"},
                "payload": {
                    "type": "object",
                    "required": ["summary", "source", "severity"],
                    "properties": {
                        "summary": {"type": "string", "minLength": 1, "maxLength": 1024},
                        "source": {"type": "string", "minLength": 1},
                        "severity": {"enum": ["critical", "error", "warning", "info"]},
                        "timestamp": {"type": "string", "format": "date-time"},
                        "component": {"type": "string"},
                        "group": {"type": "string"},
                        "class": {"type": "string"},
                        "custom_details": {"type": "object"},
                    },
                    "additionalProperties": False,
                },
                "links": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "required": ["href"],
                        "properties": {"href": {"type": "string", "format": "uri"}, "text": {"type": "string"}},
                        "additionalProperties": False,
                    },
                },
            },
            "additionalProperties": False,
        },
        {
            "type": "object",
            "required": ["routing_key", "event_action", "dedup_key"],
            "properties": {**_PAGERDUTY_KEYS, "event_action": {"const": "resolve"}},
            "additionalProperties": False,
        },
    ]
}

# POST /api/annotations: instants in milliseconds; a region has an end, which does not lie before its begin.
GRAFANA = {
    "type": "object",
    "required": ["text", "time"],
    "properties": {
        "dashboardUID": {"type": "string", "minLength": 1, "maxLength": 40},
        "panelId": {"type": "integer"},
        "time": {"type": "integer", "minimum": 10**12},
        "timeEnd": {"type": "integer", "minimum": 10**12},
        "tags": {"type": "array", "items": {"type": "string", "minLength": 1}},
        "text": {"type": "string", "minLength": 1},
    },
    "additionalProperties": False,
}


def otlp(body: dict[str, Any]) -> ExportTraceServiceRequest:
    """The export request in a body, read by OpenTelemetry's own definition, where an unknown key is an error.

    The JSON form of OTLP differs from that of protobuf in one thing: identifiers are hexadecimal digits.
    """
    plain = copy.deepcopy(body)
    for resource in plain["resourceSpans"]:
        for scope in resource["scopeSpans"]:
            for span in scope["spans"]:
                for key, length in (("traceId", 32), ("spanId", 16), ("parentSpanId", 16)):
                    if key in span:
                        assert length == len(span[key])
                        span[key] = base64.b64encode(bytes.fromhex(span[key])).decode()
    request: ExportTraceServiceRequest = json_format.ParseDict(plain, ExportTraceServiceRequest())
    return request
