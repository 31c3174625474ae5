"""Stores of many runs, made quickly, for the tests of what reads stores."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import samples

from ftchaos import evidence, manifest
from ftchaos.clock import iso
from ftchaos.evidence import Evidence

BEGAN = datetime(2026, 1, 1, 6, 0, tzinfo=UTC)


def made(number: int, *, name: str = "restore", environment: str = "lab", whole: bool = False) -> Evidence:
    """Evidence of one of many runs: one an hour, every tenth failed; without long lists unless ``whole``."""
    found = samples.failed() if number % 10 == 9 else samples.passed()
    began = BEGAN + timedelta(hours=number)
    found.run_id = f"{began:%Y%m%dT%H%M%SZ}-{name}-{number % 65536:04x}"
    found.began_at, found.ended_at = iso(began), iso(began + timedelta(seconds=40))
    found.name, found.environment = name, environment
    if found.recovery.recovery_time_s is not None:
        found.recovery.recovery_time_s += number % 7 / 10
    if not whole:
        found.series, found.steps, found.verification.checks = [], [], []
    return found


def add(reports: Path, found: Evidence, *, files: int = 2) -> Path:
    """Put a run into a folder, sealed and chained."""
    folder = reports / found.run_id
    (folder / "ledger").mkdir(parents=True)
    evidence.write(found, folder)
    for number in range(files):
        (folder / "ledger" / f"db-{number}.outcomes").write_bytes(bytes([2]) * 256)
    manifest.write(folder)
    return folder


def filled(reports: Path, count: int, **how: str) -> list[Path]:
    """A folder with this many runs, oldest first."""
    return [add(reports, made(number, **how)) for number in range(count)]  # type: ignore[arg-type]
