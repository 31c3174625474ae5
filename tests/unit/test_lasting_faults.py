"""A fault that lasts until it is healed is proven by what stays down; a hiccup of the application is no proof."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest

from ftchaos.actions import faults
from ftchaos.errors import Inconclusive
from ftchaos.platforms.base import Harm
from ftchaos.witness import Observation, seen_down

SIGN = "http://files.example.com/health"
HARM = Harm("two namespaces were cut off from each other", (), {SIGN: {}}, {}, ("api",), proof_s=6.0, stays_s=5.0)


@dataclass
class Time:
    """A clock that goes on while somebody sleeps."""

    at: float = 10.0

    def now(self) -> float:
        return self.at

    def sleep(self, seconds: float) -> None:
        self.at += seconds


def ensure(monkeypatch: pytest.MonkeyPatch, *changes: tuple[float, bool], blind_from: float = math.inf) -> float:
    """Wait for the damage, with what a witness sees: changes, and heartbeats; when it was found to have lasted.

    Raises:
        Inconclusive: it has not.
    """
    time = Time()
    monkeypatch.setattr(faults, "now", time.now)
    monkeypatch.setattr(faults, "time", time)
    seen = [Observation(at, SIGN, up, "") for at, up in changes]
    for beat in range(10, 60):
        up = [up for at, up in changes if at <= beat][-1]
        seen.append(Observation(float(beat), SIGN, up, "heartbeat"))
    seen.sort(key=lambda one: one.at)

    def between(signs: Sequence[str]) -> tuple[float, float] | None:
        return seen_down([one for one in seen if one.at <= time.at and one.at < blind_from], signs)

    traffic = SimpleNamespace(seen_down=between, ensure_alive=lambda: None)
    run: Any = SimpleNamespace(traffic=traffic, require=lambda: None, objectives=SimpleNamespace(sustain_s=3.0))
    faults._ensure_stays(run, [SIGN], changes[0][0], HARM)
    return time.at


def test_what_stays_down_is_the_proof_when_it_has_lasted(monkeypatch: pytest.MonkeyPatch) -> None:
    assert 15 <= ensure(monkeypatch, (10.0, False)) < 15.2


def test_instances_that_notice_one_after_the_other_are_no_doubt(monkeypatch: pytest.MonkeyPatch) -> None:
    assert 17 <= ensure(monkeypatch, (10.0, False), (10.1, True), (11.0, False), (11.1, True), (12.0, False)) < 17.2


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param([(10.0, False), (10.4, True)], id="it came back at once"),
        pytest.param([(10.0, False), (14.5, True)], id="it came back before the time was up"),
        pytest.param([(10.0, False), (10.4, True), (14.0, False)], id="between, the service could have recovered"),
        pytest.param([(10.0 + n, n % 2 == 1) for n in range(40)], id="it comes and goes"),
    ],
)
def test_a_hiccup_is_no_proof(changes: list[tuple[float, bool]], monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Inconclusive, match="went down and did not stay down, as by a hiccup"):
        ensure(monkeypatch, *changes)


def test_a_blind_witness_has_seen_nothing_last(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Inconclusive, match="did not stay down"):
        ensure(monkeypatch, (10.0, False), blind_from=14.5)
