"""The application's BullMQ queue, reached through Sentinel, with a job that may be added twice without harm."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from bullmq import Queue  # type: ignore[import-untyped]
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import ConstantBackoff
from redis.exceptions import RedisError

from ftchaos.platforms.lab.redis import QUEUE_MASTER

ADD_TIMEOUT_S = 0.3
# After a failure the queue is left alone this long: the sweeper enqueues later what nobody waits for now.
REST_S = 0.2
SENTINEL_TIMEOUT_S = 0.2

# A worker waits this long for a job in one blocking call; a socket that is silent for longer is dead.
BLOCK_S = 1
SOCKET_TIMEOUT_S = 1.5

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TransferJob:
    """What a worker needs to complete a transfer and to tell its owner."""

    transfer_id: int
    file_id: int
    owner: int
    upload_key: int | None

    @property
    def job_id(self) -> str:
        """The same for the same transfer, so that BullMQ keeps one job of it."""
        return f"transfer-{self.transfer_id}"


def queue_client(sentinels: Sequence[tuple[str, int]]) -> Redis:
    """A client of whichever Redis the Sentinels call the queue's master; it asks again for each new connection."""
    finder = Sentinel(  # type: ignore[no-untyped-call]
        list(sentinels),
        sentinel_kwargs={
            "socket_timeout": SENTINEL_TIMEOUT_S,
            "socket_connect_timeout": SENTINEL_TIMEOUT_S,
            # Sentinel finds the next one by itself; redis-py's default of ten retries would take seconds each.
            "retry": Retry(ConstantBackoff(0), 0),
        },
    )
    client: Redis = finder.master_for(
        QUEUE_MASTER,
        decode_responses=True,
        socket_timeout=SOCKET_TIMEOUT_S,
        socket_connect_timeout=SENTINEL_TIMEOUT_S,
        retry=Retry(ConstantBackoff(0.05), 1),
    )
    return client


class Jobs:
    """The producer's side of the queue."""

    def __init__(self, name: str, client: Redis) -> None:
        self._client = client
        self._resting_until = 0.0
        self._queue = Queue(name, {"connection": client})

    async def ping(self) -> bool:
        """Whether the queue's master answers."""
        try:
            async with asyncio.timeout(ADD_TIMEOUT_S):
                await self._client.ping()
        except (RedisError, OSError, TimeoutError):
            return False
        return True

    async def add(self, job: TransferJob) -> bool:
        """Enqueue a transfer; False when the queue did not take it in time, and its sweeper must find it later."""
        options: dict[str, Any] = {
            "jobId": job.job_id,
            "attempts": 5,
            "backoff": {"type": "fixed", "delay": 200},
            # Nothing stays under this id, or the sweeper could not enqueue the transfer again.
            "removeOnComplete": True,
            "removeOnFail": True,
        }
        if time.monotonic() < self._resting_until:
            return False
        try:
            async with asyncio.timeout(ADD_TIMEOUT_S):
                await self._queue.add("transfer", asdict(job), options)
        except (RedisError, OSError, TimeoutError) as error:
            logger.warning("transfer %s: the queue did not take its job: %r", job.transfer_id, error)
            self._resting_until = time.monotonic() + REST_S
            return False
        return True
