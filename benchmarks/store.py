"""How long it takes to list 10,000 runs by the index, against reading and parsing every evidence file.

Both are done in processes of their own, so that the index pays for its imports too. Then runs are altered in one
random byte, taken away, exchanged and inserted, and each must be found.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

import samples

from ftchaos import chain, evidence, manifest
from ftchaos.clock import iso
from ftchaos.store.folder import FolderStore

NAMES = ("restore", "zone-outage", "redis-master-kill", "mysql-primary-kill")
LIST = "from ftchaos import store; print(len(store.open({reports!r}).summaries()))"
PARSE = (
    "from pathlib import Path; from ftchaos import evidence; "
    "print(sum(evidence.read(one.parent).verdict != '' for one in Path({reports!r}).glob('*/evidence.json')))"
)


def fill(reports: Path, count: int, began: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
    """Runs one hour apart, each with whole evidence as large as that of a real drill, chained."""
    texts = []
    for found in (samples.passed(), samples.failed()):
        found.summary = found.summary or evidence.sentence(found)
        texts.append((found.run_id, found.model_dump_json(indent=1) + "\n"))
    previous = None
    for number in range(count):
        at, name = began + timedelta(hours=number), NAMES[number % len(NAMES)]
        old_id, text = texts[number % 10 == 9]
        folder = reports / f"{at:%Y%m%dT%H%M%SZ}-{name}-{number % 65536:04x}"
        (folder / "ledger").mkdir(parents=True)
        whole = json.loads(text.replace(old_id, folder.name))
        environment = "staging" if number % 8 == 0 else "lab"
        whole |= {
            "name": name,
            "environment": environment,
            "began_at": iso(at),
            "ended_at": iso(at + timedelta(minutes=1)),
        }
        if whole["recovery"]["recovery_time_s"] is not None:
            whole["recovery"]["recovery_time_s"] += number % 7 / 10
        (folder / "evidence.json").write_text(json.dumps(whole, indent=1))
        (folder / "ledger" / "db-1.outcomes").write_bytes(bytes([2]) * 4096)
        content, _ = manifest.sealed(folder, manifest.digests(folder), previous, None)
        (folder / manifest.FILE).write_bytes(content)
        previous = manifest.link(json.loads(content), content)
    assert previous is not None
    chain.write_end(reports, previous)


def seconds(program: str, reports: Path, count: int) -> float:
    """How long a program takes in a process of its own."""
    argv = [sys.executable, "-c", program.format(reports=str(reports))]
    began = time.perf_counter()
    done = subprocess.run(argv, check=True, capture_output=True)
    took_s = time.perf_counter() - began
    assert int(done.stdout) == count
    return took_s


def problems(reports: Path) -> list[str]:
    return [problem for _, found in FolderStore(reports).examine() for problem in found]


def tampered(tries: int, runs: int) -> tuple[int, int]:
    """How many of so many alterations of a small store were found."""
    dice, found, done = random.Random(2026), 0, 0
    with tempfile.TemporaryDirectory(prefix="ftchaos-store-") as below:
        reports = Path(below) / "reports"
        fill(reports, runs)
        assert not problems(reports)
        files = sorted(path for path in reports.rglob("*") if path.is_file())
        for _ in range(tries):
            path = dice.choice(files)
            content = path.read_bytes()
            altered = bytearray(content)
            altered[dice.randrange(len(content))] ^= dice.randrange(1, 256)
            path.write_bytes(altered)
            done, found = done + 1, found + bool(problems(reports))
            path.write_bytes(content)
        folders = sorted(path for path in reports.iterdir() if path.is_dir())
        for folder in folders:  # taken away
            folder.rename(Path(below) / "away")
            done, found = done + 1, found + bool(problems(reports))
            (Path(below) / "away").rename(folder)
        for one in folders:  # exchanged with each other one
            for other in folders:
                if one < other:
                    _exchange(one, other, Path(below) / "away")
                    done, found = done + 1, found + bool(problems(reports))
                    _exchange(one, other, Path(below) / "away")
        other_reports = Path(below) / "other"
        fill(other_reports, 2 * runs)
        for stranger in sorted(path for path in other_reports.iterdir() if path.is_dir()):  # inserted, renamed
            copy = reports / f"20270101T000000Z-{hashlib.sha256(stranger.name.encode()).hexdigest()[:8]}"
            shutil.copytree(stranger, copy)
            done, found = done + 1, found + bool(problems(reports))
            shutil.rmtree(copy)
        assert not problems(reports)
    return found, done


def _exchange(one: Path, other: Path, away: Path) -> None:
    one.rename(away)
    other.rename(one)
    away.rename(other)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--runs", type=int, default=10_000)
    arguments.add_argument("--tries", type=int, default=1_000)
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory(prefix="ftchaos-store-") as below:
        os.environ["FTCHAOS_CACHE"] = f"{below}/cache"
        reports = Path(below) / "reports"
        fill(reports, given.runs)
        first_s = seconds(LIST, reports, given.runs)
        # In turns, so that whatever else the machine does hits both.
        turns = [(seconds(LIST, reports, given.runs), seconds(PARSE, reports, given.runs)) for _ in range(5)]
        listed_s, parsed_s = (statistics.median(column) for column in zip(*turns, strict=True))
        print(f"{given.runs:,} runs: listed in {listed_s:.3f} s, every evidence parsed in {parsed_s:.2f} s,")
        print(f"{parsed_s / listed_s:.1f} times faster (medians of 5); the first listing took {first_s:.1f} s")
        found, done = tampered(given.tries, 6)
        print(f"{found:,} of {done:,} alterations were found")
    sys.exit(0 if found == done else 1)


if __name__ == "__main__":
    main()
