"""What a platform offers to actions and probes; the lab is the first of them.

A platform knows what can be harmed, healed and recovered in one kind of place. Actions and probes speak
to it by role (the database tier, the service's public address), so that the same YAML runs everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from ftchaos.guard import Target
from ftchaos.undo import UndoLog

COMPONENTS = ("api", "database", "cache-a", "cache-b", "cache-c", "queue", "websocket")
"""What clients use, each with a sampler of its own."""

STORES = ("uploads", "mysql", "redis", "redis-wait", "inside")
"""What clients may write to: the application over HTTP, the database, the cache, with the word of a replica too; and
from within a zone cut off."""

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Address:
    """A TCP endpoint as the clients of the system reach it."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True)
class Traffic:
    """Where the workload goes and what watches from outside.

    Attributes:
        public_url: the one public address of the application; empty where clients of ours do not use it.
        writer: the address of the database's writer of the moment.
        witnessed: each server that a fault may take by name, as :class:`ftchaos.witness.Target` takes it.
        secret: file with the password of the account.
        account: who writes to the database.
        ca: file of the authority whose certificate the database must show; without it nothing is encrypted.
        writes_per_s: how many writes a second the database gets from all clients of ours.
        cache_nodes: addresses of the cache's nodes; none where it cannot be written to.
        cache_manner: how they want to be spoken to, by name; see :func:`ftchaos.workload.link.manner`.
        cache_follow: whether clients can reach nodes that others name; else these addresses are all they have.
        cache_writes_per_s: how many writes a second each of our writers makes there.
        cache_waits: whether a replica can confirm what is written to the cache.
        shards: for each shard of the cache a hash tag that leads there.
        zones: the zone of every server.
        place: the cluster whose API server shows those of ``witnessed`` that nobody can reach.
    """

    public_url: str
    writer: Address
    witnessed: Mapping[str, Mapping[str, Any]]
    secret: Path
    account: str = "ftchaos"
    ca: Path | None = None
    writes_per_s: float = 800.0
    cache_nodes: Sequence[Address] = ()
    cache_manner: Mapping[str, Any] = field(default_factory=dict)
    cache_follow: bool = True
    cache_writes_per_s: float = 100.0
    cache_waits: bool = True
    shards: Mapping[str, str] = field(default_factory=dict)
    zones: Mapping[str, str] = field(default_factory=dict)
    place: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Step:
    """What one step of a recovery did.

    Attributes:
        summary: in a few words, for people.
        size_bytes: bytes moved, 0 where that means nothing.
        facts: what the evidence keeps, JSON values.
    """

    summary: str
    size_bytes: int = 0
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Harm:
    """One fault, resolved to what it would hit at this moment; nothing is touched yet.

    Attributes:
        clause: what is done, in the past tense: ``zone-a lost its power``.
        targets: what it hits, for the preview and the guard; never empty.
        signs: what the witness must see going down as the proof, by name, each as :class:`ftchaos.witness.Target` takes
            it.
        undo: all that the heal needs; JSON values.
        hits: the components that it is meant to disturb; the others are the control group. None where clients use
            nothing of what is hit.
        inside: the zone in which a second set of clients must write, else empty.
        quorum_lost: the cluster that loses its quorum by this, else empty.
        proof_s: seconds within which the witness must have seen it all, where that takes longer than usual: a cloud
            takes a while to begin.
        requests_per_s: how many requests a second it sends at the most, beyond the usual; 0 for none.
        stays_s: for how long all of it must stay down without a break to be the proof, where a hiccup would look alike.
        gradual: it is done bit by bit, politely, so that from its begin on there may be something to recover from, and
            that its last bit is seen late is no outage.
    """

    clause: str
    targets: tuple[Target, ...]
    signs: Mapping[str, Mapping[str, Any]]
    undo: Mapping[str, Any]
    hits: tuple[str, ...]
    inside: str = ""
    quorum_lost: str = ""
    proof_s: float = 0.0
    requests_per_s: float = 0.0
    stays_s: float = 0.0
    gradual: bool = False


@dataclass(frozen=True)
class ScalingSeen:
    """One look at an autoscaler that is under a load.

    Attributes:
        before: the replicas before the load; ``replicas`` those that there are, ready or not.
        within: whether its metric is within its target; None where that is not known.
        ready: how many pods serve; ``wanted`` how many it wants, ``most`` how many it may have.
        metric: the metric beside its target, in words.
        arrives: the share of the requests due lately that was answered; None where none was due.
        load: what was sent until now, in words.
    """

    at: float
    autoscaler: str
    before: int
    within: bool | None
    replicas: int
    wanted: int
    ready: int
    most: int
    metric: str
    arrives: float | None
    load: str


@runtime_checkable
class Scaled(Protocol):
    """A platform that has autoscalers."""

    def scaling(self) -> ScalingSeen | None:
        """How the autoscaler stands that the fault of this run loads; None while the cluster does not say.

        Raises:
            StepFailed: none is under load, or the load has ended.
        """


@dataclass(frozen=True)
class Event:
    """Something that a component of the system said of itself; it corroborates what clients saw, no more.

    Attributes:
        at: on the run's monotonic clock.
        component: whose it is.
        name: ``detected``, ``promoted``, or another word of the component's own.
        detail: which server, for example.
    """

    at: float
    component: str
    name: str
    detail: str = ""


class Recovery(Protocol):
    """The recovery of the database tier, step by step, in this order."""

    def destroy_targets(self) -> Sequence[str]:
        """The names of the servers that would be destroyed, each with its volume."""

    def destroy(self, undo: UndoLog, run_id: str, begin: Callable[[], None]) -> Step:
        """Destroy them. The undo is on disk before ``begin`` is called, and ``begin`` before anything is harmed."""

    def detect(self, fault_at: float) -> Step: ...

    def decide(self, to: str) -> Step: ...

    def provision(self) -> Step: ...

    def restore(self, progress: Callable[[int, int], None]) -> Step: ...

    def verify_restored(self) -> Step: ...

    def replay(self, progress: Callable[[int, int], None]) -> Step: ...

    def verify_replayed(self) -> Step: ...

    def cut_over(self) -> Step: ...


class Platform(Protocol):
    """One environment of the system under test."""

    name: str
    methods: Sequence[str]
    """What a drill here can restore from; the first is the default."""
    accepts_backup_age: bool
    assumes_disaster: bool
    """A drill restores beside what it is a copy of: nothing is destroyed, the disaster is assumed at an instant."""

    @property
    def lock_name(self) -> str:
        """What only one run at a time may touch, however it was named."""

    @property
    def takes(self) -> Sequence[str]:
        """Which of :data:`STORES` clients of this environment write to; nothing is promised of the others."""

    def targets(self) -> list[str]:
        """What a run would destroy, in words, for the preview; touches nothing."""

    def makes(self) -> list[str]:
        """What a drill would make beside its source, in words, for the preview; touches nothing."""

    def begin(self, run_id: str, undo: UndoLog, progress: Progress) -> None:
        """Reach the environment, or bring it up where that is the platform's part."""

    def prepare(self, undo: UndoLog, progress: Progress, *, backups: bool) -> None:
        """Have what production has before a fault: replicas that follow, and where asked for, complete backups.

        Where the run is to be of a weaker system, it is weakened now, and that is undone like any harm.
        """

    def traffic(self, zone: str = "") -> Traffic:
        """Where clients go; those inside a zone go to that zone's own servers.

        After the cut-over of a drill whose disaster was assumed it is the restored copy, for clients of ours alone.
        """

    def client_argv(self, argv: Sequence[str], zone: str = "") -> list[str]:
        """The command that runs a program where clients are, or inside a zone."""

    def writer_in_place(self) -> str:
        """Empty when the writer of the moment takes writes and its replicas follow it, else what is wrong."""

    def backups_complete(self) -> str:
        """Empty when there is a complete backup and the archive grows, else what is wrong."""

    def recovery(self) -> Recovery: ...

    def harm(self, fault: str, arguments: Mapping[str, Any]) -> Harm:
        """What a fault would hit now, or in the environment that would be begun for the run; touches nothing.

        Raises:
            Invalid: there is no such fault here, or its arguments cannot be used.
        """

    def inject(self, fault: str, harm: Harm, undo: UndoLog, begin: Callable[[], None]) -> str:
        """Do it, and say in words what was done.

        The undo is on disk before ``begin`` is called, and ``begin`` before anything is harmed.
        """

    def events(self, since_at: float) -> list[Event]:
        """What the components said of themselves since an instant, in order."""

    def compare(self) -> Step:
        """Hold all copies of the data against each other; its facts have ``checks`` as a recovery's verification."""

    def state(self) -> dict[str, str]:
        """How everything stands that a fault may change, flat and in words, to be compared before and after."""

    def survivors(self) -> Any:
        """An open connection to the database that the service uses now, for the audit."""

    def describe(self) -> dict[str, Any]:
        """The environment for the evidence: servers, versions, settings; no secrets."""

    def end(self) -> None: ...
