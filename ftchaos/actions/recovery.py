"""The steps of a recovery from backup, each a timed phase."""

from __future__ import annotations

import time

from ftchaos.clock import now
from ftchaos.errors import StepFailed
from ftchaos.platforms.base import Step
from ftchaos.run import current
from ftchaos.units import human_duration

__all__ = [
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
    run.require("destroy")
    assert run.fault_at is not None
    fault_at = run.fault_at
    return run.step("detect", "detect", lambda: run.platform.recovery().detect(fault_at), "destroy")


def decide(to: str = "last") -> str:
    """Choose the newest usable backup and the point to which the log is replayed.

    Args:
        to: ``last`` for the last archived event, or a UTC time such as ``2026-11-23T06:15:00Z``.
    """
    run = current()
    return run.step("decide", "decide", lambda: run.platform.recovery().decide(to), "detect")


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
    """Wait until clients see the service meet its objectives for the whole sustained window.

    Raises:
        StepFailed: it did not within the run's time for warming.
    """
    run = current()
    run.require("cut_over")
    return run.step("warm", "warm", _sustained, "cut_over")


def _sustained() -> Step:
    run = current()
    assert run.fault_at is not None
    deadline = now() + run.options.warm_timeout_s
    while True:
        restored = run.traffic.restored(run.fault_at, run.objectives)
        if restored is not None:
            run.restored_at, run.resolution_s = restored
            seconds = restored[0] - run.fault_at
            return Step(f"the service met its objectives again {human_duration(seconds)} after the fault")
        if now() > deadline:
            raise StepFailed(
                f"the service did not meet its objectives within {human_duration(run.options.warm_timeout_s)}",
                "look at observations/ and at the application's log in the lab's folder",
            )
        run.traffic.ensure_alive()
        time.sleep(0.1)
