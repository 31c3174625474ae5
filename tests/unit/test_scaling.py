"""An autoscaler under a load: what counts as scaled enough, what fails the run, and what nobody knows."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import sample_experiments

from ftchaos import evidence, promises, scaling
from ftchaos.actions.scaling import Watch
from ftchaos.conclusion import scaled
from ftchaos.conclusion.raw import Raw
from ftchaos.objectives import Objectives
from ftchaos.platforms.base import ScalingSeen
from ftchaos.promises import Kept, Promises
from ftchaos.report import html, markdown, promised, wording
from ftchaos.scaling import Look, Scaling
from ftchaos.verdict import Facts, decide
from ftchaos.witness import Observation

SEEN = ScalingSeen(0.0, "app/api", 3, False, 3, 3, 3, 9, "cpu 140 % of 70 %", 1.0, "900 requests, at most 200 a second")
DONE = Scaling("app/api", 3, 6, 9, 102.0, 103.0, 120.0, 130.0, 140.0, True, load="900 requests")


def watched(*looks: dict[str, Any], sustain_s: float = 5.0, at_top_s: float = 5.0) -> dict[str, Any]:
    """The facts of the step after these looks; the last of them must be the one that ends it."""
    watch = Watch(100.0, sustain_s, at_top_s)
    seen = [dataclasses.replace(SEEN, **look) for look in looks]
    ended = [watch.ends(one) for one in seen]

    assert [False] * (len(seen) - 1) + [True] == ended
    return dict(watch.step(seen[-1]).facts)


WELL = {"within": True, "replicas": 6, "wanted": 6, "ready": 6, "metric": "cpu 65 % of 70 %"}
TOP = {"replicas": 9, "wanted": 9, "ready": 9, "metric": "cpu 120 % of 70 %"}


def test_it_scaled_enough_when_its_metric_stays_within_the_target_with_all_that_it_wants_ready() -> None:
    unready = {**WELL, "ready": 5}
    facts = watched(
        {"at": 1.0}, {"at": 2.0, "wanted": 6}, {"at": 9.0, **unready}, {"at": 10.0, **WELL}, {"at": 15.0, **WELL}
    )

    assert (True, "", 10.0, 15.0, False) == tuple(
        facts[name] for name in ("enough", "why", "ready_at", "until_at", "at_top")
    )


def test_a_metric_that_is_above_again_begins_the_wait_anew() -> None:
    above = {"within": False, "replicas": 6, "wanted": 6, "ready": 6}
    facts = watched(
        {"at": 1.0, **WELL}, {"at": 5.0, **above}, {"at": 6.0, **WELL}, {"at": 10.0, **WELL}, {"at": 11.0, **WELL}
    )

    assert (True, 11.0) == (facts["enough"], facts["until_at"])


def test_at_its_top_and_above_its_target_is_not_enough_and_says_how_many_that_are() -> None:
    facts = watched({"at": 1.0}, {"at": 10.0, **TOP}, {"at": 15.0, **TOP})

    assert (False, True) == (facts["enough"], facts["at_top"])
    assert "the autoscaler app/api is at its top of 9 replicas, 9 of them Ready, at cpu 120 % of 70 %" == facts["why"]


@pytest.mark.parametrize(
    ("look", "enough", "why"),
    [
        ({"within": False, "wanted": 3}, False, "never wanted more than 3 replicas"),
        ({"within": False, "wanted": 6, "ready": 4}, False, "still above its target with 4 of 6 Ready"),
        ({"within": True, "wanted": 6, "ready": 4}, False, "wants 6 replicas, and 4 are Ready"),
        ({"within": False, "wanted": 9, "ready": 4}, False, "at its top of 9 replicas, 4 of them Ready"),
        ({"within": True, "wanted": 3}, None, "by itself, without more replicas"),
        ({"within": None, "wanted": 6}, None, "knows no metric any more"),
        ({**WELL, "arrives": 0.4}, None, "40% of the requests due lately were served, so that it may be the load"),
        ({**WELL, "arrives": None}, None, "none of the requests due lately"),
        ({**WELL}, None, "for less than 5 s when time was up"),
    ],
)
def test_when_time_is_up_it_is_said_what_is_not_well(look: dict[str, Any], enough: bool | None, why: str) -> None:
    facts = watched({"at": 1.0}, {"at": 100.5, **look})

    assert enough is facts["enough"]
    assert why in facts["why"]


def test_a_load_that_does_not_arrive_never_ends_as_scaled_enough() -> None:
    facts = watched({"at": 1.0}, {"at": 10.0, **WELL, "arrives": 0.5}, {"at": 100.5, **WELL, "arrives": 0.5})

    assert facts["enough"] is None


LOOKS = [
    Look(99.0, True, 3, 3, 9),
    Look(102.0, False, 3, 3, 9),
    Look(103.0, False, 3, 6, 9),
    Look(130.0, True, 6, 6, 9),
]


def test_when_it_decided_and_came_back_is_what_the_witness_saw() -> None:
    back = [*LOOKS, Look(140.0, False, 6, 6, 9)]

    assert (103.0, 130.0, 6) == (
        scaling.decided_at(LOOKS, 100.0, 3), scaling.within_at(LOOKS, 100.0, 150.0), scaling.highest(LOOKS),
    )  # fmt: skip
    assert scaling.within_at(back, 100.0, 150.0) is None
    assert 130.0 == scaling.within_at(back, 100.0, 135.0)
    assert scaling.within_at(LOOKS[:1], 90.0, 150.0) is None  # it never was above


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """That of a run whose load went on until it was ended, with a line that its death cut off."""
    return loaded(tmp_path, 149.5)


def loaded(folder: Path, until_at: float) -> Path:
    (folder / scaling.LOAD_FILE).parent.mkdir(exist_ok=True)
    (folder / scaling.LOAD_FILE).write_text(json.dumps({**TOLD, "at": until_at}) + '\n{"at": 1')
    return folder


TOLD = {"rate": 80.0, "sent": 1200, "answered": 1190, "failed": 4, "held_back": 7}


def raw(folder: Path, *looks: Look, enough: bool | None = True) -> Raw:
    """Of a run, what says how an autoscaler did."""
    counted = [
        Observation(one.at, "autoscaler app/api", one.within, "", {name: getattr(one, name) for name in COUNTS})
        for one in looks
    ]
    fact = {"autoscaler": "app/api", "before": 3, "most": 9, "ready_at": 120.0, "until_at": 140.0, "enough": enough,
            "at_top": False, "why": ""}  # fmt: skip
    heals = SimpleNamespace(part="rollback", began_at=150.0)
    record = SimpleNamespace(
        kind="experiment", steps=[heals], fault_at=100.0, fault_targets=["autoscaler app/api"], ended_at=170.0
    )
    made = SimpleNamespace(
        record=record, observations=counted, proven_at=102.0, operations=None, fact=lambda step: fact,
        iso=lambda at: None, folder=folder,
    )  # fmt: skip
    return cast(Raw, made)


COUNTS = ("replicas", "wanted", "most")


def test_what_ftchaos_saw_counts_only_where_the_witness_saw_it_too(folder: Path) -> None:
    both, alone = scaled.found(raw(folder, *LOOKS)), scaled.found(raw(folder, *LOOKS[:3]))

    assert both is not None
    assert (True, 103.0, 130.0, 6) == (both.enough, both.decided_at, both.within_at, both.highest)
    assert "1,200 requests, at most 80 a second, 4 of them failed, 7 more held back" == both.load
    assert alone is not None
    assert (None, None) == (alone.enough, alone.within_at)
    assert "the witness did not see the autoscaler app/api stay within its target" in alone.why
    assert ("whether the autoscaler scales enough: " + alone.why,) == judged(alone)[1]


def test_load_that_ended_before_its_heal_leaves_it_unknown_whether_that_is_enough(folder: Path) -> None:
    early = scaled.found(raw(loaded(folder, 143.0), *LOOKS))
    (folder / scaling.LOAD_FILE).unlink()
    never = scaled.found(raw(folder, *LOOKS))

    assert early is not None
    assert never is not None
    assert (None, None, early.why) == (early.enough, early.within_at, never.why)
    assert "nothing was sent" == never.load
    assert ("whether the autoscaler scales enough: the load on the autoscaler app/api ended before it was to",) == (
        judged(early)[1]
    )


def test_one_that_is_above_its_target_again_before_the_load_ends_did_not_scale_enough(folder: Path) -> None:
    again = scaled.found(raw(folder, *LOOKS, Look(149.0, False, 6, 6, 9)))
    at_top = scaled.found(raw(folder, *LOOKS, Look(149.0, False, 9, 9, 9)))
    after = scaled.found(raw(folder, *LOOKS, Look(151.0, False, 9, 9, 9)))

    assert again is not None
    assert at_top is not None
    assert after is not None
    assert [(None, False), (False, True), (True, False)] == [(one.enough, one.at_top) for one in (again, at_top, after)]
    assert "is at its top of 9 replicas, and was above its target again" in judged(at_top)[0][0]


def kept(did: Scaling | None) -> Kept:
    return Kept((), {}, 1.0, None, 100.0, 40.0, scaling=did)


def judged(did: Scaling | None, limit_s: float = 60.0) -> tuple[tuple[str, ...], tuple[str, ...]]:
    promise = Promises(scaling_s=limit_s)
    return promises.broken(promise, kept(did)), promises.unknown(promise, kept(did))


AT_TOP = dataclasses.replace(
    DONE, highest=9, within_at=None, enough=False, at_top=True, why="the autoscaler app/api is at its top of 9 replicas"
)


@pytest.mark.parametrize(
    ("did", "broken", "unknown"),
    [
        (DONE, "", ""),
        (dataclasses.replace(DONE, within_at=170.0), "took 68 s to be within its target, longer than", ""),
        (AT_TOP, "is at its top of 9 replicas", ""),
        (dataclasses.replace(AT_TOP, at_top=False, until_at=200.0), "is at its top of 9 replicas", ""),
        (dataclasses.replace(AT_TOP, at_top=False), "", "scales enough in time"),
        (dataclasses.replace(DONE, enough=None, why="the load fell"), "", "scales enough: the load fell"),
        (None, "", "for nobody watched it"),
    ],
)
def test_promise_of_scaling_is_kept_broken_or_not_known(did: Scaling | None, broken: str, unknown: str) -> None:
    found = judged(did)

    for clauses, words in zip(found, (broken, unknown), strict=True):
        assert bool(words) == bool(clauses)
        assert words in "".join(clauses)


GOOD = Facts(
    heals_failed=(), refusals=(), interruptions=(), stopped=(), unmet_before=(), steps_failed=(), fault_proven=True,
    audit_complete=True, self_test_passed=True, recovery_time_s=1.0, watched_s=40.0, data_loss_s=0.0, corrupt=0,
    duplicate=0, unexpected=0, deviations=(), damage=(), promises_broken=(), promises_unknown=(),
)  # fmt: skip


@pytest.mark.parametrize(
    ("did", "verdict", "reason"),
    [
        (DONE, "passed", ""),
        (AT_TOP, "failed", "A promise was broken: the autoscaler app/api is at its top of 9 replicas."),
        (None, "inconclusive", "It is not known: whether the autoscaler scales, for nobody watched it."),
    ],
)
def test_verdict_follows_what_the_autoscaler_did(did: Scaling | None, verdict: str, reason: str) -> None:
    broken, unknown = judged(did)
    facts = dataclasses.replace(GOOD, objectives=Objectives(), promises_broken=broken, promises_unknown=unknown)
    decided = decide(facts)

    assert (verdict, (reason,) if reason else ()) == (decided.verdict, decided.reasons)


def test_one_clause_tells_all_of_it() -> None:
    did = dataclasses.replace(DONE, kept=True, success=0.9991, p95_ms=120.0)

    told = (
        "the autoscaler app/api went from 3 to 6 replicas of at most 9, it decided after 3 s, "
        "all of these were Ready after 20 s, its metric was within the target again after 30 s, "
        "and the service kept its objectives under it (99.91% of requests, P95 120 ms)"
    )
    assert told == scaling.clause(did, 100.0)
    idle = dataclasses.replace(DONE, decided_at=None, ready_at=None, within_at=None)
    assert "it never wanted more, and how clients fared meanwhile is not known" in scaling.clause(idle, 100.0)


def test_reports_show_what_it_did_and_judge_the_promise() -> None:
    sample = sample_experiments.zone_outage()
    sample.plan.promises = Promises(scaling_s=300).words()
    did = dataclasses.replace(DONE, kept=True, success=0.9991, p95_ms=120.0)
    sample.scaling = evidence.Scaling(
        autoscaler="app/api", replicas_before=3, replicas_highest=6, replicas_most=9, within_s=30.0, enough=True,
        objectives_kept=True, success_ratio=0.9991, p95_ms=120.0, words=scaling.clause(did, 100.0),
    )  # fmt: skip
    rows = dict(wording.scaling_rows(sample))
    (row,) = promised.promised(sample)

    assert ("6 of 9 allowed", "30 s") == (rows["Replicas at the most"], rows["Within its target after"])
    assert "not seen" == rows["Wanted more after"]
    assert "yes: 99.91 % of requests, P95 120 ms" == rows["Objectives kept under the load"]
    assert "## The autoscaler under the load" in markdown.render(sample)
    assert "The autoscaler under the load" in html.render(sample, {})
    assert "the autoscaler app/api went from 3 to 6" in evidence.sentence(sample)
    assert (True, "") == (row.kept, row.detail)
