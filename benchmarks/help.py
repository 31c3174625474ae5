"""How long until the command line answers: ``ftchaos --help`` against ``chaos --help``, from the same environment.

    python benchmarks/help.py [RUNS]

The two take turns, so that whatever else the machine does hits both. Wanted: at least 4 times faster.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

PROGRAMS = Path(sys.executable).parent


def elapsed_s(program: str) -> float:
    """Seconds from the call to the end of ``PROGRAM --help``."""
    began = time.perf_counter()
    subprocess.run([PROGRAMS / program, "--help"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - began


def main() -> None:
    """Measure, print the medians and their ratio."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    for program in ("ftchaos", "chaos"):
        elapsed_s(program)  # the first run reads the files from disk
    taken = [(elapsed_s("ftchaos"), elapsed_s("chaos")) for _ in range(runs)]
    ours, theirs = (statistics.median(column) for column in zip(*taken, strict=True))
    print(f"ftchaos --help  {ours:.3f} s (median of {runs})")
    print(f"chaos --help    {theirs:.3f} s")
    print(f"ratio           {theirs / ours:.1f} times faster (wanted: 4)")


if __name__ == "__main__":
    main()
