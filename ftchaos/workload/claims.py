"""Who takes writes to a slot at this moment: every node is asked about itself, while somebody wants to know.

Only a node that calls itself the master of a slot takes writes to it, so what a node says of others never matters. All
are asked at once, on connections of their own: one that is dead or cut off delays nobody.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable

from ftchaos.workload.cluster import Address, View, view
from ftchaos.workload.link import PLAIN, Link, Manner
from ftchaos.workload.resp import command

ASK_S = 0.02
TIMEOUT_S = 0.15
# Asking ends when nobody has wanted to know for this long; what was heard is forgotten then.
WANTED_S = 0.3
NODES = command("CLUSTER", "NODES")


class Claims:
    """What the nodes of one cluster say of themselves; for one event loop.

    Args:
        nodes: where they are.
        follow: whether nodes that these name are asked too.
        manner: how they want to be spoken to.
    """

    def __init__(self, nodes: Iterable[Address], *, follow: bool = False, manner: Manner = PLAIN) -> None:
        self._nodes = list(dict.fromkeys(nodes))
        self._follow = follow
        self._manner = manner
        self._wanted_until = 0.0
        self._askers: dict[Address, asyncio.Task[None]] = {}
        # The oldest claim stands first: a node that came back must not win over the one that took its place.
        self._views: dict[Address, View] = {}
        self._heard = asyncio.Event()

    async def master(self, slot: int, within_s: float) -> Address | None:
        """A node that calls itself the master of a slot; None when none does within the time."""
        deadline = time.monotonic() + within_s
        self._want()
        while (found := self._claimant(slot)) is None and (left_s := deadline - time.monotonic()) > 0:
            self._heard.clear()
            self._want()
            try:
                async with asyncio.timeout(left_s):
                    await self._heard.wait()
            except TimeoutError:
                continue
        return found

    async def close(self) -> None:
        """End all asking."""
        self._wanted_until = 0.0
        for asker in self._askers.values():
            asker.cancel()
        await asyncio.gather(*self._askers.values(), return_exceptions=True)

    def _want(self) -> None:
        self._wanted_until = time.monotonic() + WANTED_S
        for node in self._nodes:
            if node not in self._askers or self._askers[node].done():
                self._askers[node] = asyncio.create_task(self._ask(node))

    def _claimant(self, slot: int) -> Address | None:
        return next((address for address, seen in self._views.items() if seen.claims(slot)), None)

    async def _ask(self, node: Address) -> None:
        link: Link | None = None
        try:
            while time.monotonic() < self._wanted_until:
                due_at = time.monotonic() + ASK_S
                try:
                    if link is None or link.lost:
                        link = await Link.to(node, TIMEOUT_S, self._manner)
                    (answer,) = await link.ask(NODES, 1, TIMEOUT_S)
                    self._see(node, answer)
                except OSError:
                    self._views.pop(node, None)
                await asyncio.sleep(max(due_at - time.monotonic(), 0))
        finally:
            self._views.pop(node, None)
            if link is not None:
                link.close()

    def _see(self, node: Address, answer: object) -> None:
        try:
            seen = view(answer.decode()) if isinstance(answer, bytes) else None
        except ValueError:
            seen = None
        before = self._views.get(node)
        if seen is None or before is None or before.slots != seen.slots:
            self._views.pop(node, None)
        if seen is not None:
            self._views[node] = seen
            self._heard.set()
            if self._follow:
                self._nodes.extend(sorted(set(seen.addresses.values()) - set(self._nodes)))
