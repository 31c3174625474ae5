"""Pods that are real processes, begun, asked and killed as a kubelet does.

A pod with the annotation ``standin/run``, a JSON list of arguments, gets an address out of 127.0.0.0/8. Its process is
begun when the pod is Running and begun again when it exits, after growing waits; it is killed with SIGTERM, and after
the grace period, in real seconds, with SIGKILL; at once when the pod is deleted without grace or its node dies. It
listens behind the pod's address, at which a proxy stands that keeps to NetworkPolicies and falls silent with the node.
The readiness probe is really asked, at the process itself: no policy keeps a kubelet out.

In the arguments stand ``{address}``, ``{port}`` (where to listen), ``{name}``, ``{namespace}``, ``{node}``, ``{zone}``
and ``{volume}``: a folder that belongs to the pod's claim, or else goes with the pod.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cluster.standin import addresses, probes
from cluster.standin.controllers.kubelets import RUN, Kubelets
from cluster.standin.controllers.loop import Loop, key_of
from cluster.standin.controllers.scheduler import claims_of, zone_of
from cluster.standin.listeners import port_of
from cluster.standin.policies import OUTSIDE, Policies
from cluster.standin.proxy import Address, Proxy, Route, holder
from cluster.standin.store import Change, Key

Obj = dict[str, Any]
_FIRST_WAIT_S, _LONGEST_WAIT_S = 10.0, 300.0  # of the cluster, between the ends and the next beginning of a process


@dataclass
class Run:
    """A pod and its process.

    Attributes:
        sources: the pod that each open connection comes from, by its other end; empty while nobody has asked.
        task: begins the process again and again, and asks it.
    """

    pod: Obj
    proxy: Proxy
    volume: Path
    process: subprocess.Popen[bytes] | None = None
    task: asyncio.Task[None] | None = None
    sources: dict[Address, str] = field(default_factory=dict)
    vanished: bool = False

    @property
    def uid(self) -> str:
        return str(self.pod["metadata"]["uid"])


class Processes:
    """What runs for pods.

    Args:
        folder: where their volumes and logs are.
    """

    def __init__(self, loop: Loop, kubelets: Kubelets, policies: Policies, folder: Path) -> None:
        self._loop, self._registry, self._kubelets, self._policies = loop, loop.registry, kubelets, policies
        self._folder = folder
        self.runs: dict[Key, Run] = {}
        self._ends: set[asyncio.Task[None]] = set()
        self._killed: dict[Path, subprocess.Popen[bytes]] = {}
        loop.on("pods", self._hear)
        for plural in ("networkpolicies", "namespaces"):
            loop.on(plural, lambda change: self.look())
        loop.on("persistentvolumeclaims", self._hear_claim)
        kubelets.changed.append(self.look)
        kubelets.stops = self.stop

    def reset(self) -> None:
        for key in list(self.runs):
            self._end(key)
        for process in self._killed.values():
            process.wait(10)
        self._killed.clear()
        shutil.rmtree(self._folder / "volumes", ignore_errors=True)

    def look(self) -> None:
        """Look again at all pods that run."""
        for key in self.runs:
            self._loop.due(self._reconcile, *key)

    def requests(self, pod: Obj) -> float | None:
        """How many HTTP requests came in at the address of a pod since it began; None where it is no process."""
        run = self.runs.get(key_of(pod))
        return None if run is None else run.proxy.requests

    def _hear(self, change: Change) -> None:
        if RUN in (change.record.obj["metadata"].get("annotations") or {}):
            self._loop.due(self._reconcile, *key_of(change.record.obj))

    def _hear_claim(self, change: Change) -> None:
        if change.sort == "DELETED":
            shutil.rmtree(self._folder / "volumes" / "_".join(key_of(change.record.obj)), ignore_errors=True)

    # What becomes of a pod --------------------------------------------------------------------------------------

    def _reconcile(self, namespace: str, name: str) -> None:
        key, pod = (namespace, name), self._registry.get("pods", namespace, name)
        run = self.runs.get(key)
        if run is not None and (pod is None or run.uid != pod["metadata"]["uid"]):
            self._end(key)
            run = None
        if pod is None or pod["status"].get("phase") != "Running":
            return
        dead = pod["spec"]["nodeName"] in self._kubelets.dead
        if run is None:
            if not dead and "deletionTimestamp" not in pod["metadata"]:
                self._begin(key, pod)
        elif dead and not run.vanished:
            run.vanished = True
            self._kill(run)
            run.proxy.vanish()
        elif run.vanished and not dead:
            self._end(key, kept=True)
            self._begin(key, pod)
        else:
            run.pod = pod
            run.proxy.sever(lambda one: not self._policies.allows(pod, self._known(run, one.peer)))

    def _begin(self, key: Key, pod: Obj) -> None:
        claims = claims_of(pod)
        parent = self._folder / "volumes"
        volume = parent / f"{key[0]}_{claims[0]}" if claims else self._folder / "pods" / pod["metadata"]["uid"]
        volume.mkdir(parents=True, exist_ok=True)
        address, port = pod["status"]["podIP"], port_of(pod)
        run = Run(pod, Proxy((address, port), lambda peer: self._route(run, peer)), volume)
        self.runs[key] = run
        run.task = asyncio.get_running_loop().create_task(self._live(key, run))

    async def _live(self, key: Key, run: Run) -> None:
        waits_s = 0.0
        if (before := self._killed.pop(run.volume, None)) is not None:
            await _ended(before)
        while True:
            run.process = self._popen(key, run)
            asking = asyncio.get_running_loop().create_task(self._ask(key, run))
            try:
                await _ended(run.process)
            finally:
                asking.cancel()
            code = run.process.returncode
            if run.pod["spec"]["restartPolicy"] != "Always":
                self._kubelets.over(*key, run.uid, code)
                return
            self._kubelets.restarts[run.uid] = self._kubelets.restarts.get(run.uid, 0) + 1
            self._say(key, run, False)
            await asyncio.sleep(waits_s * self._loop.settings.second_s)
            waits_s = min(max(_FIRST_WAIT_S, 2 * waits_s), _LONGEST_WAIT_S)

    def _popen(self, key: Key, run: Run) -> subprocess.Popen[bytes]:
        node = self._registry.get("nodes", "", run.pod["spec"]["nodeName"])
        address, port = addresses.inside(run.proxy.address[0]), run.proxy.address[1]
        words = {"address": address, "port": port, "namespace": key[0], "name": key[1], "volume": run.volume,
                 "node": run.pod["spec"]["nodeName"], "zone": zone_of(node)}  # fmt: skip
        argv = [_filled(one, words) for one in json.loads(run.pod["metadata"]["annotations"][RUN])]
        logs = self._folder / "logs"
        logs.mkdir(parents=True, exist_ok=True)
        with (logs / "_".join(key)).open("ab") as log:
            return subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *argv], cwd=run.volume, start_new_session=True,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={**os.environ, "POD_NAME": key[1]},
            )  # fmt: skip

    async def _ask(self, key: Key, run: Run) -> None:
        """Ask the readiness probe for as long as the process runs."""
        probe = next((one["readinessProbe"] for one in run.pod["spec"]["containers"] if "readinessProbe" in one), {})
        where, failed = (addresses.inside(run.proxy.address[0]), run.proxy.address[1]), 0
        while True:
            works = await probes.works(probe, where)
            failed = 0 if works else failed + 1
            if works or failed >= probe.get("failureThreshold", 3):
                self._say(key, run, works)
            await asyncio.sleep(max(0.05, probe.get("periodSeconds", 10) * self._loop.settings.second_s))

    def _say(self, key: Key, run: Run, ready: bool) -> None:
        pod = self._registry.get("pods", *key)
        if pod is not None and pod["metadata"]["uid"] == run.uid and not run.vanished:
            self._kubelets.set_ready(pod, ready, "" if ready else "ContainersNotReady")

    # Ends -------------------------------------------------------------------------------------------------------

    def stop(self, pod: Obj) -> bool:
        """Let a pod that is to stop do so; whether it has a process here."""
        run = self.runs.get(key_of(pod))
        if run is None or run.uid != pod["metadata"]["uid"]:
            return False
        task = asyncio.get_running_loop().create_task(self._stop(pod, run))
        self._ends.add(task)
        task.add_done_callback(self._ends.discard)
        return True

    async def _stop(self, pod: Obj, run: Run) -> None:
        if run.task is not None:
            run.task.cancel()  # it is not begun again
        if run.process is not None:
            _signal(run.process, signal.SIGTERM)
            with contextlib.suppress(TimeoutError):
                grace_s = pod["metadata"].get("deletionGracePeriodSeconds", 0)
                await asyncio.wait_for(_ended(run.process), grace_s)
        self._kill(run)
        self._kubelets.stopped(*key_of(pod), run.uid)

    def _kill(self, run: Run) -> None:
        if run.task is not None:
            run.task.cancel()
        if run.process is not None:
            _signal(run.process, signal.SIGKILL)
            self._killed[run.volume] = run.process

    def _end(self, key: Key, *, kept: bool = False) -> None:
        """Kill what is left of a pod; its folder stays when it is begun again, or belongs to a claim."""
        run = self.runs.pop(key)
        self._kill(run)
        run.proxy.close()
        if kept:
            self._kubelets.restarts[run.uid] = self._kubelets.restarts.get(run.uid, 0) + 1
        elif not claims_of(run.pod):
            if (process := self._killed.pop(run.volume, None)) is not None:
                process.wait(10)
            shutil.rmtree(run.volume, ignore_errors=True)

    # Connections ------------------------------------------------------------------------------------------------

    def _route(self, run: Run, peer: Address) -> Route | None:
        source = self.source(peer, run.proxy.address)
        if not self._policies.allows(run.pod, source):
            return None
        run.sources = {one.peer: run.sources.get(one.peer, one.peer[0]) for one in run.proxy.connections}
        run.sources[peer] = source if source != OUTSIDE or self._policies.any else ""
        return Route((addresses.inside(run.proxy.address[0]), run.proxy.address[1]))

    def _known(self, run: Run, peer: Address) -> str:
        """The address of who has a connection, asked for once there are policies that it matters to."""
        if not run.sources.get(peer, peer[0]) and self._policies.any:
            run.sources[peer] = self.source(peer, run.proxy.address)
        return run.sources.get(peer, "") or peer[0]

    def source(self, peer: Address, near: Address) -> str:
        """The address of who connects: that of the pod whose process has the other end of a connection."""
        if peer[0] != OUTSIDE or not self._policies.any:
            return peer[0]
        pids = {
            run.proxy.address[0]: run.process.pid for run in self.runs.values()
            if run.process is not None and run.process.returncode is None
        }  # fmt: skip
        return holder(peer, near, pids) or peer[0]

    def may(self, peer: Address, near: Address, target: Address) -> bool:
        """Whether policies let whoever has the other end of a connection reach the pod that it leads to."""
        pod = self._policies.pod_at(target[0])
        return pod is None or not self._policies.any or self._policies.allows(pod, self.source(peer, near))


def _filled(text: str, words: dict[str, Any]) -> str:
    for name, value in words.items():
        text = text.replace("{" + name + "}", str(value))
    return text


def _signal(process: subprocess.Popen[bytes], number: int) -> None:
    """Send a signal to a process and all that it began."""
    with contextlib.suppress(ProcessLookupError):
        if process.returncode is None:
            os.killpg(process.pid, number)


async def _ended(process: subprocess.Popen[bytes]) -> None:
    """Return when a process has ended."""
    if process.returncode is not None:
        return
    done, handle = asyncio.Event(), os.pidfd_open(process.pid)
    asyncio.get_running_loop().add_reader(handle, done.set)
    try:
        await done.wait()
    finally:
        asyncio.get_running_loop().remove_reader(handle)
        os.close(handle)
    process.wait()
