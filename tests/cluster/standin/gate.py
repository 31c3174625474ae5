"""The record of all requests, and what a test lets happen to them instead of an answer."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Any

from cluster.standin.asked import Asked
from cluster.standin.failures import CODES, Refused

_MESSAGES = {
    "TooManyRequests": "too many requests, please try again later",
    "InternalError": "Internal error occurred: etcdserver: request timed out",
    "ServiceUnavailable": "apiserver not ready",
    "Conflict": "the object has been modified; please apply your changes to the latest version and try again",
}


class HungUp(Exception):
    """The connection is closed without an answer."""


@dataclass
class Mishap:
    """What happens to the next requests that match; an empty field matches all.

    Attributes:
        resource: ``pods``, or with a subresource ``pods/eviction``.
        path: of the whole request, for what is no resource.
        skip: how many go well before.
        times: how many it happens to.
        after: whether they take effect nevertheless.
        reason: of the Status, or ``HangUp`` for no answer; empty when it is only slow.
        slow_s: real seconds that the answer is late.
    """

    verb: str = ""
    resource: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""
    skip: int = 0
    times: int = 1
    after: bool = False
    reason: str = ""
    message: str = ""
    retry_after_s: int | None = None
    slow_s: float = 0.0

    def takes(self, asked: Asked) -> bool:
        """Whether it happens to this request; counts it."""
        full = f"{asked.resource}/{asked.subresource}" if asked.subresource else asked.resource
        wanted = (
            (self.verb, asked.verb),
            (self.resource, full),
            (self.namespace, asked.namespace),
            (self.path, asked.path),
            (self.name, asked.name),
        )
        if self.times <= 0 or any(one and one != other for one, other in wanted):
            return False
        if self.skip > 0:
            self.skip -= 1
            return False
        self.times -= 1
        return True

    def happen(self) -> None:
        """Raise what is to happen."""
        if self.reason == "HangUp":
            raise HungUp
        if self.reason:
            message = self.message or _MESSAGES.get(self.reason, self.reason)
            code = None if self.reason in CODES else 500
            raise Refused(self.reason, message, code=code, retry_after_s=self.retry_after_s)


@dataclass
class Stop:
    """After how many requests the server answers no more.

    Attributes:
        left: requests until then; the last of them is the one that is stopped at.
        effect: whether that one takes effect.
        hang_up: whether connections are closed; else they are held open, as when the server is paused.
        writes: whether only writes count.
    """

    left: int
    effect: bool
    hang_up: bool
    writes: bool


class Gate:
    """Stands before the API."""

    def __init__(self) -> None:
        self.record: list[dict[str, Any]] = []
        self.mishaps: list[Mishap] = []
        self.stop: Stop | None = None
        self.stopped = False
        self._thawed = asyncio.Event()
        self._thawed.set()

    def clear(self) -> None:
        """Forget the record and the mishaps, and answer again; who is held is hung up on."""
        self.record.clear()
        self.mishaps.clear()
        self.resume()

    def note(self, asked: Asked) -> dict[str, Any]:
        """Write a request down; its status follows when it is known."""
        entry = {"number": len(self.record) + 1, "at": time.time(), **asked.described(), "status": 0}
        if asked.writes and asked.content:
            entry["body"] = asked.content.decode(errors="replace")
        self.record.append(entry)
        return entry

    def stop_at(self, number: int, effect: bool, hang_up: bool, writes: bool) -> None:
        self.stop = Stop(number, effect, hang_up, writes)

    def resume(self) -> None:
        self.stop, self.stopped = None, False
        self._thawed.set()

    async def before(self, asked: Asked) -> tuple[list[Mishap], bool]:
        """What is to happen after the request took effect: mishaps, and whether the server stops.

        Raises:
            Refused, HungUp: it takes none.
        """
        stops = await self._count(asked)
        found = [one for one in self.mishaps if one.takes(asked)]
        for one in found:
            if one.slow_s and not one.after:
                await asyncio.sleep(one.slow_s)
            if not one.after:
                one.happen()
        return [one for one in found if one.after], stops

    async def after(self, mishaps: list[Mishap], stops: bool) -> None:
        """Let happen what :meth:`before` said."""
        if stops:
            await self._hold()
        for one in mishaps:
            if one.slow_s:
                await asyncio.sleep(one.slow_s)
            one.happen()

    async def _count(self, asked: Asked) -> bool:
        if self.stopped:
            await self._hold()
        stop = self.stop
        if stop is None or (stop.writes and not asked.writes):
            return False
        stop.left -= 1
        if stop.left > 0:
            return False
        self.stopped = True
        if not stop.hang_up:
            self._thawed.clear()
        if stop.effect:
            return True
        await self._hold()
        return False

    async def _hold(self) -> None:
        """Never answer: hang up now, or when the server is resumed."""
        await self._thawed.wait()
        raise HungUp

    async def thawed(self) -> None:
        """For streams: wait while the server is paused, end when it hangs up."""
        if self.stopped:
            await self._hold()
