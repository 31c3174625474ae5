"""Jobs, indexed ones too, and CronJobs."""

from __future__ import annotations

import datetime
import time
from typing import Any

from cluster.standin.controllers.loop import Loop, active, condition, key_of, owned_by, owner_of, with_conditions
from cluster.standin.controllers.replicas import pod_of
from cluster.standin.eviction import is_ready
from cluster.standin.kinds import named
from cluster.standin.store import Change
from cluster.standin.times import clone, stamp
from croniter import croniter

Obj = dict[str, Any]
_INDEX = "batch.kubernetes.io/job-completion-index"


class Jobs:
    """The controller of Jobs."""

    def __init__(self, loop: Loop) -> None:
        self._loop, self._registry = loop, loop.registry
        loop.on("jobs", lambda change: self._loop.due(self._reconcile, *key_of(change.record.obj)))
        loop.on("pods", self._hear_pod)

    def _hear_pod(self, change: Change) -> None:
        owner = owner_of(change.record.obj)
        if owner is not None and owner["kind"] == "Job":
            self._loop.due(self._reconcile, change.record.obj["metadata"]["namespace"], owner["name"])

    def _reconcile(self, namespace: str, name: str) -> None:
        mine = self._registry.get("jobs", namespace, name)
        if mine is None or "deletionTimestamp" in mine["metadata"] or _ended(mine):
            return
        pods = self._loop.pods_of(mine["metadata"]["uid"])
        done = [pod for pod in pods if pod["status"].get("phase") == "Succeeded"]
        failed = [pod for pod in pods if pod["status"].get("phase") == "Failed"]
        runs = [pod for pod in pods if active(pod)]
        spec = mine["spec"]
        indexed = spec["completionMode"] == "Indexed"
        indexes = sorted({_index(pod) for pod in done}) if indexed else []
        succeeded = len(indexes) if indexed else len(done)
        values: Obj = {"succeeded": succeeded, "failed": len(failed), "ready": sum(map(is_ready, runs))}
        values |= {"startTime": (mine.get("status") or {}).get("startTime") or stamp(), "terminating": 0}
        if indexes:
            values["completedIndexes"] = ",".join(map(str, indexes))
        if succeeded >= spec.get("completions", 1):
            new = [
                condition("SuccessCriteriaMet", "True", "CompletionsReached"),
                condition("Complete", "True", "CompletionsReached"),
            ]
            self._end(mine, runs, {**values, "completionTime": stamp()}, new)
            return
        if len(failed) > spec["backoffLimit"]:
            said = "Job has reached the specified backoff limit"
            new = [condition("FailureTarget", "True", "BackoffLimitExceeded", said),
                   condition("Failed", "True", "BackoffLimitExceeded", said)]  # fmt: skip
            self._end(mine, runs, values, new)
            return
        if not spec["suspend"]:
            self._begin(mine, runs, indexes, succeeded, indexed)
        runs = [pod for pod in self._loop.pods_of(mine["metadata"]["uid"]) if active(pod)]
        self._registry.status("jobs", mine, active=len(runs), **values)

    def _begin(self, mine: Obj, runs: list[Obj], indexes: list[int], succeeded: int, indexed: bool) -> None:
        """Begin as many pods as may run at a time."""
        spec, name = mine["spec"], mine["metadata"]["name"]
        left = min(spec["parallelism"], spec.get("completions", 1) - succeeded) - len(runs)
        taken = {*indexes, *map(_index, runs)}
        free = (
            [one for one in range(spec.get("completions", 1)) if one not in taken] if indexed else [-1] * max(0, left)
        )
        for number in free[: max(0, left)]:
            pod = pod_of(mine, {"generateName": f"{name}-{number}-" if indexed else f"{name}-"})
            if indexed:
                for key in ("labels", "annotations"):
                    pod["metadata"][key] = {**(pod["metadata"].get(key) or {}), _INDEX: str(number)}
                pod["spec"]["hostname"] = f"{name}-{number}"
                for container in pod["spec"]["containers"]:
                    where = {"fieldRef": {"fieldPath": f"metadata.labels['{_INDEX}']"}}
                    container.setdefault("env", []).append({"name": "JOB_COMPLETION_INDEX", "valueFrom": where})
            self._registry.create(named("pods"), mine["metadata"]["namespace"], pod)

    def _end(self, mine: Obj, runs: list[Obj], values: Obj, conditions: list[Obj]) -> None:
        for pod in runs:
            self._registry.delete(named("pods"), *key_of(pod))
        new = with_conditions((mine.get("status") or {}).get("conditions"), *conditions)
        self._registry.status("jobs", mine, active=0, conditions=new, **values)


class CronJobs:
    """The controller of CronJobs, by the clock on the wall; a test need not wait for it."""

    def __init__(self, loop: Loop) -> None:
        self._loop, self._registry = loop, loop.registry
        loop.on("cronjobs", self._hear)
        loop.on("jobs", self._hear_job)

    def _hear(self, change: Change) -> None:
        if change.sort == "ADDED":
            self._next(change.record.obj)

    def _hear_job(self, change: Change) -> None:
        owner = owner_of(change.record.obj)
        if owner is not None and owner["kind"] == "CronJob":
            self._loop.due(self._tell, change.record.obj["metadata"]["namespace"], owner["name"])

    def _next(self, mine: Obj) -> None:
        now = datetime.datetime.now(datetime.UTC)
        at = croniter(mine["spec"]["schedule"], now).get_next(float)
        after_s = max(0.01, at - time.time()) / self._loop.settings.second_s
        self._loop.due(self._come, *key_of(mine), mine["metadata"]["uid"], after_s=after_s)

    def _come(self, namespace: str, name: str, uid: str) -> None:
        mine = self._registry.get("cronjobs", namespace, name)
        if mine is None or mine["metadata"]["uid"] != uid:
            return
        self._next(mine)
        if not mine["spec"]["suspend"]:
            self.run(namespace, name)

    def run(self, namespace: str, name: str) -> str:
        """Begin the Job of a CronJob now, as its policy allows; its name, or nothing where it does not."""
        mine = self._registry.get("cronjobs", namespace, name)
        assert mine is not None, name
        runs = [one for one in self._loop.dependants(mine["metadata"]["uid"], "jobs") if not _ended(one)]
        if runs and mine["spec"]["concurrencyPolicy"] == "Forbid":
            return ""
        for one in runs if mine["spec"]["concurrencyPolicy"] == "Replace" else []:
            self._registry.delete(named("jobs"), *key_of(one), {"propagationPolicy": "Background"})
        template = clone(mine["spec"]["jobTemplate"])
        made = f"{name}-{int(time.time() * 1000) // 60 % 10**8}"
        metadata = {**(template.get("metadata") or {}), "name": made, "ownerReferences": owned_by(mine)}
        self._registry.create(named("jobs"), namespace, {"metadata": metadata, "spec": template["spec"]})
        self._registry.status("cronjobs", mine, lastScheduleTime=stamp())
        self._loop.event(mine, "SuccessfulCreate", f"Created job {made}", "cronjob-controller")
        return made

    def _tell(self, namespace: str, name: str) -> None:
        mine = self._registry.get("cronjobs", namespace, name)
        if mine is None:
            return
        jobs = self._loop.dependants(mine["metadata"]["uid"], "jobs")
        names = ("namespace", "name", "uid", "resourceVersion")
        runs = [{"kind": "Job", "apiVersion": "batch/v1", **{key: one["metadata"][key] for key in names}}
                for one in jobs if not _ended(one)]  # fmt: skip
        values: Obj = {"active": runs}
        if any(_succeeded(one) for one in jobs):
            values["lastSuccessfulTime"] = max(one["status"]["completionTime"] for one in jobs if _succeeded(one))
        self._registry.status("cronjobs", mine, **values)


def _ended(job: Obj) -> bool:
    conditions = (job.get("status") or {}).get("conditions") or []
    return any(one["type"] in ("Complete", "Failed") and one["status"] == "True" for one in conditions)


def _succeeded(job: Obj) -> bool:
    return "completionTime" in (job.get("status") or {})


def _index(pod: Obj) -> int:
    return int((pod["metadata"].get("labels") or {}).get(_INDEX, -1))
