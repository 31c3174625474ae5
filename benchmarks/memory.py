"""Peak memory of ftchaos itself during a drill: ``python benchmarks/memory.py --size 4GiB``.

It is the high-water mark of the resident memory of the command's own process, by the kernel's account
(``VmHWM``), read until it ends. Servers, clients and the witness are processes of their own and do not count.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

WANTED_BYTES = 200_000_000


def main() -> None:
    """Run one drill and print its peak memory as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", default="4GiB")
    parser.add_argument("--mysql-flavour", default="mariadb")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ftchaos-benchmark-") as folder:
        argv = [sys.executable, "-m", "ftchaos", "drill", "restore", "--json", "--size", chosen.size]
        argv += ["--mysql-flavour", chosen.mysql_flavour]
        with (Path(folder) / "evidence.json").open("w+") as output:
            process = subprocess.Popen(argv, cwd=folder, stdout=output)
            peak_bytes = 0
            while process.poll() is None:
                peak_bytes = max(peak_bytes, _high_water_bytes(process.pid))
                time.sleep(0.05)
            output.seek(0)
            evidence = json.load(output)
    figures = {
        "size": chosen.size,
        "flavour": chosen.mysql_flavour,
        "verdict": evidence["verdict"],
        "recovery_time_s": round(evidence["recovery"]["recovery_time_s"] or 0, 2),
        "phases": {
            f"{n} {p['name']}": round(p["duration_s"], 2) for n, p in enumerate(evidence["recovery"]["phases"], 1)
        },
        "peak_bytes": peak_bytes,
        "wanted_bytes": WANTED_BYTES,
    }
    print(json.dumps(figures, indent=1))


def _high_water_bytes(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM")), 0)


if __name__ == "__main__":
    main()
