"""What tests of writers to Redis share: where the shards lie, and what a ledger says of its writers."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ftchaos import survivors
from ftchaos.audit import Survivors
from ftchaos.ledger import Outcome, WriterLedger
from ftchaos.platforms.lab import redis
from ftchaos.platforms.lab.layout import Layout
from ftchaos.workload import book, cluster

SHARDS = {letter: cluster.tag(*map(int, redis.slots(shard).split("-"))) for shard, letter in enumerate("abc")}


def nodes_of(layout: Layout) -> list[list[Any]]:
    return [[node.address, node.port] for node in redis.cluster_nodes(layout)]


def read(
    layout: Layout,
    folder: Path,
    ledgers: Sequence[Path] = (),
    argv: Callable[[list[str]], list[str]] = list,
    **options: Any,
) -> list[Survivors]:
    """The survivors, read by the program that stands where clients are."""
    path, file = folder / "survivors-config.json", folder / "survivors.json"
    where = {"nodes": nodes_of(layout), "shards": SHARDS, "survivors": str(file)}
    path.write_text(json.dumps({"ledgers": [str(one) for one in ledgers or [folder / "ledger"]], **where, **options}))
    subprocess.run(argv([sys.executable, "-m", "ftchaos.survivors", str(path)]), check=True)
    found = survivors.kept(file)
    assert found is not None
    return found


def acknowledged(writer: WriterLedger) -> set[int]:
    return {seq for first, last in writer.acknowledged() for seq in range(first, last + 1)}


def sent(writer: WriterLedger) -> list[float]:
    return [writer.sent_at(seq) for seq in range(1, writer.attempted + 1)]


def served(folder: Path, kind: str) -> list[float]:
    """When the newest writes of a kind were acknowledged."""
    if not (folder / "ledger" / book.FILE).exists():
        return []
    (writer,) = book.read(folder / "ledger", kinds=[kind], live=True).writers
    newest = range(max(1, writer.attempted - 5), writer.attempted + 1)
    return [writer.known_at(seq) for seq in newest if writer.outcome(seq) is Outcome.ACKNOWLEDGED]
