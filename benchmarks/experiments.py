"""The experiments themselves: how long all of them take, and what kill -9 at any instant leaves behind.

    python benchmarks/experiments.py all
    python benchmarks/experiments.py killed [--instants 100] [--seed 7]
    python benchmarks/experiments.py outage

``outage`` compares what an experiment measured of a killed Redis master with a client that hammers the same shard in
the same run, from the clients' network, and knows nothing of ftchaos.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

from ftchaos import definitions
from ftchaos.evidence.sentence import moment

LAB = "benchmark"
LONGEST_S = 16.0
FTCHAOS = [sys.executable, "-m", "ftchaos"]
HAMMER = """
import sys, time
from ftchaos.platforms.lab import redis
host, port, slot_key, until = sys.argv[1], int(sys.argv[2]), sys.argv[3], time.monotonic() + float(sys.argv[4])
nodes = [pair.split(":") for pair in sys.argv[5:]]
while time.monotonic() < until:
    for address, number in nodes:
        at = time.monotonic()
        if redis.ask(address, int(number), f"SET {slot_key} {at}", 0.05).startswith("+OK"):
            print(at, flush=True)
            break
    time.sleep(0.004)  # each try is a connection of its own, and their ports come back slowly
"""


def run(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "FTCHAOS_STATE": str(folder / "state")}
    return subprocess.run(
        [*FTCHAOS, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def all_of_them(folder: Path) -> None:
    began_at = time.monotonic()
    done = run("experiment", "run", "--all", "--json", folder=folder)
    said = json.loads(done.stdout)
    for row in said["runs"]:
        print(f"{row['name']:28} {row['verdict']}")
    print(
        f"{len(said['runs'])} experiments in {(time.monotonic() - began_at) / 60:.1f} minutes, exit {done.returncode}"
    )


def killed(folder: Path, instants: int, seed: int) -> None:
    chosen = random.Random(seed)
    up = run("lab", "up", "--name", LAB, "--mysql-flavour", "mariadb", "--size", "8MiB", "--json", folder=folder)
    services = set(json.loads(up.stdout)["services"])
    left = lost = 0
    try:
        for number in range(1, instants + 1):
            name, after_s = chosen.choice(definitions.names_for("experiment", "lab")), chosen.uniform(0.3, LONGEST_S)
            problem = _killed_once(folder, name, after_s, services)
            left += "left" in problem
            lost += "evidence" in problem
            print(f"{number:3} {name:28} after {after_s:4.1f} s: {problem or 'nothing left'}", flush=True)
    finally:
        run("lab", "down", "--name", LAB, folder=folder)
    print(f"kill -9 at {instants} instants: {left} left something behind, {lost} lost evidence")


def _killed_once(folder: Path, name: str, after_s: float, services: set[str]) -> str:
    known = set(folder.glob("reports/*/run.json"))
    environment = {**os.environ, "FTCHAOS_STATE": str(folder / "state")}
    argv = [*FTCHAOS, "experiment", "run", name, "--lab", LAB]
    process = subprocess.Popen(argv, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(after_s)
    process.send_signal(signal.SIGKILL)
    process.wait()
    recovered = run("recover", folder=folder)
    if recovered.returncode:
        return f"left: recover ended with {recovered.returncode}: {recovered.stderr.strip()}"
    again = run("recover", folder=folder).stdout
    if "nothing to recover" not in again:
        return f"left: a second recover found something: {again.strip()}"
    status = json.loads(run("lab", "status", "--name", LAB, "--json", folder=folder).stdout)
    if dead := services - {name for name, one in status["services"].items() if one["alive"]}:
        return f"left: dead services {', '.join(sorted(dead))}"
    if status.get("blocked") or any(one["cut"] for one in status["places"].values()):
        return "left: a cut network"
    new = set(folder.glob("reports/*/run.json")) - known
    if any(not (one.parent / "evidence.json").exists() for one in new):
        return "evidence lost"
    return ""


def outage(folder: Path) -> None:
    from ftchaos.platforms.lab import redis, standing
    from ftchaos.platforms.lab.lab import Lab
    from ftchaos.workload import cluster

    os.environ["FTCHAOS_STATE"] = str(folder / "state")
    run("lab", "up", "--name", LAB, "--mysql-flavour", "mariadb", "--size", "8MiB", folder=folder)
    try:
        lab = Lab.attach(LAB)
        nodes = [f"{one.address}:{one.port}" for one in redis.cluster_nodes(lab.layout) if one.shard == 0]
        key = "{" + cluster.tag(*redis.slot_range(standing.SHARDS.index("a"))) + "}hammer"
        argv = lab.client_argv([sys.executable, "-c", HAMMER, *nodes[0].split(":"), key, "25", *nodes])
        hammer = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
        done = run("experiment", "run", "redis-master-kill", "--lab", LAB, "--json", folder=folder)
        stdout, _ = hammer.communicate()
        evidence: dict[str, Any] = json.loads(done.stdout)
        mine = next(one for one in evidence["components"] if one["name"] == "cache-a")
        instants = [float(line) for line in stdout.split()]
        gap_s = max(after - before for before, after in pairwise(instants))
        down_s = (moment(mine["writable_at"]) - moment(mine["failed_at"])).total_seconds()
        print(f"cache-a failed for {down_s:.3f} s, resolution {mine['resolution_s'] * 1000:.0f} ms")
        print(f"a client that hammers the same shard: longest gap {gap_s:.3f} s")
    finally:
        run("lab", "down", "--name", LAB, folder=folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["all", "killed", "outage"])
    parser.add_argument("--instants", type=int, default=100)
    parser.add_argument("--seed", type=int, default=7)
    chosen = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="ftchaos-benchmark-"))
    try:
        if chosen.what == "all":
            all_of_them(folder)
        elif chosen.what == "killed":
            killed(folder, chosen.instants, chosen.seed)
        else:
            outage(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
