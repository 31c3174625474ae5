"""How long things take in the cluster, and how it behaves; all may be changed while it runs."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any


@dataclass
class Settings:
    """All durations in seconds of the cluster, each of which lasts ``second_s``; the values are those of 1.35.

    Attributes:
        second_s: how long a second of the cluster lasts, in real seconds.
        node_grace_s: after which silence a node becomes NotReady; measured: 51 s.
        toleration_s: for how long pods tolerate a node that is gone; measured: evicted 310 s after NotReady.
        pod_gc_s: after which time the pods of a deleted node are removed; measured: 54 s.
        out_of_service_s: after which time the Terminating pods of a node that is out of service are removed.
        start_s: from the binding of a pod until its containers run.
        ready_s: from there until it is ready.
        stop_s: how long a container takes to stop when asked to, at most its grace period.
        probe_s: after which time a probe that fails makes a pod NotReady; 3 periods of 10 s.
        autoscale_s: how often a HorizontalPodAutoscaler looks.
        usage_s: over how long is averaged what a pod that really runs gets, as metrics come from the newest minute.
        scale_down_s: for how long it remembers higher recommendations.
        bookmark_s: how often a watch that asked for bookmarks gets one.
        job_s: how long a pod of a Job runs that does not say so itself.
        controllers: whether they reconcile at all; without them the cluster is only an API server.
        policies: whether the network keeps to NetworkPolicies; the API server takes them all the same.
    """

    second_s: float = 0.01
    node_grace_s: float = 50.0
    toleration_s: float = 300.0
    pod_gc_s: float = 54.0
    out_of_service_s: float = 20.0
    start_s: float = 1.0
    ready_s: float = 1.0
    stop_s: float = 1.0
    probe_s: float = 30.0
    autoscale_s: float = 15.0
    usage_s: float = 60.0
    scale_down_s: float = 300.0
    bookmark_s: float = 60.0
    job_s: float = 1.0
    controllers: bool = True
    policies: bool = True

    def change(self, values: dict[str, Any]) -> None:
        """Set some of them by name."""
        known = {field.name for field in fields(self)}
        if unknown := set(values) - known:
            raise ValueError(f"no setting {', '.join(sorted(unknown))}")
        for name, value in values.items():
            setattr(self, name, value)
