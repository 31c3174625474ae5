"""The steps of a recovery from backup, each a timed phase."""

from __future__ import annotations

import time

from ftchaos.clock import now
from ftchaos.platforms.base import Step
from ftchaos.run import current
from ftchaos.units import human_duration

__all__ = [
    "answer",
    "assume_disaster",
    "cut_over",
    "decide",
    "detect",
    "provision",
    "replay",
    "restore",
    "verify_replayed",
    "verify_restored",
    "warm",
]


def detect() -> str:
    """Wait until the system's own monitoring says that failover cannot mend this."""
    run = current()
    return run.step("detect", "detect", lambda: run.platform.recovery().detect(run.fault_at()), "destroy")


def decide() -> str:
    """Choose the newest usable backup and the point to which the log is replayed, by the run's option ``to``."""
    run = current()
    return run.step("decide", "decide", lambda: run.platform.recovery().decide(run.options.to), "detect")


def provision() -> str:
    """Have an empty server in another zone than the primary's."""
    run = current()
    return run.step("provision", "provision", lambda: run.platform.recovery().provision(), "decide")


def restore() -> str:
    """Bring the chosen backup's data to the fresh server and begin it, closed to clients."""
    run = current()
    return run.step("restore", "restore", lambda: run.platform.recovery().restore(run.progress.count), "provision")


def verify_restored() -> str:
    """Hold schema, row counts and checksums of every table against those recorded with the backup."""
    run = current()
    return run.step("verify_restored", "verify", lambda: run.platform.recovery().verify_restored(), "restore")


def replay() -> str:
    """Apply the archived log up to the chosen point and no further."""
    run = current()
    return run.step("replay", "replay", lambda: run.platform.recovery().replay(run.progress.count), "verify_restored")


def verify_replayed() -> str:
    """The point wanted was reached exactly, foreign keys are whole, tables are clean, queries answer."""
    run = current()
    return run.step("verify_replayed", "verify", lambda: run.platform.recovery().verify_replayed(), "replay")


def cut_over() -> str:
    """Open the restored server to the application under its unchanged address."""
    run = current()
    return run.step("cut_over", "cut over", lambda: run.platform.recovery().cut_over(), "verify_replayed")


def warm() -> str:
    """Watch until clients see the service meet its objectives for the whole sustained window, or time is up.

    A copy beside the source has no clients; it is read as they would.

    A service that does not come back is a result, not a step that failed: the verdict judges it.
    """
    run = current()
    return run.step("warm", "warm", _sustained, "cut_over")


def _sustained() -> Step:
    run = current()
    proven_at, timeout_s = run.record.facts["destroy"]["proven_at"], run.options.warm_timeout
    if not run.record.injects_fault:
        run.traffic.begin_reads(run.platform.traffic())
    deadline = now() + timeout_s
    while (restored_at := run.traffic.restored_at(proven_at, run.objectives)) is None:
        run.record.watched_until = now()
        if now() > deadline:
            return Step(f"the service did not meet its objectives within {human_duration(timeout_s)} of the cut-over")
        run.traffic.ensure_alive()
        time.sleep(0.1)
    run.record.watched_until = now()
    what = "the service met its objectives again" if run.record.injects_fault else "the copy met the objectives"
    return Step(f"{what} {human_duration(restored_at - run.fault_at())} after the disaster")


def assume_disaster() -> str:
    """Begin to count the recovery time without a fault, for a rehearsal that harms nothing."""
    run = current()
    run.begin_fault("", [])
    run.keep("detect", Step("the disaster is assumed; the recovery time counts from here"))
    return "the recovery time counts from here"


def answer() -> str:
    """End the recovery time of a rehearsal: the restored server has answered every query."""
    run = current()
    run.require("verify_replayed")
    run.record.answered_at = run.record.watched_until = now()
    run.save()
    return f"restored and verified {human_duration(now() - run.fault_at())} after the begin"
