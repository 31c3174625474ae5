"""How long the gate takes to decide over 10,000 runs, against reading and parsing every evidence file.

    python benchmarks/gate.py [--runs 10000] [--rounds 3]

All are processes of their own that take turns; the gate verifies the runs that it relies on. The index that it uses is
made by whoever asks first. Without it the gate does what it would do without any: it reads, parses and holds against
its manifest the evidence of every run. Reading and parsing alone, which decides nothing, is measured beside it.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from store import PARSE, fill

POLICY = """\
objectives: {rto: 4h, rpo: 15m}
requirements:
  - {run: drill/restore, max_age: 31d, passes: 3, recovery_time: 50%, lost: 0}
  - {name: every-two-days, run: drill/restore, every: 2d, success_rate: 30%}
  - {name: in-the-lab, run: drill/zone-outage, environment: lab, max_age: 7d}
  - {name: game-day, run: gameday/quarterly, every: 90d}
"""


def seconds(argv: list[str], environment: dict[str, str], codes: tuple[int, ...]) -> tuple[float, str]:
    began = time.perf_counter()
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)
    took = time.perf_counter() - began
    if done.returncode not in codes:
        raise SystemExit(f"{argv} ended with {done.returncode}: {done.stdout}{done.stderr}")
    return took, done.stdout


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", default=10_000, type=int)
    parser.add_argument("--rounds", default=3, type=int)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ftchaos-benchmark-", dir="/var/tmp") as place:
        reports, policy = Path(place, "reports"), Path(place, "gate.yaml")
        fill(reports, given.runs, datetime.now(UTC) - timedelta(hours=given.runs))
        policy.write_text(POLICY)
        environment = {**os.environ, "FTCHAOS_CACHE": str(Path(place, "cache"))}
        ftchaos = [str(Path(sys.executable).parent / "ftchaos"), "gate", "--environment", "staging", "--json"]
        gate = [*ftchaos, "--policy", str(policy), "--reports", str(reports)]
        parse = [sys.executable, "-c", PARSE.format(reports=str(reports))]
        taken = []
        for _ in range(given.rounds):
            shutil.rmtree(environment["FTCHAOS_CACHE"], ignore_errors=True)
            without_s, _ = seconds(gate, environment, (0, 1))
            gate_s, said = seconds(gate, environment, (0, 1))
            taken.append((gate_s, without_s, seconds(parse, environment, (0,))[0]))
    for one in json.loads(said)["requirements"]:
        print(f"{one['name']:15} {one['state']:8} {len(one['runs'])} runs verified")
    ours, without, parsing = (statistics.median(column) for column in zip(*taken, strict=True))
    print(f"gate over {given.runs} runs, process and all      {ours:.3f} s (median of {given.rounds}; wanted: 0.5)")
    print(f"without the index, every evidence read again  {without:.1f} s, {without / ours:.1f} times (wanted: 20)")
    print(f"reading and parsing alone, no decision        {parsing:.1f} s, {parsing / ours:.1f} times")


if __name__ == "__main__":
    main()
