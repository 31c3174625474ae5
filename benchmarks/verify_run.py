"""How long `ftchaos report verify RUN` takes with ten million ledger entries: files, chain and verdict recomputed.

    python benchmarks/verify_run.py [--entries 10000000] [--kind drill|experiment] [--rounds 5]

A drill writes most of them into the database and some through the public address, as in the lab: 50 uploads a second.
Wanted: under 2 s.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from array import array
from pathlib import Path

from ftchaos import conclusion, survivors
from ftchaos.audit import Surviving, Survivors
from ftchaos.clock import Clock
from ftchaos.ledger import TICK_S, Header, Outcome
from ftchaos.objectives import Objectives
from ftchaos.record import RunRecord, Step
from ftchaos.traffic import LEDGER, SURVIVORS_FILE, WITNESS_FILE
from ftchaos.undo import FILE as UNDO_FILE
from ftchaos.workload import book

LENGTH_S, FAULT_S, DOWN_S = 1800.0, 900.0, 4.0
UPLOADS = 50 * int(LENGTH_S)
WRITERS = 4


def fill(folder: Path, entries: int, kind: str) -> str:
    """A run of half an hour with a fault in its middle, from which the service recovers in four seconds.

    Returns:
        Its verdict.
    """
    clock = Clock(monotonic_s=1000.0, utc_s=1_790_000_000.0)
    each = (entries - UPLOADS) // WRITERS
    sizes = {("uploads", 1): UPLOADS, **{("mysql", number): each for number in range(2, 2 + WRITERS)}}
    folder.mkdir(parents=True)
    (folder / "observations").mkdir()
    for one in book.create(folder / LEDGER, list(sizes), clock.monotonic_s):
        one.close()
    facts = json.loads((folder / LEDGER / book.FILE).read_text())
    for (name, number), count in sizes.items():
        ticks = int(LENGTH_S / TICK_S)
        header = Header(bytes.fromhex(facts["id"]), number, name, count, count)
        outcomes, times = bytearray([Outcome.ACKNOWLEDGED]) * count, array("I", bytes(8 * count))
        times[0::2] = array("I", (1 + ticks * at // count for at in range(count)))
        times[1::2] = array("I", [80]) * count
        first, last = (int(count * at / LENGTH_S) for at in (FAULT_S, FAULT_S + DOWN_S))
        outcomes[first:last] = bytes([Outcome.FAILED]) * (last - first)
        path = folder / LEDGER / f"{name}-{number}"
        path.with_suffix(".outcomes").write_bytes(header.pack("outcomes") + outcomes)
        path.with_suffix(".times").write_bytes(header.pack("times") + times.tobytes())
    there = []
    for kind_of in ("uploads", "mysql"):
        present = {number: Surviving(_present(count)) for (name, number), count in sizes.items() if name == kind_of}
        there.append(Survivors(kind_of, 1000.0 + LENGTH_S, present))
    survivors.keep(folder / SURVIVORS_FILE, there)
    fault_at = clock.monotonic_s + FAULT_S
    seen = [
        {"at": fault_at + at, "target": "mysql-a", "up": at < 0, "saw": saw}
        for at, saw in ((-1.0, "a server greets"), (0.01, "refused"))
    ]
    (folder / WITNESS_FILE).write_text("".join(json.dumps(one) + "\n" for one in seen))
    (folder / UNDO_FILE).write_text("")
    record(folder, clock, fault_at, kind).save(folder)
    return conclusion.write(conclusion.conclude(folder), folder).verdict


def _present(count: int) -> tuple[tuple[int, int], ...]:
    first, last = (int(count * at / LENGTH_S) for at in (FAULT_S, FAULT_S + DOWN_S))
    return ((1, first), (last + 1, count))


def record(folder: Path, clock: Clock, fault_at: float, kind: str) -> RunRecord:
    verified = {"verify_restored": {"checks": []}, "verify_replayed": {"checks": []}, "compare": {"checks": []}}
    return RunRecord(
        id=folder.name, kind=kind, name="restore", environment="lab", platform="lab", clock=clock,  # type: ignore[arg-type]
        began_at=clock.monotonic_s, ended_at=clock.monotonic_s + LENGTH_S, objectives=Objectives(sustain_s=3.0),
        definition={"path": "restore.yaml", "sha256": "0" * 64, "title": "A large drill"},
        plan={}, arguments={}, planned_steps=["destroy"], machine=conclusion.this_machine(), facts=verified,
        steps=[Step("method", "destroy", fault_at, "succeeded", 0.1)], unmet={"before": [], "after": []},
        fault="the primary was destroyed", fault_at=fault_at, fault_targets=["mysql-a"], hits=["mysql"],
        watched_until=fault_at + 60,
    )  # fmt: skip


def main() -> None:
    """Measure in a process of its own, as a person would call it."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--entries", type=int, default=10_000_000)
    arguments.add_argument("--kind", choices=["drill", "experiment"], default="drill")
    arguments.add_argument("--rounds", type=int, default=5)
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory(prefix="ftchaos-verify-") as below:
        os.environ["FTCHAOS_CACHE"] = f"{below}/cache"
        run = "20261123T061500Z-restore-7f3a"
        verdict = fill(Path(below) / "reports" / run, given.entries, given.kind)
        argv = [Path(sys.executable).parent / "ftchaos", "report", "verify", run, "--reports", f"{below}/reports"]
        took = []
        for _ in range(given.rounds):
            began = time.perf_counter()
            subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)
            took.append(time.perf_counter() - began)
        size = sum(path.stat().st_size for path in Path(below).rglob("*") if path.is_file())
        print(f"{given.kind} with {given.entries:,} entries, {size / 1e6:.0f} MB, {verdict}: verified in", end=" ")
        print(f"{statistics.median(took):.2f} s (median of {given.rounds}, best {min(took):.2f} s; wanted: 2 s)")


if __name__ == "__main__":
    main()
