"""Verifying all restored data, against pt-table-checksum on the same data.

    python benchmarks/verify.py [--size 1GiB] [--flavour mariadb|mysql] [--rounds 3]

Both read every row of every table of one warm server. pt-table-checksum writes its results beside the data, with the
options that make it fastest: nothing to wait for, no explain, chunks as large as it likes.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from ftchaos.mysql import flavour as flavours
from ftchaos.mysql import template, verify
from ftchaos.mysql.server import Server, start_plain
from ftchaos.mysql.session import SOCKET, execute
from ftchaos.units import size_bytes


def pt_table_checksum(server: Server) -> None:
    with tempfile.TemporaryDirectory() as short:
        link = Path(short, "s")
        link.symlink_to(server.datadir / SOCKET)
        done = subprocess.run(
            [
                *("pt-table-checksum", f"--socket={link}", "--user=root", "--databases=filetransfer,ftchaos"),
                *("--no-check-binlog-format", "--recursion-method=none", "--no-version-check", "--quiet"),
                *("--no-check-replication-filters", "--no-check-plan"),
            ],
            capture_output=True,
            text=True,
        )
    if done.returncode:
        raise SystemExit(f"pt-table-checksum failed: {done.stdout}{done.stderr}")


def seconds(work: Callable[[], object]) -> float:
    began = time.monotonic()
    work()
    return time.monotonic() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", default="1GiB", type=size_bytes)
    parser.add_argument("--flavour", choices=flavours.NAMES, default="mariadb")
    parser.add_argument("--rounds", default=3, type=int)
    given = parser.parse_args()
    flavour = flavours.find(given.flavour)
    with tempfile.TemporaryDirectory(prefix="ftchaos-benchmark-", dir="/var/tmp") as folder:
        datadir = Path(folder, "data")
        template.copy(template.template(flavour, given.size, print), datadir)
        pool = {"innodb-buffer-pool-size": given.size + (256 << 20), "skip-log-bin": None}
        with start_plain(flavour, datadir, options=pool) as server:
            with server.connect() as session:
                execute(session, ["CREATE DATABASE IF NOT EXISTS percona"])
            work = {
                "schema, counts and checksums": lambda: verify.record(server.connect),
                "pt-table-checksum": lambda: pt_table_checksum(server),
                "foreign keys": lambda: verify.foreign_keys_whole(server.connect),
                "CHECK TABLE": lambda: verify.check_tables(server.connect),
            }
            verify.record(server.connect)  # everything into memory
            took: dict[str, list[float]] = {name: [] for name in work}
            for _ in range(given.rounds):
                for name, task in work.items():
                    took[name].append(seconds(task))
    medians = {name: statistics.median(times) for name, times in took.items()}
    print(f"{given.flavour} {given.size >> 20} MiB: " + ", ".join(f"{name} {at:.2f} s" for name, at in medians.items()))
    ratio = medians["pt-table-checksum"] / medians["schema, counts and checksums"]
    print(f"{ratio:.1f} times faster than pt-table-checksum")


if __name__ == "__main__":
    main()
