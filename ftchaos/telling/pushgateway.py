"""Metrics for a Pushgateway: a group for each drill and experiment in each environment.

They are added to the group, not put in its place, so that a run that did not pass leaves the instant at which one
did last. The library of Prometheus makes the address and the body; we send them, as we send everything.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import TYPE_CHECKING

from ftchaos.telling import metrics
from ftchaos.telling.event import Event
from ftchaos.telling.request import Request

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

JOB = "ftchaos"


def requests(url: str, user: str, password: str, event: Event) -> list[Request]:
    """What is sent for an event: metrics at the end of a run, nothing else."""
    if event.what == "test":
        return [_push(url, user, password, "ftchaos-test", {}, metrics.trial(event.at))]
    if event.what != "verdict" or event.evidence is None:
        return []
    made = metrics.registry(event.evidence)
    return [_push(url, user, password, JOB, metrics.labels(event.evidence), made)]


def _push(url: str, user: str, password: str, job: str, group: dict[str, str], made: CollectorRegistry) -> Request:
    from prometheus_client import pushadd_to_gateway

    composed: list[Request] = []

    def compose(
        url: str, method: str, timeout: float | None, headers: list[tuple[str, str]], data: bytes
    ) -> Callable[[], None]:
        return lambda: composed.append(Request(url, data, {**dict(headers), **_login(user, password)}, method))

    pushadd_to_gateway(url, job, made, group, handler=compose)
    return composed[0]


def _login(user: str, password: str) -> dict[str, str]:
    if not user:
        return {}
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}
