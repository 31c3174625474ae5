"""Evidence: what remains of a run, written once, readable by people and programs.

record      the models of ``evidence.json``
part        what they have in common
calls       the calls to the API of a cloud
cost        what was made there cost
scaling     what an autoscaler did under a load
types       the values in it, and their bounds
sentence    the run in one sentence
series      client operations in buckets of time, for the charts
folder      written and read on disk
"""

from __future__ import annotations

from ftchaos.evidence.calls import Calls, Operation
from ftchaos.evidence.cost import Cost
from ftchaos.evidence.folder import FILE, SCHEMA_FILE, read, schema, schema_text, write
from ftchaos.evidence.record import (
    Action,
    Backup,
    Candidate,
    Check,
    Component,
    Data,
    Definition,
    Evidence,
    FollowUp,
    Harm,
    Jobs,
    LostInterval,
    Mark,
    Objectives,
    Observation,
    Phase,
    Plan,
    Recovery,
    Replay,
    Series,
    Server,
    Service,
    Step,
    System,
    Target,
    Undo,
    Verification,
    Witness,
    Workload,
)
from ftchaos.evidence.scaling import Scaling
from ftchaos.evidence.sentence import sentence
from ftchaos.evidence.series import buckets

__all__ = [
    "FILE",
    "SCHEMA_FILE",
    "Action",
    "Backup",
    "Calls",
    "Candidate",
    "Check",
    "Component",
    "Cost",
    "Data",
    "Definition",
    "Evidence",
    "FollowUp",
    "Harm",
    "Jobs",
    "LostInterval",
    "Mark",
    "Objectives",
    "Observation",
    "Operation",
    "Phase",
    "Plan",
    "Recovery",
    "Replay",
    "Scaling",
    "Series",
    "Server",
    "Service",
    "Step",
    "System",
    "Target",
    "Undo",
    "Verification",
    "Witness",
    "Workload",
    "buckets",
    "read",
    "schema",
    "schema_text",
    "sentence",
    "write",
]
