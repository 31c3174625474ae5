"""How long the lab takes to come up and to go, with a warm cache of templates.

    python benchmarks/lab_up.py [RUNS] [FLAVOUR]

The first bring-up, which may have to make a template, is told but not counted. Wanted: up in less than 5 s.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

FTCHAOS = Path(sys.executable).parent / "ftchaos"


def elapsed_s(folder: str, *words: str) -> float:
    """Seconds that an ``ftchaos lab`` command takes; its progress is shown only when it fails."""
    began = time.perf_counter()
    done = subprocess.run(
        [FTCHAOS, "lab", *words],
        env={**os.environ, "FTCHAOS_STATE": folder},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        sys.exit(done.stdout + done.stderr)
    return time.perf_counter() - began


def main() -> None:
    """Measure, print the medians."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    flavour = ["--mysql-flavour", sys.argv[2]] if len(sys.argv) > 2 else []
    with tempfile.TemporaryDirectory() as folder:
        taken = []
        for _ in range(runs + 1):
            up_s = elapsed_s(folder, "up", *flavour)
            taken.append((up_s, elapsed_s(folder, "down")))
    (first_up_s, _), *warm = taken
    up_s, down_s = (statistics.median(column) for column in zip(*warm, strict=True))
    print(f"lab up, first   {first_up_s:.2f} s")
    print(f"lab up, warm    {up_s:.2f} s (median of {runs}; wanted: 5)")
    print(f"lab down        {down_s:.2f} s")


if __name__ == "__main__":
    main()
