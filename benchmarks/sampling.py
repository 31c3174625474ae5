"""What sampling and witnessing cost the clients: writes a second of clients that know nothing of ftchaos, in turns.

    python benchmarks/sampling.py [--rounds 8] [--seconds 5] [--paced 100]

Two clients commit through the writer's address, once each as fast as they are answered and once each at a pace, alone
and beside the witness of every server; then beside the witness and all samplers with the writes that they need.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ftchaos import survivors
from ftchaos.options import Options
from ftchaos.platforms.base import Traffic
from ftchaos.platforms.lab.lab import Lab
from ftchaos.platforms.lab.platform import LabPlatform
from ftchaos.traffic import TrafficProcesses
from ftchaos.undo import UndoLog

LAB = "sampling"
CLIENT = """
import sys, time
import pymysql
host, port, secret, number, seconds, rate = sys.argv[1:]
login = {"user": "ftchaos", "password": open(secret).read().strip(), "database": "ftchaos", "autocommit": True}
connection = pymysql.connect(host=host, port=int(port), **login)
cursor, count, until = connection.cursor(), 0, time.monotonic() + float(seconds)
first, due = (int(number) << 40) + time.monotonic_ns() // 1000, time.monotonic()
while time.monotonic() < until:
    cursor.execute("INSERT INTO ledger_writes (id, content) VALUES (%s, 'x')", (first + count,))
    count += 1
    if float(rate):
        due = max(due + 1 / float(rate), time.monotonic() - 0.1)
        time.sleep(max(0.0, due - time.monotonic()))
print(count)
"""


def writes_a_second(lab: Lab, traffic: Traffic, seconds: float, rate: float) -> float:
    where = [traffic.writer.host, str(traffic.writer.port), str(traffic.secret)]
    clients = [
        subprocess.Popen(
            lab.client_argv([sys.executable, "-c", CLIENT, *where, str(number), str(seconds), str(rate)]),
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in (1_000_001, 1_000_002)
    ]
    return sum(int(client.communicate()[0]) for client in clients) / seconds


@contextmanager
def beside(platform: LabPlatform, folder: Path, what: str) -> Iterator[None]:
    """The witness, or everything, as in a run."""
    if what == "nothing":
        yield
        return
    (folder / "observations").mkdir(parents=True)
    processes, traffic = TrafficProcesses(folder), platform.traffic()
    if what == "witness":
        config = {"targets": traffic.witnessed, "observations": str(folder / "observations" / "witness.jsonl")}
        processes._spawn("witness", platform.client_argv, config)
    else:
        with platform.survivors() as connection:
            first = survivors.next_writer(connection)
        processes.begin(traffic, platform.client_argv, first, lambda *_: None, whole=True)
    time.sleep(1)  # it has begun
    try:
        yield
        processes.ensure_alive()
    finally:
        processes.end()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--paced", type=float, default=100, help="writes a second of each client that is paced")
    chosen = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="ftchaos-benchmark-"))
    os.environ["FTCHAOS_STATE"] = str(folder / "state")
    lab = Lab.up(LAB, flavour="mariadb", size_bytes=8 << 20, ephemeral=True, progress=lambda _: None)
    platform = LabPlatform(Options.parse({"lab": LAB}))
    try:
        platform.begin("sampling", UndoLog(folder / "undo.jsonl"), lambda _: None)
        for pace, rate in (("as fast as answered", 0.0), (f"at {chosen.paced:g} a second each", chosen.paced)):
            found: dict[str, list[float]] = {"nothing": [], "witness": [], "everything": []}
            for number in range(chosen.rounds):
                for what, measured in found.items():
                    with beside(platform, folder / f"{pace}-{number}-{what}", what):
                        measured.append(writes_a_second(lab, platform.traffic(), chosen.seconds, rate))
            alone = found["nothing"]
            for what in ("witness", "everything"):
                ratios = [with_it / without for with_it, without in zip(found[what], alone, strict=True)]
                print(
                    f"{pace}, beside {what}: {statistics.median(ratios):.3f} of {statistics.median(alone):,.0f} writes"
                    f" a second (by round {', '.join(f'{one:.2f}' for one in ratios)})",
                    flush=True,
                )
    finally:
        lab.down()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
