"""Writers' throughput with the ledger, against the same writers without; unpaced, on one real server.

    python benchmarks/ledger.py [--flavour mariadb|mysql] [--rounds 15] [--seconds 3]

Durable as RDS (each commit synced), and without syncing, where the ledger weighs most. The two take turns.
Wanted: at least 0.95. Also printed: what one write costs in the ledger alone, and bytes a write.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from ftchaos.ledger import Outcome, write_id
from ftchaos.mysql import flavour as flavours
from ftchaos.mysql import session, template
from ftchaos.mysql.server import Server, wait_ready
from ftchaos.survivors import next_writer
from ftchaos.workload import book
from ftchaos.workload.config import Mysql
from ftchaos.workload.inserts import Inserter

WRITERS = 4
PORT = 23306
MODES = {"each commit synced": {}, "nothing synced": {"sync-binlog": 0, "innodb-flush-log-at-trx-commit": 0}}


class NoBook:
    """Counts, so that ids differ, and keeps nothing."""

    def __init__(self, writer: int) -> None:
        self.writer, self.attempted = writer, 0
        self.counts = [0] * len(Outcome)

    def attempt(self) -> int:
        self.attempted += 1
        return self.attempted

    def settle(self, seq: int, outcome: Outcome) -> None:
        self.counts[outcome] += 1

    def write_id(self, seq: int) -> int:
        return write_id(self.writer, seq)

    def close(self) -> None:
        """Nothing to close."""


def measure(with_ledger: bool, first: int, secret_file: str, seconds: float) -> None:
    """Run writers in this process and print how many writes a second were acknowledged."""
    config = Mysql("127.0.0.1", PORT, "ftchaos", secret_file, WRITERS, rate=0)
    numbers = range(first, first + WRITERS)
    with tempfile.TemporaryDirectory(prefix="ftchaos-benchmark-") as folder:
        books = (
            book.create(Path(folder) / "ledger", [("mysql", number) for number in numbers])
            if with_ledger
            else [NoBook(number) for number in numbers]
        )
        end = threading.Event()
        writers = [Inserter(config, one, end) for one in books]  # type: ignore[arg-type]
        began_at = time.perf_counter()
        for writer in writers:
            writer.start()
        time.sleep(seconds)
        end.set()
        for writer in writers:
            writer.join()
        took_s = time.perf_counter() - began_at
        assert all(one.counts[Outcome.ACKNOWLEDGED] == one.attempted for one in books), writers[0].problem
        print(sum(one.attempted for one in books) / took_s)
        for one in books:
            one.close()


def cost_alone() -> str:
    """One write's share in the ledger, without any database."""
    count = 300_000
    with tempfile.TemporaryDirectory(prefix="ftchaos-benchmark-") as folder:
        (one,) = book.create(Path(folder) / "ledger", [("mysql", 1)])
        began_at = time.perf_counter()
        for _ in range(count):
            one.settle(one.attempt(), Outcome.ACKNOWLEDGED)
        took_s = time.perf_counter() - began_at
        one.close()
        size_bytes = sum(path.stat().st_size for path in (Path(folder) / "ledger").glob("mysql-*"))
    return f"{took_s / count * 1e6:.2f} microseconds and {size_bytes / count:.3f} bytes a write"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--flavour")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--measure", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure:
        measure(given.measure[0] == "with", int(given.measure[1]), given.measure[2], given.seconds)
        return
    flavour = flavours.find(given.flavour)
    ready = template.template(flavour, 8 << 20, print)
    print(f"the ledger alone: {cost_alone()}")
    for mode, options in MODES.items():
        with tempfile.TemporaryDirectory(prefix="ftchaos-benchmark-") as scratch:
            datadir = Path(scratch) / "data"
            template.copy(ready, datadir)
            argv = flavour.server_argv(
                datadir, server_id=1, bind="127.0.0.1", port=PORT, options={"read-only": 0, **options}
            )
            with Path(scratch, "log").open("wb") as log:
                process = subprocess.Popen(
                    ["setpriv", "--pdeathsig", "KILL", *argv], cwd=datadir, stdout=log, stderr=log
                )
            try:
                wait_ready(Server("benchmark", flavour, datadir), 60, process)
                compare(f"{flavour.name}, {mode}", datadir, ready.parent / "secret", given.rounds, given.seconds)
            finally:
                process.kill()
                process.wait()


def compare(name: str, datadir: Path, secret_file: Path, rounds: int, seconds: float) -> None:
    """Both in turns, beginning with the other each time."""
    found: dict[str, list[float]] = {"with": [], "without": []}
    for turn in range(rounds):
        for way in ("with", "without") if turn % 2 else ("without", "with"):
            with session.connect(datadir) as connection:
                first = next_writer(connection)
            argv = [sys.executable, __file__, "--seconds", str(seconds), "--measure", way, str(first), str(secret_file)]
            found[way].append(float(subprocess.run(argv, check=True, capture_output=True, env=os.environ).stdout))
    ours, bare = (statistics.median(found[way]) for way in ("with", "without"))
    print(
        f"{name}: {ours:.0f} writes/s with the ledger, {bare:.0f} without: {ours / bare:.3f} (wanted: 0.95)", flush=True
    )


if __name__ == "__main__":
    main()
