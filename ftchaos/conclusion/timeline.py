"""The part of the evidence that tells when what went down and came back."""

from __future__ import annotations

from collections.abc import Collection

from ftchaos import evidence, sampled
from ftchaos import recovery as recovering
from ftchaos.conclusion.raw import Raw, watched_s, when_restored
from ftchaos.sampled import Sampled

EDGE_S = 5.0
# By the component whose sampler stands for the service.
THROUGH = {"api": "the public address", "database": "the database's own address, as nothing was uploaded"}
TROUBLE = ("stuck", "unschedulable")
"""What a platform says of a workload that does not come back."""
SERIES = {"api": "uploads through the public address", "database": "writes to the database"}


def recovery(raw: Raw) -> evidence.Recovery:
    record = raw.record
    restored_at = when_restored(raw)
    return evidence.Recovery(
        fault=record.fault,
        fault_at=raw.iso(record.fault_at),
        proven_at=raw.iso(raw.proven_at),
        gradual=record.gradual,
        detected_at=raw.iso(_detected_at(raw)),
        restored_at=raw.iso(restored_at),
        recovery_time_s=None if restored_at is None or record.fault_at is None else restored_at - record.fault_at,
        available_s=_since_fault(raw, raw.fact("restore").get("available_at")),
        first_answer_s=_since_fault(raw, raw.fact("verify_restored").get("answered_at")),
        resolution_s=raw.restored.resolution_s if raw.restored else None,
        watched_s=watched_s(raw),
        phases=_phases(raw, restored_at),
    )


def _since_fault(raw: Raw, at: float | None) -> float | None:
    return None if at is None or raw.record.fault_at is None else at - raw.record.fault_at


def _detected_at(raw: Raw) -> float | None:
    """When the system's own monitoring had noticed."""
    known: float | None = raw.fact("detect").get("detected_at")
    said = [one["at"] for one in raw.record.said if one["name"] == "detected" and one["component"] in raw.record.hits]
    return known if known is not None else min(said, default=None)


def _failover(raw: Raw, restored_at: float | None) -> list[evidence.Phase]:
    """The phases of a recovery that nobody of ours steered, from what the system said and what clients saw."""
    record = raw.record
    fault_at = record.fault_at
    public = next((one for one in raw.timelines if one.name == raw.public), None)
    if fault_at is None or restored_at is None or public is None or public.failed_at is None:
        return []
    said = [one for one in record.said if one["component"] in record.hits]
    detected = min((one["at"] for one in said if one["name"] == "detected"), default=None)
    promoted = max((one["at"] for one in said if one["name"] == "promoted"), default=None)
    marks = [("detect", fault_at)]
    marks += [("promote", detected)] if detected is not None else []
    marks += [("reconnect", promoted)] if promoted is not None else []
    marks += [("warm", public.writable_at)] if public.writable_at is not None else []
    spans = recovering.partition(fault_at, restored_at, marks)
    return [
        evidence.Phase(name=span.name, began_at=record.clock.iso(span.began_at), duration_s=span.duration_s)
        for span in spans
    ]


def _phases(raw: Raw, restored_at: float | None) -> list[evidence.Phase]:
    """The recovery time cut into its phases, without gaps; unrestored, up to the end of the last."""
    record = raw.record
    if not raw.is_drill:
        return _failover(raw, restored_at)
    if record.fault_at is None or not record.phases:
        return []
    last = record.phases[-1]
    ended_at = restored_at if restored_at is not None else last.ended_at or last.began_at
    spans = recovering.partition(record.fault_at, ended_at, [(one.name, one.began_at) for one in record.phases])
    return [
        evidence.Phase(
            name=phase.name,
            began_at=record.clock.iso(span.began_at),
            duration_s=span.duration_s,
            bytes=phase.size_bytes,
            detail=phase.summary,
        )
        for phase, span in zip(record.phases, spans, strict=True)
    ]


def service(raw: Raw) -> evidence.Service:
    if raw.operations is None:
        return evidence.Service()
    found = evidence.Service(**recovering.service(raw.operations).as_dict(), through=THROUGH[raw.public])
    # The source served on, and of the copy nobody asked before it was there: neither says how long a disaster lasts.
    return found.model_copy(update={"unavailable_s": None}) if raw.assumes_disaster else found


def components(raw: Raw) -> list[evidence.Component]:
    """Each component from the fault on, with what the system said of it; those that were hit stand first."""
    record = raw.record
    if record.fault_at is None:
        return []
    ended_at = record.ended_at or record.fault_at
    found = []
    for one in sorted(raw.timelines, key=lambda one: not one.hit):
        did = sampled.service(one.operations.part(record.fault_at, ended_at))
        restored_at = one.restored.at if one.restored else None
        found.append(
            evidence.Component(
                name=one.name,
                hit=one.hit,
                failed_at=raw.iso(one.failed_at),
                writable_at=raw.iso(one.writable_at),
                durable_at=raw.iso(one.durable_at),
                restored_at=raw.iso(restored_at),
                recovery_time_s=None if restored_at is None else restored_at - record.fault_at,
                resolution_s=one.restored.resolution_s if one.restored else None,
                unavailable_s=did.unavailable_s,
                success_ratio=did.success_ratio,
                p95_ms=did.p95_ms,
                marks=_marks(raw, one.name),
                series=_series_of(raw, one.name, one.operations) if len(one.operations) else None,
            )
        )
    return found


def workloads(raw: Raw) -> list[evidence.Workload]:
    """What nobody samples and what does not come back, in the order in which the platform told of it."""
    known = {one.name for one in raw.timelines}
    names = [one["component"] for one in raw.record.said if one["name"] in TROUBLE]
    return [
        evidence.Workload(name=name, marks=_marks(raw, name, TROUBLE))
        for name in dict.fromkeys(names)
        if name not in known
    ]


def _marks(raw: Raw, component: str, names: Collection[str] = ()) -> list[evidence.Mark]:
    """What the system said of a component: all, or what has one of these names."""
    return [
        evidence.Mark(name=said["name"], at=raw.record.clock.iso(said["at"]), detail=said["detail"])
        for said in raw.record.said
        if said["component"] == component and (not names or said["name"] in names)
    ]


def _series_of(raw: Raw, name: str, operations: Sampled) -> evidence.Series:
    """What a sampler did from shortly before the fault until the service was restored."""
    record = raw.record
    assert record.fault_at is not None
    known = [one.restored.at for one in raw.timelines if one.restored] + [
        when_restored(raw) or record.watched_until or 0.0
    ]
    end = max(record.fault_at, *known) + EDGE_S
    from_at, to_at = max(record.began_at, record.fault_at - EDGE_S), min(end, record.ended_at or end)
    shown = operations.part(from_at, to_at)
    return evidence.buckets(name, shown, origin_at=record.fault_at, from_at=from_at, to_at=to_at)


def series(raw: Raw) -> list[evidence.Series]:
    record = raw.record
    if raw.operations is None or record.fault_at is None or not len(raw.operations):
        return []
    name = SERIES[raw.public]
    if raw.assumes_disaster:
        name += " until the disaster was assumed, reads of the restored copy since"
    return [_series_of(raw, name, Sampled((raw.operations,)))]
