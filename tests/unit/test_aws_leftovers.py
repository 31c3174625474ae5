"""What a sweep takes away: tag and prefix, and besides a dead run of this machine or an expiry that has passed."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ftchaos import config, guard, platforms, recover
from ftchaos.guard import EnvironmentLock
from ftchaos.notes import Note, undo_log
from ftchaos.platforms.aws.calls import OWNER
from ftchaos.platforms.aws.copies.making import EXPIRES
from ftchaos.platforms.aws.faults import blackhole
from ftchaos.platforms.aws.leftovers import Known, Leftover, judge
from ftchaos.undo import UndoLog

RUN = "20261123T061500Z-restore-7f3a"
NAME, ARN = "ftchaos-a-db", "arn:aws:rds:us-east-1:111122223333:db:ftchaos-a-db"
AT = datetime(2026, 11, 23, 12, tzinfo=UTC)
PAST, FUTURE = {EXPIRES: "2026-11-23T11:59:59.000Z"}, {EXPIRES: "2026-11-23T12:00:01.000Z"}
OURS = {OWNER: RUN}


def _leftover(tags: dict[str, str], name: str = NAME) -> Leftover:
    return Leftover("instance", name, ARN, "us-east-1", tags)


@pytest.mark.parametrize(
    ("one", "known", "judgement", "why"),
    [
        (_leftover(OURS | PAST), Known(), "goes", "it expired at"),
        (_leftover(OURS | FUTURE), Known(dead=[NAME]), "goes", "an undo record of this machine names it"),
        (_leftover(OURS), Known(dead=[ARN]), "goes", "an undo record of this machine names it"),
        (_leftover(OURS), Known(dead=[RUN]), "goes", "an undo record of this machine names it"),
        (_leftover(OURS | FUTURE), Known(dead=["another"]), "stays", "it expires at"),
        (_leftover(OURS), Known(), "stays", f"it has no tag {EXPIRES}"),
        (_leftover(OURS | {EXPIRES: "soon"}), Known(), "stays", "is no time: 'soon'"),
        (_leftover(OURS | {EXPIRES: "2020-01-01T00:00:00"}), Known(), "stays", "is no time"),
        (_leftover(OURS | PAST), Known(alive=[RUN]), "stays", "its run is under way"),
        (_leftover(OURS | PAST), Known(alive=[NAME], dead=[NAME]), "stays", "its run is under way"),
        (_leftover(PAST), Known(dead=[NAME]), "stays", f"not the tag {OWNER}"),
        (_leftover(OURS | PAST, "orders"), Known(dead=["orders"]), "stays", "not the prefix ftchaos-"),
        (_leftover(PAST, "orders"), Known(dead=["orders"]), "is not ours", ""),
    ],
)
def test_it_goes_only_with_tag_and_prefix_and_one_reason_more(
    one: Leftover, known: Known, judgement: str, why: str
) -> None:
    said, because = judge(one, known, AT)

    assert judgement == said
    assert why in because


def test_what_runs_named_is_known_by_whether_they_live(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FTCHAOS_STATE", str(tmp_path))
    asked: dict[str, Any] = {}
    monkeypatch.setattr(platforms, "sweep", lambda *_, **given: asked.update(given))
    for run_id, name in (("20261123T061500Z-a-0001", "ftchaos-living"), ("20261123T061500Z-b-0002", "ftchaos-dead")):
        Note(run_id, str(tmp_path), f"lock-{run_id}", "staging").write()
        parts = {"kind": "instance", "more": [{"name": name}]}
        UndoLog(undo_log(run_id)).record("aws", "copy:instance", parts, "a copy is made")
    with EnvironmentLock("lock-20261123T061500Z-a-0001") as lock:
        lock.acquire("20261123T061500Z-a-0001")
        assert guard.holder("lock-20261123T061500Z-a-0001") is not None
        recover.sweep(config.Config(), "staging", dry_run=True, progress=lambda _: None)

    assert {"20261123T061500Z-a-0001", "ftchaos-living", "instance"} == asked["alive"]
    assert {"20261123T061500Z-b-0002", "ftchaos-dead", "instance"} == asked["dead"]


def test_a_network_acl_remembers_what_its_heal_needs() -> None:
    tags = {OWNER: "0a1b", "Name": "ftchaos-0a1b", f"{blackhole.FORMER}subnet-1": "acl-9", **PAST}

    kept = [{"subnet": "subnet-1", "vpc": "vpc-1", "acl": "acl-9"}]
    found = json.loads(json.dumps(blackhole.remembered("vpc-1", tags)))

    assert {"token": "0a1b", "mark": [OWNER, "0a1b"], "subnets": kept} == found
