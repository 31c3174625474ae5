"""How long things take in the stand-in, and what it lets go wrong; all may be changed while it runs."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any


@dataclass
class Settings:
    """All durations in seconds; a status lasts at least as long, and until the real server behind it is ready. They are
    read while they last: a status that a test wants to see lasts long, until the test lets it end.

    Attributes:
        creating_s: how long a new or restored database is ``creating``.
        backing_up_s: how long it is ``backing-up`` after that.
        modifying_s: how long a modification takes.
        rebooting_s: how long a reboot without failover takes.
        failover_s: how long a failover keeps the writer away; RDS Multi-AZ: 60 to 120 s.
        failover_bites: whether a failover that was asked for moves anything; else only the status changes for a while.
        deleting_s: how long a database is ``deleting``.
        password_s: after which time a new master password works.
        snapshot_s: how long a snapshot is ``creating``.
        copy_s: how long a copy of a snapshot to another region takes.
        lag_s: how far the latest restorable time lies back; RDS ships logs about every 5 minutes.
        detect_s: after which time a Multi-AZ database whose writer is cut off fails over by itself; never when 0.
        lose_events: whether failovers and restores leave no event.
        event_delay_s: after which time an event appears.
        restore_job_s: how long a restore job of AWS Backup is ``RUNNING`` before the database is created.
        test_failover_s: how long a TestFailover takes.
        initiating_s: how long an experiment of AWS FIS is ``pending``.
        minute_s: how long a minute of its actions lasts.
    """

    creating_s: float = 0.3
    backing_up_s: float = 0.3
    modifying_s: float = 0.3
    rebooting_s: float = 0.3
    failover_s: float = 0.5
    failover_bites: bool = True
    deleting_s: float = 0.3
    password_s: float = 0.3
    snapshot_s: float = 0.3
    copy_s: float = 0.3
    lag_s: float = 300.0
    detect_s: float = 10.0
    lose_events: bool = False
    event_delay_s: float = 0.0
    restore_job_s: float = 0.3
    test_failover_s: float = 0.5
    initiating_s: float = 0.1
    minute_s: float = 60.0

    def change(self, values: dict[str, Any]) -> None:
        """Set some of them by name."""
        known = {field.name for field in fields(self)}
        if unknown := set(values) - known:
            raise ValueError(f"no setting {', '.join(sorted(unknown))}")
        for name, value in values.items():
            setattr(self, name, value)
