"""Who takes writes to a slot at this moment: every node is asked about itself, while somebody wants to know.

Only a node that calls itself the master of a slot takes writes to it, so what a node says of others never matters. All
are asked at once, on connections of their own: one that is dead or cut off delays nobody. Where there is no Redis
Cluster, an address leads to whoever is behind it at that moment, so that a replica is asked over a new connection each
time.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from contextlib import suppress

from ftchaos.workload.cluster import Address, View, view, view_alone
from ftchaos.workload.link import PLAIN, Link, Manner
from ftchaos.workload.resp import Reply, command

ASK_S = 0.02
ASK_FAR_S = 0.1  # through a port-forward each new connection costs the API server several calls
TIMEOUT_S = 0.15
# Asking ends when nobody has wanted to know for this long; what was heard is forgotten then.
WANTED_S = 0.3
NODES = command("CLUSTER", "NODES")
ROLE = command("ROLE")


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
        timeout_s = max(TIMEOUT_S, self._manner.reach_s)
        every_s = ASK_FAR_S if self._manner.reach_s else ASK_S
        try:
            while time.monotonic() < self._wanted_until:
                due_at = time.monotonic() + every_s
                try:
                    if link is None or link.lost:
                        link = await Link.to(node, timeout_s, self._manner)
                    (answer,) = await link.ask(NODES if self._manner.clustered else ROLE, 1, timeout_s)
                    if not self._see(node, answer) and not self._manner.clustered:
                        link.close()
                except OSError:
                    self._views.pop(node, None)
                await asyncio.sleep(max(due_at - time.monotonic(), 0))
        finally:
            self._views.pop(node, None)
            if link is not None:
                link.close()

    def _see(self, node: Address, answer: Reply) -> bool:
        """Take in what a node says; whether it has any slots."""
        seen = None
        with suppress(ValueError):
            if not self._manner.clustered:
                seen = view_alone(answer)
            elif isinstance(answer, bytes):
                seen = view(answer.decode())
        before = self._views.get(node)
        if seen is None or before is None or before.slots != seen.slots:
            self._views.pop(node, None)
        if seen is not None:
            self._views[node] = seen
            self._heard.set()
            if self._follow:
                self._nodes.extend(sorted(set(seen.addresses.values()) - set(self._nodes)))
        return seen is not None and bool(seen.slots)
