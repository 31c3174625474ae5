"""Runs in short, policies and questions for the tests of the gate."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from ftchaos.clock import iso
from ftchaos.gate.decide import Decision, History, decide
from ftchaos.gate.policy import Policy
from ftchaos.gate.question import Asked
from ftchaos.store import Summary

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
COMMIT = "2508e40c" * 5
IMAGE = f"registry.example.com/app@sha256:{'ab' * 32}"
ASKED = Asked("staging", COMMIT, IMAGE)


def run(days_ago: float = 1.0, name: str = "restore", **change: Any) -> Summary:
    """A drill that passed in staging and kept every promise, so many days ago."""
    ended_at = NOW - timedelta(days=days_ago)
    began_at = ended_at - timedelta(seconds=44)
    number = hashlib.sha256(f"{days_ago}{name}{sorted(change.items())}".encode()).hexdigest()
    values: dict[str, Any] = {
        "run_id": f"{began_at:%Y%m%dT%H%M%SZ}-{name}-{number[:4]}",
        "kind": "drill",
        "name": name,
        "environment": "staging",
        "platform": "aws",
        "verdict": "passed",
        "exit_code": 0,
        "began_at": iso(began_at),
        "ended_at": iso(ended_at),
        "summary": "The MySQL primary was destroyed, and all was well again.",
        "reason": "",
        "recovery_time_s": 600.0,
        "data_loss_s": 0.0,
        "lost": 0,
        "rto_s": 14400.0,
        "rpo_s": 900.0,
        "commit": COMMIT,
        "image": IMAGE,
        "definition_sha256": "cd" * 32,
        "undo_failed": 0,
        "manifest_sha256": number,
        "previous_sha256": "",
        "signed_by": "",
    }
    return Summary(**{**values, **change})


def failed(days_ago: float = 1.0, **change: Any) -> Summary:
    return run(days_ago, **{"verdict": "failed", "exit_code": 1, "reason": "The RTO was missed.", **change})


def inconclusive(days_ago: float = 1.0, **change: Any) -> Summary:
    return run(days_ago, **{"verdict": "inconclusive", "exit_code": 3, "reason": "The fault was never seen.", **change})


def unreadable(days_ago: float = 1.0, name: str = "restore") -> Summary:
    """What a store says of a run whose evidence is damaged: its id is all that is known."""
    nothing: dict[str, Any] = {"kind": "", "environment": "", "platform": "", "commit": "", "image": "", "summary": ""}
    short = run(days_ago, name, verdict="unreadable", exit_code=70, reason="evidence.json is not evidence", **nothing)
    return dataclasses.replace(short, name="")


def policy(*requirements: Mapping[str, Any], **more: Any) -> Policy:
    """A policy with one requirement, unless others are given."""
    return Policy.model_validate({"requirements": requirements or [{"run": "drill/restore", "max_age": "31d"}], **more})


def requirement(**more: Any) -> dict[str, Any]:
    return {"run": "drill/restore", "max_age": "31d", **more}


def judge(
    given: Policy,
    runs: Sequence[Summary],
    asked: Asked = ASKED,
    problems: Mapping[str, Sequence[str]] | None = None,
    at: datetime = NOW,
) -> Decision:
    """Decide with runs that all verify, unless problems are given."""
    return decide(given, asked, History(given, runs), {run.run_id: [] for run in runs} | dict(problems or {}), at)


def kinds(decision: Decision) -> list[str]:
    """The kinds of all reasons of the first requirement."""
    return [one.kind for one in decision.judged[0].reasons]


def why(decision: Decision) -> str:
    """The reason that decides the first requirement."""
    reasons = decision.judged[0].reasons
    return reasons[0].sentence if reasons else ""
