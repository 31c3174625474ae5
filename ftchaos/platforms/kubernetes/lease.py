"""A Lease in the cluster as the lock: one run at a time there, whichever host or pod it runs on.

The lock file of :mod:`ftchaos.guard` holds on one machine; this holds for all that reach the cluster. There is one for
all environments of a cluster, whatever namespaces they list, for nodes belong to none. It lies in the namespace
``default``, which each cluster has and nobody can delete, unless the configuration names another. A holder renews
its Lease in a thread of its own. Whether another is alive is never told from the clocks of two hosts: whoever wants a
Lease watches it, and it has expired when its record was not seen to change for as long as it is valid. Each write names
the resourceVersion that was read, so that of two who are equally quick one gets 409.

Source: the leader election of Kubernetes' client-go, which observes renewals in the same way.
"""

from __future__ import annotations

import math
import socket
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ftchaos import clock, notes
from ftchaos.errors import FtchaosError, Invalid, Locked, Refused
from ftchaos.platforms.kubernetes.access import Access, Call, Place
from ftchaos.platforms.kubernetes.calls import CALLS, LEASE, LEASE_NAME, UNNAMED, Action
from ftchaos.platforms.kubernetes.failures import ApiFailed, Unanswered
from ftchaos.platforms.recorder import RUN
from ftchaos.units import human_duration

if TYPE_CHECKING:
    from ftchaos.undo import UndoLog

Obj = dict[str, Any]

HEAL = "lease.begin"
"""The name of the heal that gives it back; no fault, see :func:`ftchaos.undo.is_fault`."""

VALID_S = 60
"""How long it stays held without being renewed; written into it, and whoever reads it goes by what is written there."""
RENEW_S = 10.0
"""How often it is renewed, hence how long a second one waits at most until it knows that the first is alive."""
GIVE_UP_S = 40.0
"""After this long without a renewal a holder says that it is lost: well before another may take it."""
LOOK_S = 1.0
NOTED_S = 1.0
"""Within this time whoever healed the record of a lease has written that down."""

_TIME = "%Y-%m-%dT%H:%M:%S.%fZ"


def lock_name(access: Access) -> str:
    """What only one run at a time may touch: the whole cluster, for nodes belong to no namespace.

    Raises:
        Refused: the context leads to another cluster.
    """
    return f"kubernetes.{access.ensure_right_place()}"


class Lease:
    """The lock of one run in the cluster.

    A platform makes one, with its own access::

        def begin(self, run_id, undo, progress):
            self._lease = Lease(self._access, settings.kubernetes.lease_namespace)
            self._lease.begin(run_id, undo, progress)     # first of all, before anything is touched
            ...

        def end(self):
            if self._lease is not None:
                self._lease.end()

    The undo log gives it back: the record of ``begin`` is the first of a run, so it is healed last, at the end of the
    run as by ``ftchaos recover``. ``end`` ends the renewing alone.

    Args:
        namespace: where it is; whoever says another does not see it, and is not locked out.
    """

    def __init__(self, access: Access, namespace: str) -> None:
        self.namespace, self.name = namespace, LEASE_NAME
        self._access = access
        self._ending = threading.Event()
        self._loss: threading.Timer | None = None
        self._renewed_at = 0.0
        self._lock = threading.Lock()

    def begin(self, run_id: str, undo: UndoLog, progress: Callable[[str], None]) -> None:
        """Take it, and renew it from now on.

        One that another run holds is watched until it is renewed, 10 s at most, or has expired.

        Raises:
            Locked: a live run holds it; the message names it, its host and its age.
            Refused: the permission or the namespace is missing, or this is another cluster than was meant.
            StepFailed, Inconclusive: the server said no, or nothing; the undo log gives back what may have been taken.
        """
        self._run_id, self._undo = run_id, undo
        self._holder = f"{run_id}@{socket.gethostname()}"
        self._access.ensure_right_place()
        self._access.ensure_allowed(_needed(self.namespace))
        kept = {"place": self._access.place.to_json(), "namespace": self.namespace, "name": self.name}
        why = f"the lease {self.namespace}/{self.name} is held by this run"
        self._record = undo.record("kubernetes", HEAL, {**kept, "holder": self._holder, RUN: run_id}, why).id
        asked_at, version = self._take(progress)
        self._expect(asked_at)
        threading.Thread(target=self._renew, args=(version,), name="lease", daemon=True).start()

    def end(self) -> None:
        """Renew it no more; harmless when it was not begun."""
        self._ending.set()
        with self._lock:
            if self._loss is not None:
                self._loss.cancel()

    def _take(self, progress: Callable[[str], None]) -> tuple[float, str]:
        """When it was asked for, and its resourceVersion now that it is ours."""
        watched: Obj | None = None
        since_at = 0.0
        while True:
            asked_at = clock.now()
            found = self._access.get("leases", self.namespace, self.name)
            spec = dict((found or {}).get("spec") or {})
            other = str(spec.get("holderIdentity") or "")
            if other and watched not in (None, spec):
                raise self._locked(spec)
            expired = watched == spec and asked_at - since_at > float(spec.get("leaseDurationSeconds") or VALID_S)
            if other and not expired:
                if watched is None:
                    watched, since_at = spec, asked_at
                    progress(f"the lease {self.name} is held by {_told(spec)}; waiting to see whether that is alive")
                time.sleep(LOOK_S)
                continue
            if version := self._write(found):
                if other:
                    progress(
                        f"the lease {self.name} was taken over from {_told(spec)}, which renews it no more; "
                        "what that run harmed is healed by `ftchaos recover` on its host alone"
                    )
                return asked_at, version

    def _write(self, found: Obj | None) -> str:
        """Write our name into what was read; the new resourceVersion, or nothing where somebody else was quicker."""
        now = datetime.now(UTC).strftime(_TIME)
        transitions = int(((found or {}).get("spec") or {}).get("leaseTransitions") or 0)
        spec = {
            "holderIdentity": self._holder, "leaseDurationSeconds": VALID_S, "acquireTime": now, "renewTime": now,
            "leaseTransitions": transitions + (found is not None),
        }  # fmt: skip
        try:
            if found is not None:
                return self._patch(spec, str(found["metadata"]["resourceVersion"]))
            metadata = {"name": self.name, "namespace": self.namespace}
            body = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": spec}
            return _version(self._access.call("create", "leases", self.namespace, body=body))
        except ApiFailed as error:
            if error.is_absent and found is None:
                raise Refused(
                    f"there is no namespace {self.namespace}, which is to hold the lease of this run",
                    "create it, or correct kubernetes.lease_namespace, for every configuration of this cluster",
                ) from error
            if not (error.is_conflict or error.is_absent):
                raise
            return ""

    def _patch(self, spec: Obj, version: str) -> str:
        body = {"metadata": {"resourceVersion": version}, "spec": spec}
        return _version(self._access.call("patch", "leases", self.namespace, self.name, body=body))

    def _renew(self, version: str) -> None:
        """The thread: an answer that does not come is asked for again, until :data:`GIVE_UP_S` have passed."""
        while not self._ending.wait(RENEW_S):
            with suppress(FtchaosError):  # the timer speaks where it does not get better
                asked_at = clock.now()
                try:
                    version = self._patch({"renewTime": datetime.now(UTC).strftime(_TIME)}, version)
                except FtchaosError:
                    # It may have been changed by others, or by a renewal of ours whose answer was lost.
                    found = self._access.get("leases", self.namespace, self.name)
                    holder = _holder(found)
                    if holder != self._holder:
                        self._lose(f"it is held by {_told(found['spec'])}" if found and holder else "it was taken away")
                        return
                    version = _version(found or {})
                    continue
                self._expect(asked_at)

    def _expect(self, renewed_at: float) -> None:
        """From a renewal on it is ours for a while; the timer speaks also when a call hangs."""
        with self._lock:
            if self._loss is not None:
                self._loss.cancel()
            self._renewed_at = renewed_at
            left_s = max(0.0, renewed_at + GIVE_UP_S - clock.now())
            why = f"it could not be renewed for {GIVE_UP_S:g} s"
            self._loss = threading.Timer(left_s, self._lose, (why, renewed_at))
            self._loss.daemon = True
            if not self._ending.is_set():
                self._loss.start()

    def _lose(self, why: str, renewed_at: float = math.inf) -> None:
        """Have the run harm nothing more, heal, and end; unless it has given the lease back itself, or renewed it.

        A machine that stood still renews late: as that names the resourceVersion, nobody else has had the lease.
        """
        if self._ending.wait(NOTED_S) or any(one.id == self._record and one.healed for one in self._undo.records()):
            return
        if self._renewed_at > renewed_at:
            return
        self._ending.set()
        reason = f"the lease {self.namespace}/{self.name} is lost: {why}"
        self._undo.stop(reason)
        with suppress(Invalid):  # the run cannot harm any more in any case
            notes.ask_to_stop(self._run_id, reason)

    def _locked(self, spec: Obj) -> Locked:
        return Locked(
            f"the lease {self.namespace}/{self.name} is held by {_told(spec)}",
            "wait until it ends, or end that run with SIGTERM where it runs; it heals what it harmed",
        )


def _needed(namespace: str) -> list[Action]:
    """What it takes; who creates something names nothing that a role could know."""
    calls = [one for one in CALLS if LEASE in one.manners]
    return [Action(one.verb, one.resource, namespace, "" if one.verb in UNNAMED else LEASE_NAME) for one in calls]


def release(kept: Mapping[str, Any], on_call: Callable[[Call], None] | None = None) -> str:
    """Give back a lease if it is still the one of an undo record, and nobody else's.

    Raises:
        Refused: the context leads to another cluster by now.
    """
    access = Access(Place.from_json(dict(kept["place"])), on_call)
    full_name = f"{kept['namespace']}/{kept['name']}"
    try:
        access.ensure_right_place()
        ours = access.patch("leases", kept["namespace"], kept["name"], lambda found: _freed(found, kept["holder"]))
    except (ApiFailed, Unanswered) as error:
        # No harm is left: nobody renews it.
        return f"the lease {full_name} expires {VALID_S} s after its last renewal; it was not given back: {error.fact}"
    return f"the lease {full_name} is not held by this run" if ours else f"there is no lease {full_name}"


def _freed(found: Obj, holder: str) -> Obj | None:
    return {"spec": {"holderIdentity": None}} if _holder(found) == holder else None


def _holder(found: Obj | None) -> str:
    return str(((found or {}).get("spec") or {}).get("holderIdentity") or "")


def _version(found: Obj) -> str:
    return str(found["metadata"]["resourceVersion"])


def _told(spec: Mapping[str, Any]) -> str:
    """Who holds it, in words; the age goes by both hosts' clocks, and nothing is decided by it."""
    run_id, _, host = str(spec["holderIdentity"]).rpartition("@")
    who = f"run {run_id} on {host}" if run_id else host
    try:
        since = datetime.fromisoformat(str(spec["acquireTime"]))
    except (KeyError, ValueError):
        return who
    return f"{who} (for {human_duration(max(0.0, (datetime.now(UTC) - since).total_seconds()))})"
