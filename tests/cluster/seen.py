"""What ``sight`` saw of pods and nodes beside what really was, by the stand-in's own clock."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml
from cluster.standin.reach import Reach
from cluster.standin.server import Standin

from ftchaos import witness
from ftchaos.platforms.kubernetes.access import Place
from ftchaos.witness import Observation

Obj = dict[str, Any]
SIGHT = "ftchaos.platforms.kubernetes.sight"


@contextmanager
def sight(cluster: Reach, space: str, targets: Mapping[str, Obj], folder: Path) -> Iterator[Path]:
    """The process that sees, for as long as the context lasts; the file that it writes.

    Args:
        targets: as :func:`ftchaos.platforms.kubernetes.sight.pod` and ``node`` give them, by the name of the target.
    """
    file, config = folder / "sight.jsonl", folder / "sight.json"
    context = yaml.safe_load(cluster.kubeconfig.read_text())["current-context"]
    place = asdict(Place("staging", context, (space,), str(cluster.kubeconfig)))
    config.write_text(
        json.dumps({"place": place, "targets": targets, "observations": str(file), "parent_pid": os.getpid()})
    )
    process = subprocess.Popen([sys.executable, "-m", SIGHT, str(config)])
    try:
        cluster.until(lambda: {one.target for one in witness.read(file)} == set(targets), "all is seen", 60)
        yield file
    finally:
        process.kill()
        process.wait()


def truth(cluster: Standin, targets: Mapping[str, Obj]) -> list[Observation]:
    """When each target really went down and came back, in order, since the cluster is there."""
    pods, nodes, up = dict[str, Obj](), set[str](), dict[str, bool]()
    found: list[Observation] = []
    every = [("nodes", one) for one in cluster.changes("nodes")] + [("pods", one) for one in cluster.changes("pods")]
    for resource, change in sorted(every, key=lambda one: float(one[1]["at"])):
        obj, gone = change["object"], change["sort"] == "DELETED"
        name = obj["metadata"]["name"]
        if resource == "nodes":
            (nodes.discard if gone else nodes.add)(name)
        elif gone:
            pods.pop(name, None)
        else:
            pods[name] = obj
        for target, about in targets.items():
            now = about["name"] in nodes if about["resource"] == "nodes" else _up(pods.get(about["name"]), nodes)
            if up.get(target) != now:
                up[target] = now
                found.append(Observation(change["at"], target, now, resource))
    return found


def _up(pod: Obj | None, nodes: set[str]) -> bool:
    if pod is None or "deletionTimestamp" in pod["metadata"] or pod["spec"].get("nodeName") not in nodes:
        return False
    return ready_since(pod) is not None


def ready_since(pod: Obj) -> str | None:
    """The time that a pod gives for its being ready; None where it is not."""
    conditions = pod.get("status", {}).get("conditions") or []
    return next(
        (one["lastTransitionTime"] for one in conditions if (one["type"], one["status"]) == ("Ready", "True")), None
    )


def late_s(was: Sequence[Observation], saw: Sequence[Observation], begun_at: float) -> list[float]:
    """By how much each change was seen later than it was.

    Args:
        begun_at: from when on all that was had to be seen.

    Raises:
        AssertionError: something was not seen, or was seen that was not, or before it was.
    """
    found = []
    for target in {one.target for one in was}:
        mine = [one for one in was if one.target == target and one.at > begun_at]
        seen = [one for one in saw if one.target == target and one.at > begun_at]
        assert [one.up for one in mine] == [one.up for one in seen], f"{target}: {mine} and {seen}"
        found += [after.at - before.at for before, after in zip(mine, seen, strict=True)]
    assert all(one > 0 for one in found), f"seen before it was: {min(found)} s"
    return found
