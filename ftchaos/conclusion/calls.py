"""The part of the evidence that counts the calls to the API of a cloud, from their raw file alone."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ftchaos import evidence
from ftchaos.platforms.aws.failures import THROTTLED as BY_AWS
from ftchaos.platforms.recorder import FILE

THROTTLED = {*BY_AWS, "TooManyRequests"}  # the last is the API server's of Kubernetes
_COUNTED = ("errors", "throttled", "retries")


def calls(folder: Path) -> evidence.Calls | None:
    """All calls of a run; None where it made none."""
    total: Counter[str] = Counter()
    by_operation: dict[str, Counter[str]] = {}
    instants = []
    for entry in _entries(folder / FILE):
        total["lost"] += entry["lost"]
        if not entry["name"]:
            continue
        instants.append(entry["at"])
        for counter in (total, by_operation.setdefault(entry["name"], Counter())):
            counter["calls"] += 1
            counter.update({name: entry[name] for name in _COUNTED})
    if not total:
        return None
    return evidence.Calls(
        total=total["calls"],
        unrecorded=total["lost"],
        first_at=min(instants, default=None),
        last_at=max(instants, default=None),
        operations=[
            evidence.Operation(name=name, calls=one["calls"], **{each: one[each] for each in _COUNTED})
            for name, one in sorted(by_operation.items(), key=lambda item: (-item[1]["calls"], item[0]))
        ],
        **{name: total[name] for name in _COUNTED},
    )


def _entries(path: Path) -> Iterator[dict[str, Any]]:
    """Each recorded call; half a line, which a full disk leaves, is one call of which nothing is known."""
    if not path.exists():
        return
    with path.open("rb") as lines:
        for line in lines:
            if not line.strip():
                continue
            try:
                said = json.loads(line)
                yield {
                    "name": f"{said['service']}:{said['operation']}",
                    "at": str(said["at"]),
                    "errors": int(bool(said["error"])),
                    "throttled": int(said["error"] in THROTTLED),
                    "retries": int(said["retries"]),
                    "lost": int(said.get("lost", 0)),
                }
            except (ValueError, KeyError, TypeError):
                yield {"name": "", "lost": 1}
