"""The decision for programs: one JSON document, ``ftchaos.gate/1``."""

from __future__ import annotations

import json
from typing import Any

from ftchaos.clock import iso
from ftchaos.gate import words
from ftchaos.gate.confidence import CONFIDENCE
from ftchaos.gate.decide import Decision, Judged
from ftchaos.gate.policy import Loaded

SCHEMA = "ftchaos.gate/1"


def document(decision: Decision, loaded: Loaded, location: str) -> dict[str, Any]:
    """All that the decision rests on, so that it can be understood a year later.

    Args:
        location: of the evidence.
    """
    return {
        "schema": SCHEMA,
        "decision": "yes" if decision.is_yes else "no",
        "exit_code": 0 if decision.is_yes else 1,
        "decided_at": iso(decision.at),
        "environment": decision.asked.environment,
        "commit": decision.asked.commit,
        "image": decision.asked.image,
        "policy": {"file": str(loaded.path), "sha256": loaded.sha256, "title": loaded.policy.title},
        "evidence": location,
        "requirements": [_requirement(one) for one in decision.judged],
    }


def dumps(data: Any) -> str:
    """As JSON on one line that no CI system takes for a command of its own."""
    return json.dumps(data, ensure_ascii=True).replace("##[", "\\u0023#[")


def _requirement(judged: Judged) -> dict[str, Any]:
    given = judged.waiver
    return {
        "name": judged.name,
        "run": judged.requirement.run if judged.requirement else None,
        "environment": judged.environment,
        "wants": words.wants(judged),
        "state": judged.state,
        "reasons": [{"kind": one.kind, "sentence": one.sentence, "run_id": one.run_id} for one in judged.reasons],
        "runs": [run.run_id for run in judged.row],
        "manifests": [run.manifest_sha256 for run in judged.row],
        "passes": {"in_a_row": len(judged.row), "needed": judged.requirement.needed if judged.requirement else 0},
        "proven_success_rate": {
            "at_least": judged.proven,
            "confidence": CONFIDENCE,
            "all_runs": judged.runs,
            "all_passed": judged.passed,
        },
        "waiver": {
            "person": given.person,
            "reason": given.reason,
            "until": given.until.isoformat(),
            "refused": judged.waiver_refused,
        }
        if given
        else None,
    }
