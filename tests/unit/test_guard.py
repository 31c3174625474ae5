"""What a run may hit and where; one run at a time in an environment, and a killed holder frees it."""

from __future__ import annotations

import json
import os
import signal
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ftchaos import guard
from ftchaos.config import BlastRadius, Environment
from ftchaos.errors import Locked, Refused
from ftchaos.guard import EnvironmentLock, Target, ensure_allowed, ensure_within

SATURDAY = datetime(2026, 11, 28, 3, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FTCHAOS_STATE", str(tmp_path))
    return tmp_path


def _zone(letter: str) -> list[Target]:
    """What falls with a zone of the lab."""
    zone = f"zone-{letter}"
    servers = [Target(f"{kind}-{letter}", kind, zone, 3) for kind in ("mysql", "redis-queue", "sentinel", "api")]
    caches = [Target(f"redis-cluster-{letter}{number}", "redis-cluster", zone, 6) for number in (1, 2)]
    return [Target(zone, "zone", zone, 3), *servers, *caches]


def test_one_zone_is_within_the_radius_that_holds_where_none_is_configured() -> None:
    ensure_within(None, _zone("a"))


def test_fault_that_hits_nothing_is_refused() -> None:
    with pytest.raises(Refused, match="would hit nothing"):
        ensure_within(None, [])


def test_second_zone_is_refused_with_the_numbers_and_what_to_change() -> None:
    with pytest.raises(Refused) as caught:
        ensure_within(None, [*_zone("a"), *_zone("b")])

    assert "2 zones (zone-a, zone-b), and the blast radius allows 1 zone\n" in str(caught.value)
    assert "blast_radius: {zones: 2}" in caught.value.hint
    ensure_within(BlastRadius(zones=2), [*_zone("a"), *_zone("b")])


def test_too_large_a_share_of_a_kind_is_refused_with_the_numbers_and_what_to_change() -> None:
    all_apis = [Target(f"api-{letter}", "api", f"zone-{letter}", 3) for letter in "abc"]

    ensure_within(None, all_apis[:2])
    with pytest.raises(Refused) as caught:
        ensure_within(None, all_apis)

    assert "3 of 3 api (100%: api-a, api-b, api-c), and the blast radius allows 67% of a kind" in caught.value.fact
    assert "share: 100%" in caught.value.hint


@pytest.mark.parametrize(
    ("share", "hit", "of", "fits"),
    [
        (0.33, 1, 3, True),
        (0.34, 1, 3, True),
        (0.32, 1, 3, False),
        (0.66, 2, 3, False),
        (0.5, 3, 6, True),
        (0.5, 4, 6, False),
        (0.0, 1, 1000, False),
        (1.0, 1, 1, True),
    ],
)
def test_share_is_of_the_distinct_names(share: float, hit: int, of: int, fits: bool) -> None:
    targets = [Target(f"api-{number}", "api", "zone-a", of) for number in range(hit)] * 2
    radius = BlastRadius(zones=0, share=share)

    if fits:
        ensure_within(radius, targets)
    else:
        with pytest.raises(Refused, match=rf"{hit} of {of} api"):
            ensure_within(radius, targets)


def test_share_that_the_hint_names_is_enough() -> None:
    targets = [Target(f"api-{number}", "api", "zone-a", 7) for number in range(3)]
    with pytest.raises(Refused, match=r"share: 43%"):
        ensure_within(BlastRadius(share=0.2), targets)

    ensure_within(BlastRadius(share=0.43), targets)


def test_what_is_configured_where_a_radius_is_left_out_is_what_holds_without_one() -> None:
    assert (guard.DEFAULT_ZONES, guard.DEFAULT_SHARE) == (BlastRadius().zones, BlastRadius().share)


def test_lost_quorum_is_refused_unless_the_definition_means_it() -> None:
    masters = [Target(f"redis-cluster-{letter}1", "redis-cluster", f"zone-{letter}", 6) for letter in "ac"]

    with pytest.raises(Refused, match=r"take the quorum of the Redis Cluster\nHINT: .*beyond_quorum: true"):
        ensure_within(None, masters, quorum_lost="the Redis Cluster")
    ensure_within(None, masters, quorum_lost="the Redis Cluster", beyond_quorum=True)


def _protected(**more: Any) -> Environment:
    return Environment.model_validate(
        {"platform": "lab", "protected": True, "allow": ["drill/restore"], "windows": ["Sat 02:00-06:00"], **more}
    )


def test_environment_that_is_not_protected_needs_no_permit() -> None:
    assert guard.Permit() == ensure_allowed("lab", Environment(platform="lab"), "drill/restore")


def test_protected_environment_that_lists_nothing_is_refused() -> None:
    with pytest.raises(Refused, match="'production' is protected, and drill/restore is not on its list: it is empty"):
        ensure_allowed("production", Environment(platform="lab", protected=True), "drill/restore", confirm="production")


def test_run_that_is_not_listed_is_refused() -> None:
    with pytest.raises(Refused, match="experiment/zone-outage is not on its list: drill/restore"):
        ensure_allowed("production", _protected(), "experiment/zone-outage", confirm="production", at=SATURDAY)


def test_run_outside_the_window_is_refused_and_told_when_it_opens() -> None:
    with pytest.raises(Refused, match=r"Mon 03:00 UTC, is outside its windows(.|\n)*until Sat 2026-11-28 02:00"):
        ensure_allowed("production", _protected(), "drill/restore", confirm="production", at=SATURDAY.replace(day=23))


def test_protected_environment_without_a_window_is_never_open() -> None:
    with pytest.raises(Refused, match="there are none"):
        ensure_allowed("production", _protected(windows=[]), "drill/restore", confirm="production", at=SATURDAY)


@pytest.mark.parametrize(("typed", "told"), [("", "was not confirmed"), ("prod", "'prod' is not its name")])
def test_run_that_is_not_confirmed_by_its_environments_name_is_refused(typed: str, told: str) -> None:
    with pytest.raises(Refused, match=rf"{told}\nHINT: say --confirm production"):
        ensure_allowed("production", _protected(), "drill/restore", confirm=typed, at=SATURDAY)


def test_run_that_is_listed_and_confirmed_inside_the_window_is_allowed() -> None:
    permit = ensure_allowed("production", _protected(), "drill/restore", confirm="production", at=SATURDAY)

    assert "confirmed by its name" == permit.how
    permit.use("run")


def _approval(path: Path, **changed: str) -> Environment:
    data = {"run": "drill/restore", "environment": "production", "expires": "2026-11-28T06:00:00Z", "by": "Ada"}
    path.write_text(json.dumps({**data, **changed}))
    return _protected(approval=path)


def test_approval_lets_one_run_in_once(state: Path) -> None:
    path = state / "approval.json"
    settings = _approval(path)
    first = ensure_allowed("production", settings, "drill/restore", at=SATURDAY)
    second = ensure_allowed("production", settings, "drill/restore", at=SATURDAY)
    assert path.exists()  # to be asked is not to be used

    first.use("20261128T030000Z-restore-7f3a")

    assert [path.with_name("approval.json.used-by-20261128T030000Z-restore-7f3a")] == list(state.glob("approval*"))
    with pytest.raises(Refused, match="has just been used by another run"):
        second.use("another")
    with pytest.raises(Refused, match="there is no approval"):
        ensure_allowed("production", settings, "drill/restore", at=SATURDAY)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"run": "drill/other"}, "is for the run 'drill/other', not 'drill/restore'"),
        ({"environment": "staging"}, "is for the environment 'staging'"),
        ({"expires": "2026-11-28T03:00:00Z"}, "expired at 2026-11-28T03:00:00.000Z"),
        ({"expires": "2026-11-28T02:00:00"}, "expired"),
        ({"expires": "next week"}, "cannot be used"),
    ],
)
def test_approval_for_something_else_is_refused(state: Path, changed: dict[str, str], told: str) -> None:
    settings = _approval(state / "approval.json", **changed)

    with pytest.raises(Refused, match=told):
        ensure_allowed("production", settings, "drill/restore", at=SATURDAY)


@pytest.mark.parametrize("content", ["", "[]", "null", '{"run": "drill/restore"}', "\x00"])
def test_broken_approval_is_refused(state: Path, content: str) -> None:
    settings = _approval(state / "approval.json")
    (state / "approval.json").write_text(content)

    with pytest.raises(Refused, match=r"cannot be used(.|\n)*it must hold"):
        ensure_allowed("production", settings, "drill/restore", at=SATURDAY)


def test_approval_does_not_open_the_window(state: Path) -> None:
    with pytest.raises(Refused, match="outside its windows"):
        ensure_allowed("production", _approval(state / "approval.json"), "drill/restore", at=SATURDAY.replace(hour=7))


def test_the_second_run_is_refused_with_the_name_and_the_age_of_the_holder() -> None:
    with EnvironmentLock("lab") as first:
        first.acquire("20261123T061500Z-restore-7f3a")

        with pytest.raises(
            Locked, match=rf"by run 20261123T061500Z-restore-7f3a of .* \(process {os.getpid()}, for \d+.*s, since 2"
        ):
            EnvironmentLock("lab").acquire("another")


def test_a_recovery_that_holds_the_lock_is_not_called_a_run() -> None:
    with EnvironmentLock("lab") as first:
        first.acquire(f"{guard.RECOVERY}20261123T061500Z-restore-7f3a")

        with pytest.raises(Locked, match="in use by the recovery of 20261123T061500Z-restore-7f3a of"):
            EnvironmentLock("lab").acquire("another")


def test_two_environments_do_not_lock_each_other() -> None:
    with EnvironmentLock("lab") as first, EnvironmentLock("staging") as second:
        first.acquire("a")
        second.acquire("b")


def test_a_released_lock_can_be_taken() -> None:
    with EnvironmentLock("lab") as first:
        first.acquire("a")
    with EnvironmentLock("lab") as second:
        second.acquire("b")

    assert guard.holder("lab") is None


def test_a_killed_holder_frees_the_lock_although_its_name_is_still_in_it() -> None:
    ready, told = os.pipe()
    holder = os.fork()
    if holder == 0:
        EnvironmentLock("lab").acquire("doomed")
        os.write(told, b".")
        signal.pause()
    os.read(ready, 1)
    found = guard.holder("lab")
    assert found is not None
    os.kill(holder, signal.SIGKILL)
    os.waitpid(holder, 0)

    assert ("doomed", holder) == (found.run_id, found.pid)
    assert (None, found) == (guard.holder("lab"), guard.last_holder("lab"))
    with EnvironmentLock("lab") as lock:
        lock.acquire("next")


def test_a_state_folder_that_cannot_be_written_is_refused(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (state / "file").write_text("")
    monkeypatch.setenv("FTCHAOS_STATE", str(state / "file"))

    with pytest.raises(Refused, match="cannot be written"):
        EnvironmentLock("lab").acquire("a")
