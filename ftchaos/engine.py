"""One run from a definition to its evidence. Of chaoslib only this module, the plan of a run and the control know.

``ftchaos drill restore`` calls :func:`run`, which lets chaoslib play the definition. The control that the
definition names calls :func:`begin` and :func:`end` around it. Under plain ``chaos run`` the control does the
same, with the plan taken from the definition's configuration, so both ways come to the same verdict.
"""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import functools
import json
import logging
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ftchaos import (
    activities,
    conclusion,
    definitions,
    guard,
    logfile,
    planning,
    platforms,
    recover,
    survivors,
    telling,
)
from ftchaos import run as runs
from ftchaos.atomic import write
from ftchaos.clock import now
from ftchaos.config import Stop
from ftchaos.errors import FtchaosError, HealFailed, Inconclusive, Interrupted, Refused
from ftchaos.evidence import Evidence
from ftchaos.planning import Plan
from ftchaos.platforms.base import Harm, Platform
from ftchaos.run import Progress, Run
from ftchaos.traffic import TrafficProcesses
from ftchaos.undo import Healing, UndoLog, repair
from ftchaos.watchers import Watchers

JOURNAL_FILE = "journal.json"
INSIDE_WRITERS_AFTER = 100


@dataclass(frozen=True)
class Result:
    """What a run came to."""

    evidence: Evidence
    folder: Path

    @property
    def exit_code(self) -> int:
        return self.evidence.exit_code


@dataclass
class _Session:
    """What the control and :func:`run` share while chaoslib is in between."""

    plan: Plan | None = None
    progress: Progress | None = None
    lock: guard.EnvironmentLock | None = None
    watchers: Watchers | None = None
    teller: telling.Teller | None = None
    problem: Exception | None = None
    result: Result | None = None


_session = _Session()


def run(plan: Plan, progress: Progress, *, verbose: bool = False) -> Result:
    """Play a definition and come to a verdict.

    Raises:
        FtchaosError: refused or invalid, so that the run did not begin; nothing is left harmed.
    """
    from chaoslib.experiment import run_experiment
    from chaoslib.types import Strategy

    global _session
    _session = _Session(plan=plan, progress=progress)
    logfile.quiet(verbose)
    data = copy.deepcopy(plan.loaded.data)
    chosen = {**plan.options.as_configuration(), **plan.configuration}
    activities.part_begins(None)
    try:
        run_experiment(
            data,
            settings={"runtime": {"rollbacks": {"strategy": "always"}}},
            experiment_vars=({key: chosen[key] for key in data["configuration"] if key in chosen}, {}),
            strategy=Strategy.DEFAULT,
        )
    finally:
        progress.close()
    if _session.problem is not None:
        raise _session.problem
    if _session.result is None:
        raise FtchaosError("Chaos Toolkit ended without beginning the run", "run again with -v")
    return _session.result


def begin(experiment: Mapping[str, Any], configuration: Mapping[str, Any]) -> None:
    """All that stands before the steady state: guard, lock, folder, undo log, platform, workload.

    Raises:
        FtchaosError: something of it cannot be had.
    """
    plan = _session.plan
    if plan is None:  # plain `chaos run`
        plan = _session.plan = planning.of(definitions.check(experiment), configuration)
    progress = _session.progress = _session.progress or runs.SilentProgress()
    permit = plan.permit()
    # Whatever cannot be reached is refused while nothing is there yet.
    plan.platform.targets() if plan.injects_fault else plan.platform.makes()
    run_id = runs.new_id(plan.extension.id)
    lock = guard.EnvironmentLock(plan.platform.lock_name)
    lock.acquire(run_id)
    try:
        recover.ensure_nothing_left(plan.platform.lock_name)
        for harm in plan.harms():
            planning.ensure_within(plan, harm)
        permit.use(run_id)
        folder = runs.make_folder(plan.options.reports, run_id)
        record = planning.record(plan, run_id)
        run = Run(
            record,
            folder,
            plan.options,
            plan.platform,
            progress,
            UndoLog(recover.undo_log(run_id)),
            TrafficProcesses(folder),
            functools.partial(_ensure_may_hit, plan),
        )
        run.save()
        recover.announce(run, plan.config.path)
    except BaseException:
        lock.release()
        raise
    _session.lock = lock
    runs.activate(run)
    drill = plan.extension.kind == "drill"
    _session.teller = telling.Teller(plan.config, progress.note)
    _session.watchers = Watchers(run, None if drill else plan.settings.stop or Stop(), _session.teller.stopped)
    _session.teller.begin(telling.About.record(record))
    logfile.into(folder)
    progress.note(f"run {run_id}: {plan.loaded.definition.title}")
    plan.platform.begin(run_id, run.undo, progress.note)
    if not drill:
        plan.platform.prepare(run.undo, progress.note, backups=False)
    rates = {}
    if plan.extension.workload:  # resolved anew: the environment may have been begun just now
        rates["writes_per_s"] = _begin_traffic(run, plan, plan.harms())
    if drill:
        plan.platform.prepare(run.undo, progress.note, backups=True)
    record.system = plan.platform.describe()
    record.system["settings"] = {**record.system.get("settings", {}), **rates}
    record.state_before = plan.platform.state()
    run.save()


def _ensure_may_hit(plan: Plan, harm: Harm) -> None:
    """Refuse a fault at the last moment: the reaper is gone, or roles have moved and it would hit too much."""
    if _session.watchers is not None:
        _session.watchers.ensure_alive()
    planning.ensure_within(plan, harm)


def _begin_traffic(run: Run, plan: Plan, harms: Sequence[Harm]) -> float:
    """Begin the clients, also those inside a zone that will be cut off, and the witness of all that may be hit.

    Returns:
        How many writes a second the database gets of them.
    """
    platform, first = plan.platform, _first_writer(plan.platform)
    traffic = platform.traffic()
    drill = plan.extension.kind == "drill"
    destroyed = drill and not platform.assumes_disaster
    names = platform.recovery().destroy_targets() if destroyed else traffic.witnessed.keys()
    witnessed = {name: traffic.witnessed[name] for name in names}
    for harm in harms:
        witnessed |= harm.signs
    traffic = dataclasses.replace(
        traffic,
        witnessed=witnessed,
        writes_per_s=traffic.writes_per_s * plan.settings.writes,
        cache_writes_per_s=traffic.cache_writes_per_s * plan.settings.writes,
    )
    run.traffic.begin(traffic, platform.client_argv, first, run.progress.writes, whole=not drill)
    for harm in harms:
        if harm.inside:
            argv = functools.partial(platform.client_argv, zone=harm.inside)
            run.traffic.begin_inside(platform.traffic(harm.inside), argv, first + INSIDE_WRITERS_AFTER)
    if _session.watchers is not None:
        _session.watchers.watch(harms, traffic.zones)
    return traffic.writes_per_s


def _first_writer(platform: Platform) -> int:
    with contextlib.closing(platform.survivors()) as connection:
        return survivors.next_writer(connection, platform.takes)


def remember(problem: Exception) -> None:
    """Keep a problem that chaoslib would swallow, for :func:`run` to raise and for the verdict."""
    _session.problem = _session.problem or problem
    if (active := runs.active()) is not None:
        fact = problem.fact if isinstance(problem, FtchaosError) else f"{type(problem).__name__}: {problem}"
        active.record.problem = active.record.problem or fact
        active.record.refused = isinstance(problem, Refused)


def interrupted(by: str) -> None:
    """Keep what interrupted the run."""
    if (active := runs.active()) is not None:
        active.record.interrupted = active.record.interrupted or by
    else:
        _session.problem = Interrupted(f"interrupted by {by} before the run began", "nothing was touched")


def end(journal: dict[str, Any] | None) -> None:
    """End the load, heal what is still harmed, come to the verdict, write the evidence, free the environment.

    Args:
        journal: Chaos Toolkit's, whose status and deviation are set to tell the verdict; None when it has none.
    """
    run = runs.active()
    if run is None:
        return
    try:
        if journal is None:
            run.record.problem = run.record.problem or "Chaos Toolkit ended before it had a journal"
        elif journal.get("status") in ("interrupted", "aborted") and not (run.record.problem or run.record.stopped):
            run.record.interrupted = run.record.interrupted or f"Chaos Toolkit says {journal['status']}"
        try:
            if _session.watchers is not None:
                _session.watchers.stop_watching()
            run.traffic.end()
        finally:
            run.record.ended_at = now()
            healing = run.undo.heal(platforms.heal, run.progress.note)
        run.platform.end()
        evidence = _write_evidence(run, journal, healing)
        if not healing.failed and not healing.unnoted:
            recover.forget(run.id)
        _session.result = Result(evidence, run.folder)
        decided = evidence.reasons[0] if evidence.reasons else evidence.summary
        logging.getLogger("chaostoolkit").info("ftchaos: %s: %s %s", evidence.verdict.upper(), decided, run.folder)
        if journal is not None:
            _tell(journal, evidence)
    finally:
        runs.activate(None)
        logfile.into(None)
        if _session.watchers is not None:
            _session.watchers.end()
        if _session.lock is not None:
            _session.lock.release()
        _tell_others()


def _tell_others() -> None:
    """Tell whoever is to be told how the run ended; all is healed by now, and the environment is free."""
    teller, _session.teller = _session.teller, None
    if teller is None:
        return
    if _session.result is not None:
        teller.end(_session.result.evidence)
        return
    error = sys.exception()
    problem = error.fact if isinstance(error, FtchaosError) else f"internal error ({type(error).__name__})"
    teller.broken(problem, harmed=isinstance(error, HealFailed))


def _write_evidence(run: Run, journal: dict[str, Any] | None, healing: Healing) -> Evidence:
    """Complete the run's folder, the log of it too: what is written after the manifest would alter it.

    Raises:
        HealFailed: something is still harmed, and not even the evidence can say so.
        Inconclusive: the folder cannot be written.
    """
    try:
        run.save()
        recover.keep_undo(run.id, run.folder)
        _write_journal(run.folder, journal)
        logfile.into(None)
        return conclusion.write(conclusion.conclude(run.folder), run.folder)
    except (OSError, FtchaosError) as error:
        fact = f"the evidence cannot be written to {run.folder}"
        fact = error.fact if isinstance(error, FtchaosError) else f"{fact}: {error.strerror}"
        if healing.failed:
            record, problem = healing.failed[0]
            raise HealFailed(f"not healed: {record.why}: {problem}; and {fact}", f"run `{repair()}`") from error
        raise Inconclusive(fact, f"make room there; `{repair()}` then completes it") from error


def _tell(journal: dict[str, Any], evidence: Evidence) -> None:
    """Have `chaos run` exit with 0 only for a run that passed."""
    if evidence.verdict == "failed" and journal["status"] == "completed":
        journal["deviated"] = True
    elif evidence.verdict != "passed" and journal["status"] == "completed":
        journal["status"] = "failed"


def _write_journal(folder: Path, journal: dict[str, Any] | None) -> None:
    write(folder / JOURNAL_FILE, json.dumps(journal, indent=1, default=str, ensure_ascii=False) + "\n")
