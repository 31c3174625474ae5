"""What the components of a lab say of themselves when a zone dies: there, in order, and at plausible instants."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from small_labs import bring_up, wait_until

from ftchaos.platforms.base import Event
from ftchaos.platforms.lab import events
from ftchaos.platforms.lab.lab import Lab

DETECTED = ("database", "queue", "cache-a")


@pytest.fixture(scope="module")
def lab(state: Path) -> Iterator[Lab]:
    made = bring_up("events", "mariadb")
    yield made
    made.down()


def said(lab: Lab, since_at: float, component: str, name: str) -> list[Event]:
    return [event for event in events.read(lab, since_at) if (event.component, event.name) == (component, name)]


def test_before_a_fault_nothing_is_detected(lab: Lab) -> None:
    since_at = time.monotonic()

    assert [] == events.read(lab, since_at)


def test_the_death_of_a_zone_is_detected_and_answered_by_each_component(lab: Lab) -> None:
    killed_at = time.monotonic()
    lab.call("kill_zone", zone="zone-a")
    for component in DETECTED:
        assert wait_until(lambda component=component: said(lab, killed_at, component, "promoted"), 60)
    down = said(lab, killed_at, "api", "server down")

    for component in DETECTED:
        detected = said(lab, killed_at, component, "detected")[0]
        promoted = said(lab, killed_at, component, "promoted")[0]
        assert killed_at + 0.2 < detected.at <= promoted.at < time.monotonic()
        assert detected.at < killed_at + 10
    assert "api-a" in [event.detail for event in down]
    assert {"suspected"} <= {event.name for event in events.read(lab, killed_at) if event.component == "queue"}
    instants = [event.at for event in events.read(lab, killed_at)]
    assert sorted(instants) == instants
    lab.call("begin_zone", zone="zone-a")

    assert wait_until(lambda: "api-a" in [event.detail for event in said(lab, killed_at, "api", "server up")], 60)
