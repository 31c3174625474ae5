"""The normalized record of one run: ``evidence.json``, schema ``ftchaos.evidence/1``.

Names carry units: ``_s`` seconds, ``_ms`` milliseconds, ``_bytes``; ``_at`` are UTC instants. A value
that was not measured is null, never zero. All instants of one run come from one clock.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from ftchaos.evidence.calls import Calls
from ftchaos.evidence.cost import Cost
from ftchaos.evidence.part import Part
from ftchaos.evidence.scaling import Scaling
from ftchaos.evidence.types import (
    Count,
    Instant,
    Seconds,
    Settings,
    Sha256,
    Text,
    UpTo20,
    UpTo100,
    UpTo200,
    UpTo600,
)

SCHEMA = "ftchaos.evidence/1"
Share = Annotated[float, Field(ge=0, le=1)]
_CODES = {"passed": {0}, "failed": {1, 4}, "inconclusive": {3, 5, 130}}


class Objectives(Part):
    """What was promised; see :class:`ftchaos.objectives.Objectives`."""

    rto_s: Seconds
    rpo_s: Seconds
    success: Share = 0.995
    p95_s: Seconds = 0.5
    sustain_s: Seconds = 30.0


class Definition(Part):
    """The YAML that was run."""

    path: Text
    sha256: Sha256
    title: Text
    description: Text = ""
    tags: UpTo20[Text] = []


class Target(Part):
    """One thing that the fault was resolved to."""

    name: Text
    kind: Text
    zone: Text = ""


class Plan(Part):
    """What was meant beforehand, as an auditor asks: from the definition's ``extensions``."""

    scenario: Text = ""
    test_type: Text = ""
    expected: Text = ""
    preconditions: UpTo20[Text] = []
    assumptions: UpTo20[Text] = []
    participants: UpTo20[Text] = []
    third_parties: UpTo20[Text] = []
    retest_of: Text = ""
    targets: UpTo100[Target] = []
    promises: UpTo20[Text] = []
    unasked: UpTo20[Text] = []
    """What the definition promises elsewhere, and nobody could judge here, as clients do not write there."""


class Action(Part):
    """Something to be done after the run, with its owner and date."""

    what: Text
    owner: Text = ""
    due: Text = ""
    status: Text = "open"


class FollowUp(Part):
    """What was learnt: deviations from the plan, problems and lessons, and what is to be done."""

    deviations: UpTo20[Text] = []
    lessons: UpTo20[Text] = []
    actions: UpTo20[Action] = []


class Phase(Part):
    """A part of the recovery time. Phases follow each other without a gap."""

    name: Text
    began_at: Instant
    duration_s: Seconds
    bytes: Count = 0
    detail: Text = ""


class Recovery(Part):
    """The instants from the fault to the service restored."""

    fault: Text = ""
    """What was done, as a clause: ``the MySQL primary was destroyed``."""
    fault_at: Instant | None = None
    proven_at: Instant | None = None
    gradual: bool = False
    """It was done bit by bit until then: what kept its objectives all the while was restored from the begin on."""
    detected_at: Instant | None = None
    restored_at: Instant | None = None
    recovery_time_s: Seconds | None = None
    available_s: Seconds | None = None
    """From the fault until the provider called the restored copy available; the recovery ends when it is warm."""
    first_answer_s: Seconds | None = None
    """From the fault to the copy's first correct answer to a query."""
    resolution_s: Seconds | None = None
    watched_s: Seconds | None = None
    phases: UpTo100[Phase] = []


class LostInterval(Part):
    """Consecutive acknowledged writes of one writer that are absent."""

    writer: Text
    first: Count
    last: Count
    count: Count
    began_at: Instant | None = None
    ended_at: Instant | None = None


class Data(Part):
    """The writes by outcome and by ledger class, and how far back the loss reaches."""

    attempted: Count | None = None
    acknowledged: Count | None = None
    failed: Count | None = None
    indeterminate: Count | None = None
    ok: Count | None = None
    lost: Count | None = None
    recovered: Count | None = None
    unexpected: Count | None = None
    duplicate: Count | None = None
    corrupt: Count | None = None
    recovery_point_at: Instant | None = None
    data_loss_s: Seconds | None = None
    backup_age_s: Seconds | None = None
    log_gap_s: Seconds | None = None
    source: Literal["ledger", "heartbeat", "newest row", "backup age", "none"] = "ledger"
    """Where ``data_loss_s`` comes from."""
    stores: dict[str, Settings] = {}
    self_test: Literal["passed", "failed", "not run"] = "not run"
    lost_intervals: UpTo100[LostInterval] = []
    lost_intervals_total: Count = 0


class Service(Part):
    """The service as clients saw it, over the whole run."""

    success_ratio: Share | None = None
    p50_ms: Seconds | None = None
    p95_ms: Seconds | None = None
    p99_ms: Seconds | None = None
    unavailable_s: Seconds | None = None
    through: Text = "the public address"
    """Whose operations stand for the service."""


class Series(Part):
    """Client operations of one kind in equal buckets of time, for the charts.

    Bucket ``i`` holds the operations sent from ``from_s + i * step_s`` on, seconds after the fault.
    """

    name: Text
    from_s: float
    step_s: Annotated[float, Field(gt=0)]
    succeeded: UpTo600[Count]
    failed: UpTo600[Count]
    p95_ms: UpTo600[Seconds | None]

    @model_validator(mode="after")
    def _same_length(self) -> Series:
        if not len(self.succeeded) == len(self.failed) == len(self.p95_ms):
            raise ValueError("succeeded, failed and p95_ms must have one value for each bucket")
        return self


class Mark(Part):
    """An instant on the way of a component back, by its own word."""

    name: Text
    at: Instant
    detail: Text = ""


class Component(Part):
    """One thing that clients use, as its own sampler saw it from the fault on.

    ``hit`` is false for one that the fault was not to disturb: the control group, whose figures show what the machine
    itself did meanwhile. A component that never failed has no ``failed_at`` and no ``writable_at``.
    """

    name: Text
    hit: bool
    failed_at: Instant | None = None
    """When the first operation that failed was sent."""
    writable_at: Instant | None = None
    """When the first operation that succeeded after it was sent."""
    durable_at: Instant | None = None
    """The same for writes that a second server confirmed, where clients ask for that."""
    restored_at: Instant | None = None
    recovery_time_s: Seconds | None = None
    resolution_s: Seconds | None = None
    unavailable_s: Seconds | None = None
    success_ratio: Share | None = None
    p95_ms: Seconds | None = None
    marks: UpTo20[Mark] = []
    series: Series | None = None


class Workload(Part):
    """What the platform said of a workload whose service nobody samples, where it does not come back."""

    name: Text
    marks: UpTo20[Mark]


class Jobs(Part):
    """What became of the work that acknowledged uploads put into the queue."""

    acknowledged: Count
    completed: Count
    pending: Count
    """Uploads that are there, but whose work was not done when all was over."""
    orphaned: Count
    """Work without its upload."""
    repeated: Count
    """Work of which clients were told more than once."""
    untold: Count
    """Completed work of which no client was ever told."""
    drained_at: Instant | None = None
    """When clients had heard of the last of what had piled up."""


class Step(Part):
    """One activity of the definition, as it went."""

    name: Text
    part: Literal["hypothesis before", "method", "hypothesis after", "rollback", "audit"] = "method"
    status: Literal["succeeded", "failed", "aborted", "not run"]
    began_at: Instant | None = None
    duration_s: Seconds | None = None
    output: Text = ""
    error: Text = ""


class Candidate(Part):
    """A backup that was considered."""

    id: Text
    chosen: bool
    method: Text = ""
    taken_at: Instant | None = None
    bytes: Count | None = None
    why: Text = ""


class Backup(Part):
    """The backup that was restored, and those that were passed over."""

    id: Text | None = None
    method: Text = ""
    flavour: Text = ""
    server_version: Text = ""
    taken_at: Instant | None = None
    gtid: Text = ""
    bytes: Count | None = None
    considered: UpTo100[Candidate] = []


class Replay(Part):
    """The archived log that was replayed after the restore."""

    target: Text = ""
    until_gtid: Text = ""
    until_at: Instant | None = None
    reached_gtid: Text = ""
    transactions: Count | None = None
    bytes: Count | None = None
    files: Count | None = None


class Check(Part):
    """One thing that was verified; ``passed`` is null when it could not be done."""

    name: Text
    stage: Literal["before the replay", "after the restore", "after the replay", "after the heal"]
    passed: bool | None
    expected: Text = ""
    actual: Text = ""
    duration_s: Seconds | None = None


class Verification(Part):
    """What was verified of the restored data, apart from the ledger's own audit."""

    tables: Count | None = None
    rows: Count | None = None
    bytes: Count | None = None
    duration_s: Seconds | None = None
    checks: UpTo200[Check] = []


class Observation(Part):
    """A change that the witness saw from outside."""

    at: Instant
    target: Text
    saw: Text


class Witness(Part):
    """Whether the damage was seen from outside. Null: the run declares that it injects no fault."""

    proven: bool | None = None
    observations: UpTo100[Observation] = []


class Harm(Part):
    """One harm that was announced in the undo log before it was done."""

    why: Text
    recorded_at: Instant | None = None
    healed: bool
    healed_at: Instant | None = None
    detail: Text = ""
    repair: Text = ""
    """The command that heals it by hand, where the heal failed."""


class Undo(Part):
    """The undo log, counted and in words, and what was not as before when all was healed."""

    recorded: Count = 0
    healed: Count = 0
    failed: Count = 0
    harms: UpTo100[Harm] = []
    differences: UpTo100[Text] = []


class Server(Part):
    """A server of the system under test."""

    name: Text
    place: Text = ""
    version: Text = ""


class System(Part):
    """What the run ran on."""

    ftchaos: Text
    mysql: Text = ""
    redis: Text = ""
    commit: Text = ""
    definition_sha256: Text = ""
    python: Text = ""
    os: Text = ""
    cpus: Count | None = None
    memory_bytes: Count | None = None
    mode: Text = ""
    """How the platform isolates zones: ``root``, ``user`` or ``loopback`` in the lab."""
    zones: UpTo20[Text] = []
    servers: UpTo100[Server] = []
    settings: Settings = {}


class Evidence(Part):
    """One run. Everything that a report shows, and nothing secret."""

    schema_: Annotated[Literal["ftchaos.evidence/1"], Field(alias="schema")] = "ftchaos.evidence/1"
    run_id: Annotated[str, Field(pattern=r"^\d{8}T\d{6}Z-[A-Za-z0-9._-]+$", max_length=200)]
    kind: Literal["drill", "experiment", "gameday"]
    name: Text
    title: Text = ""
    environment: Text
    platform: Text
    injects_fault: bool = True
    restores: Literal["data", "configuration"] = "data"
    """What a drill restores; a configuration has no data of its own that could be lost."""
    began_at: Instant
    ended_at: Instant
    verdict: Literal["passed", "failed", "inconclusive"]
    exit_code: Count
    reasons: UpTo100[Text] = []
    summary: Text = ""
    """One sentence for people; written by ftchaos from the rest."""
    objectives: Objectives
    definition: Definition | None = None
    arguments: Settings = {}
    plan: Plan = Plan()
    follow_up: FollowUp = FollowUp()
    recovery: Recovery = Recovery()
    data: Data = Data()
    service: Service = Service()
    series: UpTo20[Series] = []
    components: UpTo20[Component] = []
    workloads: UpTo20[Workload] = []
    jobs: Jobs | None = None
    scaling: Scaling | None = None
    steps: UpTo200[Step] = []
    backup: Backup | None = None
    replay: Replay | None = None
    verification: Verification = Verification()
    witness: Witness = Witness()
    undo: Undo = Undo()
    calls: Calls | None = None
    cost: Cost | None = None
    system: System

    @model_validator(mode="after")
    def _verdict_is_whole(self) -> Evidence:
        if self.exit_code not in _CODES[self.verdict]:
            raise ValueError(f"the verdict {self.verdict} does not go with the exit code {self.exit_code}")
        if (self.verdict == "passed") == bool(self.reasons):
            raise ValueError("a run that passed has no reasons, and every other one has some")
        return self
