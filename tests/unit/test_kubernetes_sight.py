"""What is told of a pod that comes and goes, and of one of which only its readiness counts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ftchaos.platforms.kubernetes.sight import Sight
from ftchaos.witness import Log, changes, read

NAME = "files/api-0"


def pod(uid: str, ready: str, *, going: bool = False) -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": "api-0", "namespace": "files", "uid": uid}
    metadata |= {"deletionTimestamp": "2026-01-01T00:00:00Z"} if going else {}
    status = {"conditions": [{"type": "Ready", "status": ready}]}
    return {"metadata": metadata, "spec": {"nodeName": "node-a1"}, "status": status}


def told(file: Path, *seen: dict[str, Any] | None, staying: bool) -> list[str]:
    """What is told of these states of a pod; None is its absence."""
    sight = Sight({("pods", "files", "api-0"): NAME}, Log(file), frozenset([NAME] if staying else []))
    for one in seen:
        if one is None:
            sight.changed("pods", "files", "DELETED", pod("a", "False"))
        else:
            sight.changed("pods", "files", "MODIFIED", one)
    return [one.saw for one in changes(read(file))]


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        pytest.param([pod("a", "True"), pod("a", "False")], ["Ready", "not Ready"], id="it is not ready"),
        pytest.param([pod("a", "True"), None], ["Ready"], id="it is gone"),
        pytest.param([pod("a", "True"), pod("a", "False", going=True)], ["Ready"], id="it is to be deleted"),
        pytest.param([pod("a", "True"), pod("b", "False")], ["Ready"], id="another is in its place"),
    ],
)
def test_only_a_pod_that_stays_can_be_seen_to_miss_what_it_needs(
    seen: list[dict[str, Any] | None], expected: list[str], tmp_path: Path
) -> None:
    otherwise = told(tmp_path / "other.jsonl", *seen, staying=False)

    assert expected == told(tmp_path / "staying.jsonl", *seen, staying=True)
    assert otherwise[0] == "Ready"
    assert len(otherwise) == 2
