"""Writers to a Redis Cluster: one SET after the other to the master of a slot, in an outage a try at least each 20 ms.

A cluster client that retries by itself would hide the outage; this one only ever sends a write once.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from ftchaos.ledger import Outcome, content
from ftchaos.workload import fate, part
from ftchaos.workload.book import Book
from ftchaos.workload.claims import Claims
from ftchaos.workload.cluster import key_prefix, shard_of, slot_of
from ftchaos.workload.config import Redis
from ftchaos.workload.link import Link, Lost, Manner, NotSent
from ftchaos.workload.resp import command

RETRY_S = 0.02
CONNECT_TIMEOUT_S = 0.15
# How long the first writes wait until the cluster is known.
BEGIN_S = 1.0
# The longest sleep that does not look whether the end has come.
NAP_S = 0.1


class Setter:
    """One writer; for one event loop."""

    def __init__(self, config: Redis, book: Book, claims: Claims, manner: Manner) -> None:
        self._config, self._book, self._claims, self._manner = config, book, claims, manner
        prefix = key_prefix(config.shards[shard_of(book.kind)], book.ledger.hex())
        self._slot, self._prefix = slot_of(prefix), prefix.encode()
        waits = book.kind in config.waiting_kinds()
        # In one piece, so that a write costs one turn; an error of the SET comes first and decides.
        self._after = command("WAIT", 1, round(config.wait_timeout_s * 1000)) if waits else b""
        self._link: Link | None = None
        # Whether its node answered the last write as a master does.
        self._sure = True
        self._connecting: asyncio.Task[Link] | None = None
        self.problem = ""

    async def run(self, end: asyncio.Event) -> None:
        """Write until told to end."""
        interval_s = 1 / self._config.rate if self._config.rate else 0.0
        await self._claims.master(self._slot, BEGIN_S)
        due_at = time.monotonic()
        while not end.is_set():
            began_at = time.monotonic()
            served = await self._write()
            now = time.monotonic()
            # In an outage tries follow each other at a distance of their own; a backlog is not made up for.
            due_at = max(due_at + interval_s if served else began_at + RETRY_S, now)
            while (left_s := due_at - time.monotonic()) > 0 and not end.is_set():
                await asyncio.sleep(min(left_s, NAP_S))
        self._drop()
        if self._connecting is not None:
            self._connecting.cancel()

    async def _write(self) -> bool:
        """Attempt one write; whether there is a node that serves."""
        seq = self._book.attempt()
        link = await self._reach()
        if link is None:
            self._book.settle(seq, Outcome.FAILED)
            return False
        try:
            replies = await link.ask(self._request(seq), 2 if self._after else 1, self._config.timeout_s)
        except (NotSent, Lost) as error:
            self._book.settle(seq, Outcome.FAILED if isinstance(error, NotSent) else Outcome.INDETERMINATE)
            self.problem = f"{self._place()}: {error}"
            self._drop()
            return False
        outcome = fate.of_replies(replies)
        self._book.settle(seq, outcome)
        if outcome is not Outcome.ACKNOWLEDGED:
            self.problem = f"{self._place()}: {', '.join(map(str, replies))}"
        self._sure = replies[0] == "OK"
        return self._sure

    def _request(self, seq: int) -> bytes:
        write = self._book.write_id(seq)
        text = content(write).encode()
        return command(b"SET", self._prefix + str(write).encode(), text) + self._after

    async def _reach(self) -> Link | None:
        """A connection to the slot's master, waiting no longer than one try may take."""
        if self._sure and self._link is not None and not self._link.lost:
            return self._link
        try_until = time.monotonic() + RETRY_S
        address = await self._claims.master(self._slot, RETRY_S)
        if address is None:
            self.problem = f"no node calls itself the master of slot {self._slot}"
            return None
        is_there = self._link is not None and not self._link.lost and self._link.address == address
        if is_there and self._manner.clustered:  # else another may be behind the address now
            return self._link
        self._drop()
        if self._connecting is None or self._connecting.get_name() != str(address):
            if self._connecting is not None:
                self._connecting.cancel()
            self._connecting = asyncio.create_task(Link.to(address, CONNECT_TIMEOUT_S, self._manner), name=str(address))
        await asyncio.wait({self._connecting}, timeout=max(try_until - time.monotonic(), 0))
        if not self._connecting.done():
            self.problem = f"{address[0]}:{address[1]} does not answer"
            return None
        connected, self._connecting = self._connecting, None
        if (error := connected.exception()) is not None:
            if not isinstance(error, OSError):
                raise error
            self.problem = f"{address[0]}:{address[1]}: {error}"
            return None
        self._link = connected.result()
        return self._link

    def _drop(self) -> None:
        if self._link is not None:
            self._link.close()
        self._link, self._sure = None, True

    def _place(self) -> str:
        return "{}:{}".format(*self._link.address) if self._link else "?"


def run(config: Redis, books: Sequence[Book], duration_s: float) -> int:
    """All writers to one cluster, until told to end."""
    writers: list[Setter] = []

    async def main(end: asyncio.Event) -> None:
        manner = config.manner()
        claims = Claims(config.nodes, follow=config.follow, manner=manner)
        writers.extend(Setter(config, book, claims, manner) for book in books)
        try:
            async with asyncio.TaskGroup() as tasks:
                for writer in writers:
                    tasks.create_task(writer.run(end))
        finally:
            await claims.close()

    part.run(main, duration_s, lambda: part.tell(books, writers))
    part.close(books)
    return 0
