"""Which of the ledger's writes a cache holds, read from the masters of the moment once it is whole.

Whole means that most nodes of a Redis Cluster answer, that all that do call it ok, and that they agree on the master of
every shard. A master that was replaced while it was cut off cannot be taken for the one that counts: the others know
better. Where there is no Redis Cluster, a master must be behind the address that clients use. The same is asked again
after the keys were read, and where it has changed, all is read once more.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from ftchaos.audit import Interval, Surviving, Survivors
from ftchaos.errors import Inconclusive, Invalid
from ftchaos.ledger import WriterLedger, content, write_id
from ftchaos.survivors.intervals import merged
from ftchaos.workload import book
from ftchaos.workload.cluster import Address, agreed, key_prefix, lies_in_redis, shard_of, slot_of, view, view_alone
from ftchaos.workload.link import PLAIN, Link, Manner
from ftchaos.workload.resp import Reply, command

BATCH = 500
# No writer leaves more than this beyond its last attempted write, whatever goes wrong with it.
BEYOND = 100
ASK_TIMEOUT_S = 0.5
ANSWER_TIMEOUT_S = 2.0
PAUSE_S = 0.1
LOOK = command("CLUSTER", "NODES") + command("CLUSTER", "INFO")
LOOK_ALONE = command("ROLE")


class _NotWhole(Exception):
    """The cluster cannot be read at this moment; it says why."""


class _Keys:
    """The keys of one writer."""

    def __init__(self, ledger: str, shards: Mapping[str, str], writer: WriterLedger) -> None:
        shard = shard_of(writer.kind)
        if shard not in shards:
            raise Invalid(f"nobody says where shard {shard!r} of {writer.kind} lies", "name its hash tag in shards")
        self.writer = writer
        self.prefix = key_prefix(shards[shard], ledger)
        self.slot = slot_of(self.prefix)

    def batches(self) -> Iterator[range]:
        end = self.writer.attempted + BEYOND + 1
        return (range(first, min(first + BATCH, end)) for first in range(1, end, BATCH))

    def command(self, name: str, sequences: Sequence[int]) -> bytes:
        return command(name, *(f"{self.prefix}{write_id(self.writer.writer, seq)}" for seq in sequences))


@dataclass(frozen=True)
class _Cluster:
    """Where its nodes are, and how they want to be spoken to."""

    nodes: Sequence[Address]
    manner: Manner


T = TypeVar("T")
Work = Callable[[Link, _Keys], Awaitable[T]]


def read(
    nodes: Sequence[Address],
    shards: Mapping[str, str],
    folders: Sequence[Path],
    timeout_s: float,
    manner: Manner = PLAIN,
) -> list[Survivors]:
    """What the cluster holds of each kind of writer to Redis.

    Args:
        nodes: host and port of all its nodes.
        shards: the hash tag of each shard, as the writers were told.
        folders: of ledgers whose writers have ended; those of different folders have different kinds.
        timeout_s: how long to wait until the cluster is whole and read.
        manner: how its nodes want to be spoken to.

    Raises:
        Inconclusive: it was not within the time, or a ledger is torn.
        Invalid: a shard has no tag.
    """
    keys = _keys(shards, folders)
    if not keys:
        return []
    read_at, found = asyncio.run(_of_each(_Cluster(nodes, manner), keys, timeout_s, _survey))
    survivors = []
    for kind in dict.fromkeys(one.writer.kind for one in keys):
        of_kind = [(one.writer, there) for one, there in zip(keys, found, strict=True) if one.writer.kind == kind]
        writers = {writer.writer: surviving for writer, (surviving, _) in of_kind}
        survivors.append(Survivors(kind, read_at, writers, sum(beyond for _, (_, beyond) in of_kind)))
    return survivors


def forget(
    nodes: Sequence[Address],
    shards: Mapping[str, str],
    folders: Sequence[Path],
    timeout_s: float,
    manner: Manner = PLAIN,
) -> int:
    """Remove what writers left, so that a cache that evicts has room for those of the next run; how many keys.

    Raises:
        Inconclusive: the cluster was not whole within the time.
    """
    keys = _keys(shards, folders)
    return sum(asyncio.run(_of_each(_Cluster(nodes, manner), keys, timeout_s, _remove))[1]) if keys else 0


def _keys(shards: Mapping[str, str], folders: Sequence[Path]) -> list[_Keys]:
    return [
        _Keys(book.identity(folder), shards, writer)
        for folder in folders
        for writer in book.read(folder).writers
        if lies_in_redis(writer.kind)
    ]


async def _of_each(cluster: _Cluster, keys: Sequence[_Keys], timeout_s: float, work: Work[T]) -> tuple[float, list[T]]:
    """The result of some work on the keys of each writer, and when it began, the cluster being whole all the while."""
    slots = sorted({one.slot for one in keys})
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            masters = await _masters(cluster, slots)
            began_at = time.monotonic()
            async with asyncio.timeout(max(deadline - began_at, PAUSE_S)):
                found = await asyncio.gather(*(_on(masters[one.slot], cluster, work, one) for one in keys))
            if await _masters(cluster, slots) != masters:
                raise _NotWhole("its masters changed while they were read")
            return began_at, found
        except (_NotWhole, OSError) as error:
            if time.monotonic() > deadline:
                raise Inconclusive(
                    f"the cache was not whole and read within {timeout_s:g} s: {error or 'it was too slow'}",
                    "look at the logs of its nodes, or give it more time",
                ) from error
        await asyncio.sleep(PAUSE_S)


async def _on(master: Address, cluster: _Cluster, work: Work[T], keys: _Keys) -> T:
    link = await Link.to(master, ASK_TIMEOUT_S, cluster.manner)
    try:
        return await work(link, keys)
    finally:
        link.close()


async def _masters(cluster: _Cluster, slots: Sequence[int]) -> dict[int, Address]:
    """Where the master of each slot is.

    Raises:
        _NotWhole: the cluster is not whole.
    """
    nodes = cluster.nodes
    said = await asyncio.gather(*(_look(node, cluster.manner) for node in nodes))
    answers = [(node, answer) for node, answer in zip(nodes, said, strict=True) if isinstance(answer, list)]
    if 2 * len(answers) <= len(nodes):
        silent = next((str(one) for one in said if not isinstance(one, list)), "")
        raise _NotWhole(f"{len(answers)} of its {len(nodes)} nodes answer ({silent})")
    views = []
    if not cluster.manner.clustered:
        return _alone(answers, slots)
    for node, (known, state) in answers:
        if not isinstance(known, bytes) or not isinstance(state, bytes):
            raise _NotWhole(f"{node[0]}:{node[1]} says {known!r}")
        if b"cluster_state:ok" not in state:
            raise _NotWhole(f"{node[0]}:{node[1]} does not call it ok")
        views.append((node, known.decode()))
    try:
        return agreed([(node, view(text)) for node, text in views], slots)
    except ValueError as error:
        raise _NotWhole(str(error)) from error


def _alone(answers: Sequence[tuple[Address, list[Reply]]], slots: Sequence[int]) -> dict[int, Address]:
    try:
        return agreed([(node, view_alone(role)) for node, (role,) in answers], slots)
    except ValueError as error:
        raise _NotWhole(str(error)) from error


async def _look(node: Address, manner: Manner) -> list[Reply] | OSError:
    try:
        link = await Link.to(node, ASK_TIMEOUT_S, manner)
        try:
            request, replies = (LOOK, 2) if manner.clustered else (LOOK_ALONE, 1)
            return await link.ask(request, replies, max(ASK_TIMEOUT_S, manner.reach_s))
        finally:
            link.close()
    except OSError as error:
        return error


async def _survey(link: Link, keys: _Keys) -> tuple[Surviving, int]:
    """What is there of one writer's writes, and how many keys beyond its last attempted one."""
    number, attempted = keys.writer.writer, keys.writer.attempted
    present: list[Interval] = []
    corrupt: list[Interval] = []
    beyond = 0
    for batch in keys.batches():
        (values,) = await link.ask(keys.command("MGET", batch), 1, ANSWER_TIMEOUT_S)
        if not isinstance(values, list) or len(values) != len(batch):
            raise _NotWhole(f"{link.address[0]}:{link.address[1]} says {values!r}")
        for seq, value in zip(batch, values, strict=True):
            if value is None:
                continue
            if seq > attempted:
                beyond += 1
                continue
            present.append((seq, seq))
            if value != content(write_id(number, seq)).encode():
                corrupt.append((seq, seq))
        present = list(merged(present))
    return Surviving(tuple(present), tuple(merged(corrupt))), beyond


async def _remove(link: Link, keys: _Keys) -> int:
    removed = 0
    for batch in keys.batches():
        (count,) = await link.ask(keys.command("UNLINK", batch), 1, ANSWER_TIMEOUT_S)
        if not isinstance(count, int):
            raise _NotWhole(f"{link.address[0]}:{link.address[1]} says {count!r}")
        removed += count
    return removed
