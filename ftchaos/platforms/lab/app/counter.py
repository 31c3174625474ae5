"""Requests counted per user and minute in the Redis Cluster: what real applications keep there for rate limits.

No request waits for it longer than its time-out, nor fails with it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from redis.asyncio.cluster import ClusterNode, RedisCluster
from redis.asyncio.retry import Retry
from redis.backoff import ConstantBackoff
from redis.exceptions import RedisClusterException, RedisError

TIMEOUT_S = 0.1
# After a failure the cluster is left alone this long, so that an outage of it costs requests little.
REST_S = 0.2


class Counter:
    """How many requests a user made in this minute, as far as the cluster can tell."""

    def __init__(self, nodes: Sequence[tuple[str, int]]) -> None:
        self._cluster = RedisCluster(
            startup_nodes=[ClusterNode(host, port) for host, port in nodes],
            socket_timeout=TIMEOUT_S,
            socket_connect_timeout=TIMEOUT_S,
            retry=Retry(ConstantBackoff(0), 1),
        )
        self._resting_until = 0.0
        self._late: set[asyncio.Task[int | None]] = set()

    async def count(self, user: int) -> int | None:
        """The user's requests in this minute, this one included; None when the cluster did not say in time."""
        if time.monotonic() < self._resting_until:
            return None
        # Not cancelled when it is late: it may be learning who is master now, and would have to begin again.
        task = asyncio.create_task(self._increment(user))
        done, late = await asyncio.wait({task}, timeout=TIMEOUT_S)
        if late:
            self._rest()
            self._late.add(task)
            task.add_done_callback(self._late.discard)
        return task.result() if done else None

    async def _increment(self, user: int) -> int | None:
        key = f"requests:{user}:{int(time.time() // 60)}"
        try:
            requests = int(await self._cluster.incr(key))
            if requests == 1:
                await self._cluster.expire(key, 120)
        except (RedisError, RedisClusterException, OSError, TimeoutError, AttributeError):
            # AttributeError: redis-py 8 closes connections under requests when it learns the cluster anew.
            self._rest()
            return None
        return requests

    def _rest(self) -> None:
        self._resting_until = time.monotonic() + REST_S
