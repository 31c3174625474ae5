"""From the raw files of a run to its evidence: the same at the end of the run and a year later.

It reads ``run.json``, the ledger, the observations, the survivors, the undo log and the calls to a cloud, and asks the
pure modules what they mean. No measured value of the evidence comes from anywhere else.
"""

from __future__ import annotations

import os
import platform as machine
from pathlib import Path
from typing import Any

from ftchaos import __version__, evidence, manifest, report, verdict
from ftchaos.conclusion import calls, cost, parts, scaled, timeline
from ftchaos.conclusion.facts import facts
from ftchaos.conclusion.raw import read
from ftchaos.record import RunRecord


def conclude(folder: Path) -> evidence.Evidence:
    """The evidence that a run's raw files amount to.

    Raises:
        Invalid: the files are no run's, or broken.
        Inconclusive: the ledger is damaged.
    """
    raw = read(folder)
    record = raw.record
    decided = verdict.decide(facts(raw))
    return evidence.Evidence(
        run_id=record.id,
        kind=record.kind,
        name=record.name,
        title=record.definition["title"],
        environment=record.environment,
        platform=record.platform,
        injects_fault=record.injects_fault,
        restores=record.restores,
        began_at=record.clock.iso(record.began_at),
        ended_at=record.clock.iso(record.ended_at or record.began_at),
        verdict=decided.verdict,
        exit_code=decided.exit_code,
        reasons=list(decided.reasons),
        objectives=evidence.Objectives(**vars(record.objectives)),
        definition=evidence.Definition(**record.definition),
        arguments=record.arguments,
        plan=evidence.Plan(
            **record.plan,
            targets=[evidence.Target(**one) for one in record.targets],
            promises=raw.promises.words(),
            unasked=record.unasked,
        ),
        recovery=timeline.recovery(raw),
        data=parts.data(raw),
        service=timeline.service(raw),
        series=timeline.series(raw),
        components=timeline.components(raw),
        workloads=timeline.workloads(raw),
        jobs=None
        if raw.jobs is None
        else evidence.Jobs(**{**vars(raw.jobs), "drained_at": raw.iso(raw.jobs.drained_at)}),
        scaling=scaled.part(raw),
        steps=parts.steps(raw),
        backup=parts.backup(raw),
        replay=parts.replay(raw),
        verification=parts.verification(raw),
        witness=parts.witness(raw),
        undo=parts.undo(raw),
        calls=calls.calls(folder),
        cost=cost.cost(raw),
        system=parts.system(raw),
    )


def write(found: evidence.Evidence, folder: Path) -> evidence.Evidence:
    """Put the evidence, its reports and last the manifest into the run's folder."""
    whole = evidence.write(found, folder)
    report.write(whole, folder)
    manifest.write(folder)
    return whole


def interrupted(folder: Path, by: str) -> None:
    """Complete the evidence of a run that died, unless it was complete already."""
    if (folder / manifest.FILE).exists():
        return
    record = RunRecord.read(folder)
    record.interrupted = record.interrupted or by
    record.ended_at = record.ended_at or max([record.began_at, *(step.began_at for step in record.steps)])
    record.save(folder)
    write(conclude(folder), folder)


def this_machine() -> dict[str, Any]:
    """What of this machine the evidence names."""
    return {
        "ftchaos": __version__,
        "python": machine.python_version(),
        "os": f"{machine.system()} {machine.release()}",
        "cpus": os.cpu_count(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
    }
