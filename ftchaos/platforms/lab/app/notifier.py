"""Socket.IO across processes: events travel as messages of the Redis Cluster, through any node that is alive.

The message format is that of python-socketio's own Redis manager; that one knows a single server, and waits
1, 2, 4 ... up to 60 s between attempts, which would hide how fast the rest recovers.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import ConstantBackoff
from redis.exceptions import RedisError
from socketio.async_pubsub_manager import AsyncPubSubManager  # type: ignore[import-untyped]

TIMEOUT_S = 0.3
CHANNEL = "socketio"

logger = logging.getLogger(__name__)


def room_of(user: int) -> str:
    """The Socket.IO room in which a user's events are heard."""
    return f"user:{user}"


class Notifier(AsyncPubSubManager):  # type: ignore[misc]
    """A Socket.IO client manager that moves to the next Redis node when its own stops answering."""

    name = "ftchaos"

    def __init__(self, nodes: Sequence[tuple[str, int]], *, write_only: bool = False) -> None:
        super().__init__(channel=CHANNEL, write_only=write_only)
        self._clients = [_client(host, port) for host, port in nodes]

    async def ping(self) -> bool:
        """Whether some node of the cluster answers."""
        return await self._through_any_node("PING") is not None

    async def _publish(self, data: dict[str, Any]) -> None:
        if await self._through_any_node("PUBLISH", CHANNEL, self.json.dumps(data)) is None:
            logger.warning("no Redis node took an event")

    async def _through_any_node(self, *command: str) -> Any:
        for client in list(self._clients):
            try:
                return await client.execute_command(*command)  # type: ignore[no-untyped-call]
            except (RedisError, OSError, TimeoutError):
                self._demote(client)
        return None

    async def _listen(self) -> AsyncIterator[bytes]:
        """Messages of the channel, for ever; between two nodes some may be lost, as Redis promises no more."""
        while True:
            client = self._clients[0]
            pubsub = client.pubsub(ignore_subscribe_messages=True)
            try:
                await pubsub.subscribe(CHANNEL)
                while True:
                    message = await pubsub.get_message(ignore_subscribe_messages=True, timeout=1)
                    if message is not None:
                        yield message["data"]
                    else:
                        await client.execute_command("PING")  # type: ignore[no-untyped-call]
            except (RedisError, OSError, TimeoutError):
                self._demote(client)
                await asyncio.sleep(0.05)
            finally:
                await pubsub.aclose()  # type: ignore[no-untyped-call]

    def _demote(self, client: Redis) -> None:
        """Ask this node last from now on."""
        if client is self._clients[0]:
            self._clients.append(self._clients.pop(0))


def _client(host: str, port: int) -> Redis:
    return Redis(
        host=host,
        port=port,
        socket_timeout=TIMEOUT_S,
        socket_connect_timeout=TIMEOUT_S,
        retry=Retry(ConstantBackoff(0), 0),
    )
