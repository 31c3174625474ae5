"""The audit of many acknowledged writes, against reading all ids to the client and subtracting sets.

    python benchmarks/audit.py [--rows 10000000] [--flavour mariadb|mysql] [--rounds 3]

Both read the same ledger from disk and the same rows from one real server. Jepsen's way learns which ids are lost or
unexpected; with contents, as the audit does, also which rows are corrupt. Each measurement is a process of its own.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from array import array
from pathlib import Path

from pymysql.cursors import SSCursor

from ftchaos.audit import classify, self_test
from ftchaos.ledger import SCHEMA, TICK_S, Header, Outcome, content, write_id
from ftchaos.mysql import flavour as flavours
from ftchaos.mysql import session, template
from ftchaos.mysql.server import start_plain
from ftchaos.survivors import read as read_survivors
from ftchaos.workload.book import read as read_ledger

WRITERS = 4
LEDGER, ANCHOR_AT = bytes(16), 1000.0


def damages(each: int) -> dict[str, list[str]]:
    """What is done to the rows before each comparison, one after the other."""
    gaps = [write_id(writer, each // 250 * n + 1) for writer in range(1, WRITERS + 1) for n in range(250)]
    wrong = [write_id(writer, each // 25 * n + 9) for writer in range(1, WRITERS + 1) for n in range(25)]
    return {
        "nothing lost": [],
        "10 gaps": [f"DELETE FROM ledger_writes WHERE id IN ({listed(gaps[::100])})"],
        "1000 gaps, 100 corrupt rows": [
            f"DELETE FROM ledger_writes WHERE id IN ({listed(gaps)})",
            f"UPDATE ledger_writes SET content = 'x' WHERE id IN ({listed(wrong)})",
        ],
    }


def listed(numbers: list[int]) -> str:
    return ", ".join(map(str, numbers))


def audit(datadir: Path, ledger_folder: Path) -> dict[str, int]:
    """The whole of what a run does, self-test included."""
    ledger = read_ledger(ledger_folder)
    survivors = read_survivors(lambda: session.connect(datadir), ledger)
    found = classify(ledger, survivors, ANCHOR_AT + 1e6)
    assert self_test(ledger, survivors) == ""
    return {"lost": found.total.lost, "unexpected": found.total.unexpected, "corrupt": found.total.corrupt}


def sets(datadir: Path, ledger_folder: Path, *, contents: bool = False) -> dict[str, int]:
    """Jepsen's way, with a cursor that streams."""
    acknowledged = {
        write_id(writer.writer, seq)
        for writer in read_ledger(ledger_folder).writers
        for seq, outcome in enumerate(writer.outcomes, 1)
        if outcome == Outcome.ACKNOWLEDGED
    }
    corrupt = 0
    with session.connect(datadir) as connection, connection.cursor(SSCursor) as cursor:
        if contents:
            present = set()
            cursor.execute("SELECT id, content FROM ftchaos.ledger_writes")
            for row_id, row_content in cursor:
                present.add(row_id)
                corrupt += row_content != content(row_id)
        else:
            cursor.execute("SELECT id FROM ftchaos.ledger_writes")
            present = {row[0] for row in cursor}
    return {"lost": len(acknowledged - present), "unexpected": len(present - acknowledged), "corrupt": corrupt}


def sets_with_contents(datadir: Path, ledger_folder: Path) -> dict[str, int]:
    """Jepsen's way to know what the audit knows."""
    return sets(datadir, ledger_folder, contents=True)


WAYS = {way.__name__: way for way in (audit, sets, sets_with_contents)}


def fill(datadir: Path, each: int) -> None:
    """So many rows for each writer, made by the server."""
    with session.connect(datadir, database="ftchaos") as connection, connection.cursor() as cursor:
        cursor.execute("SET sql_log_bin = 0")
        cursor.execute("CREATE TABLE numbers (n BIGINT UNSIGNED PRIMARY KEY)")
        cursor.execute("INSERT INTO numbers VALUES (1)")
        made = 1
        while made < each:
            cursor.execute(f"INSERT INTO numbers SELECT n + {made} FROM numbers WHERE n <= {each - made}")
            made = min(2 * made, each)
        for writer in range(1, WRITERS + 1):
            cursor.execute(
                "INSERT INTO ledger_writes (id, content)"
                f" SELECT {write_id(writer, 0)} + n, {write_id(writer, 0)} + n FROM numbers"
            )
        cursor.execute("ANALYZE TABLE ledger_writes")


def keep(folder: Path, each: int) -> None:
    """The ledger of writers that had every write acknowledged, as a workload leaves it."""
    folder.mkdir()
    times = array("I", [1, 20]) * each
    times[0::2] = array("I", range(1, each + 1))
    for writer in range(1, WRITERS + 1):
        header = Header(LEDGER, writer, "mysql", each, closed=each)
        name = folder / f"mysql-{writer}"
        name.with_suffix(".outcomes").write_bytes(header.pack("outcomes") + bytes([Outcome.ACKNOWLEDGED]) * each)
        name.with_suffix(".times").write_bytes(header.pack("times") + times.tobytes())
    facts = {"schema": SCHEMA, "id": LEDGER.hex(), "anchor_at": ANCHOR_AT, "tick_s": TICK_S}
    writers = [{"kind": "mysql", "writer": writer} for writer in range(1, WRITERS + 1)]
    (folder / "ledger.json").write_text(json.dumps({**facts, "writers": writers}))


def measure(way: str, datadir: Path, ledger_folder: Path) -> None:
    """Run one way in this process and say what it took."""
    begin = time.perf_counter()
    found = WAYS[way](datadir, ledger_folder)
    took_s = time.perf_counter() - begin
    print(json.dumps({"s": took_s, "mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, **found}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--flavour")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--measure", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure:
        measure(given.measure[0], Path(given.measure[1]), Path(given.measure[2]))
        return
    flavour, each = flavours.find(given.flavour), given.rows // WRITERS
    ready = template.template(flavour, 8 << 20, print)
    with tempfile.TemporaryDirectory(prefix="ftchaos-benchmark-") as scratch:
        datadir, ledger_folder = Path(scratch) / "data", Path(scratch) / "ledger"
        template.copy(ready, datadir)
        keep(ledger_folder, each)
        options = {"innodb-buffer-pool-size": "1500M", "innodb-flush-log-at-trx-commit": 0, "skip-log-bin": None}
        with start_plain(flavour, datadir, options=options, ready_timeout_s=120):
            print(f"{flavour.name} {flavour.version_text}, {each * WRITERS:,} acknowledged writes", flush=True)
            fill(datadir, each)
            for name, statements in damages(each).items():
                with session.connect(datadir, database="ftchaos") as connection:
                    session.execute(connection, statements)
                compare(name, datadir, ledger_folder, given.rounds)


def compare(name: str, datadir: Path, ledger_folder: Path, rounds: int) -> None:
    """All ways in turns, so that whatever else the machine does meets them alike."""
    results: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
    for _ in range(rounds):
        for way in WAYS:
            argv = [sys.executable, __file__, "--measure", way, str(datadir), str(ledger_folder)]
            results[way].append(json.loads(subprocess.run(argv, check=True, capture_output=True).stdout))
    print(name)
    ours_s = statistics.median(one["s"] for one in results["audit"])
    for way, all_of in results.items():
        took_s = statistics.median(one["s"] for one in all_of)
        found = {key: int(all_of[0][key]) for key in ("lost", "unexpected", "corrupt")}
        memory = max(one["mb"] for one in all_of)
        print(f"  {way:20} {took_s:7.2f} s  {took_s / ours_s:5.1f} x  {memory:6.0f} MB  {found}", flush=True)


if __name__ == "__main__":
    main()
