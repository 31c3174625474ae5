"""By how much what is said of a cluster differs from what was: by the witness at the API server, and by the cluster.

PYTHONPATH=tests:. python -m benchmarks.cluster_sight [ROUNDS]

60 pods of a StatefulSet on 30 nodes of the stand-in of the tests, whose own clock says to the microsecond when anything
changed. Quiet: pods fall sick, are well again, and are deleted, one by one. At once: a third of all is deleted. Told
are milliseconds by which the witness was late, and by which the times that the pods themselves give are early.
"""

from __future__ import annotations

import random
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any

from cluster import seen
from cluster.manifests import node, workload
from cluster.standin.server import Standin

from ftchaos import witness
from ftchaos.clock import Clock

SPACE, NAME, PODS, NODES = "default", "app", 60, 30
ZONES = "abc"


def build(standin: Standin) -> dict[str, dict[str, Any]]:
    """The pods, and how they are watched."""
    standin.reset()
    made = workload("StatefulSet", NAME, PODS, more={"podManagementPolicy": "Parallel"})
    made["spec"]["template"]["spec"]["containers"][0]["readinessProbe"] = {"httpGet": {"port": 8080}}
    standin.create(*(node(f"node-{one:02}", ZONES[one % 3]) for one in range(NODES)), made)
    await_ready(standin)
    names = [f"{NAME}-{one}" for one in range(PODS)]
    return {name: {"resource": "pods", "namespace": SPACE, "name": name} for name in names}


def await_ready(standin: Standin) -> None:
    standin.until(
        lambda: standin.apps.read_namespaced_stateful_set(NAME, SPACE).status.ready_replicas == PODS, "all ready", 60
    )


def one_by_one(standin: Standin) -> None:
    for number in random.sample(range(PODS), 30):
        time.sleep(random.random() / 5)
        if number % 2:
            standin.core.delete_namespaced_pod(f"{NAME}-{number}", SPACE, grace_period_seconds=0)
        else:
            standin.sicken(SPACE, f"{NAME}-{number}")
            time.sleep(0.4)  # longer than its probe needs to notice
            standin.sicken(SPACE, f"{NAME}-{number}", works=True)


def at_once(standin: Standin) -> None:
    with ThreadPoolExecutor(16) as pool:
        chosen = [f"{NAME}-{one}" for one in range(0, PODS, 3)]
        list(pool.map(lambda one: standin.core.delete_namespaced_pod(one, SPACE, grace_period_seconds=0), chosen))


def measure(standin: Standin, disturb: Any) -> tuple[list[float], list[float]]:
    """By how much the witness was late and the cluster early, in seconds."""
    targets = build(standin)
    with tempfile.TemporaryDirectory() as folder, seen.sight(standin, SPACE, targets, Path(folder)) as file:
        begun_at, clock = time.monotonic(), Clock.anchored()
        disturb(standin)
        time.sleep(0.1)
        await_ready(standin)
        time.sleep(0.5)
        was, saw = seen.truth(standin, targets), witness.changes(witness.read(file))
    early, known = [], dict[str, str | None]()
    for change in standin.changes("pods"):
        uid, since = change["object"]["metadata"]["uid"], seen.ready_since(change["object"])
        if since and known.get(uid) != since and change["at"] > begun_at and change["sort"] == "MODIFIED":
            early.append(change["at"] - clock.at(datetime.fromisoformat(since)))
        known[uid] = since
    return seen.late_s(was, saw, begun_at), early


def told(name: str, every_s: Sequence[float]) -> str:
    ms = sorted(1000 * one for one in every_s)
    p95 = ms[int(0.95 * (len(ms) - 1))]
    return f"{name}: {len(ms)} changes, {ms[0]:.1f} / {statistics.median(ms):.1f} / {p95:.1f} / {ms[-1]:.1f} ms"


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    standin = Standin()
    try:
        print("least / median / 95th percentile / most")
        for name, disturb in (("one by one", one_by_one), ("at once", at_once)):
            found = [measure(standin, disturb) for _ in range(rounds)]
            print(told(f"{name}, the witness late", [one for late, _ in found for one in late]))
            print(told(f"{name}, the condition Ready early", [one for _, early in found for one in early]))
    finally:
        standin.end()


if __name__ == "__main__":
    main()
