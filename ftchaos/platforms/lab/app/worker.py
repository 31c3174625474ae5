"""The application's worker in one zone: ``python -m ftchaos.platforms.lab.app.worker --config FILE``.

It takes transfers from the BullMQ queue, completes each once and tells its owner. The database is the
truth and the queue only a way to it: a sweeper enqueues transfers that stayed queued, because the queue
was down when they were committed or forgot them in a failover.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import random
from pathlib import Path
from typing import Any

from bullmq import Worker  # type: ignore[import-untyped]
from redis.exceptions import RedisError

from ftchaos.platforms.lab.app import uploads
from ftchaos.platforms.lab.app.config import AppConfig
from ftchaos.platforms.lab.app.database import ERRORS, Pool
from ftchaos.platforms.lab.app.jobs import BLOCK_S, Jobs, TransferJob, queue_client
from ftchaos.platforms.lab.app.notifier import Notifier, room_of

CONCURRENCY = 4
STUCK_AFTER_S = 1
SWEEP_INTERVAL_S = 1.0
SWEEP_LIMIT = 200
COMPLETE_TIMEOUT_S = 2.0

COMPLETE = "UPDATE transfers SET status = 'completed', completed_at = NOW(6) WHERE id = %s AND status = 'queued'"
STUCK = (
    "SELECT t.id, f.id, f.owner_id, f.upload_key FROM transfers t JOIN files f ON f.id = t.file_id"
    " WHERE t.status = 'queued' AND t.created_at < NOW(6) - INTERVAL %s SECOND LIMIT %s"
)

# A job whose worker died is taken over after about three seconds, not BullMQ's default of a minute.
OPTIONS = {
    "autorun": False,
    "concurrency": CONCURRENCY,
    "drainDelay": BLOCK_S,
    "lockDuration": 3000,
    "stalledInterval": 1000,
    "maxStalledCount": 10,
    "runRetryDelay": 50,
}

logger = logging.getLogger(__name__)


class TransferWorker:
    """One worker process, with its connections."""

    def __init__(self, config: AppConfig) -> None:
        self._config = config
        self._name = f"worker-{config.zone[-1]}"  # Redis shows it in its list of clients
        self._pool = Pool(config.mysql, CONCURRENCY + 1)
        self._notifier = Notifier(config.redis_cluster, write_only=True)
        self._jobs = Jobs(config.queue, queue_client(config.sentinels))

    async def run(self) -> None:
        """Work for ever, through whatever outages there are."""
        await asyncio.gather(self._consume(), self._sweep())

    async def _consume(self) -> None:
        while True:
            options = OPTIONS | {"connection": queue_client(self._config.sentinels), "name": self._name}
            worker = Worker(self._config.queue, self._process, options)
            worker.on("error", lambda error, *_: logger.warning("queue: %s", error))
            worker.on("failed", lambda job, error: logger.warning("job %s: %s", job.id, error))
            try:
                # It returns only when it could not even begin, or met an error that it did not expect.
                await worker.run()
            except (RedisError, OSError, TimeoutError) as error:
                logger.warning("queue not reached: %s", error)
            await asyncio.sleep(0.1)

    async def _process(self, job: Any, token: str) -> dict[str, bool]:
        transfer = TransferJob(**job.data)
        async with asyncio.timeout(COMPLETE_TIMEOUT_S):
            done = await complete(self._pool, transfer.transfer_id)
        # Told again when the job runs again: the worker before may have died between commit and event.
        event: dict[str, Any] = {"transfer_id": transfer.transfer_id, "file_id": transfer.file_id}
        event |= {"upload_key": transfer.upload_key, "status": "completed"}
        await self._notifier.emit("transfer", event, room=room_of(transfer.owner))
        return {"completed": done}

    async def _sweep(self) -> None:
        while True:
            # Spread, so that the sweepers of three zones do not come at once.
            await asyncio.sleep(SWEEP_INTERVAL_S * random.uniform(0.8, 1.2))
            try:
                stuck = await uploads.rows(self._pool, STUCK, STUCK_AFTER_S, SWEEP_LIMIT)
            except ERRORS as error:
                logger.warning("sweeper: %s", error)
                continue
            for row in stuck:
                if not await self._jobs.add(TransferJob(*row)):
                    break


async def complete(pool: Pool, transfer_id: int) -> bool:
    """Mark a transfer completed, once; False when it already was, or when its upload is lost.

    Raises:
        MySQLError, OSError: the database did not take it; the job is tried again.
    """
    async with pool.connection() as connection, connection.cursor() as cursor:
        await connection.begin()
        changed: int = await cursor.execute(COMPLETE, (transfer_id,))
        if changed:
            await cursor.execute(uploads.INSERT_EVENT, (transfer_id, "completed"))
        await connection.commit()
    return changed == 1


def main() -> None:
    parser = argparse.ArgumentParser(description="the worker of the lab's application")
    parser.add_argument("--config", type=Path, required=True)
    config = AppConfig.load(parser.parse_args().config)
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(name)s %(message)s")
    asyncio.run(_run(config))


async def _run(config: AppConfig) -> None:
    await TransferWorker(config).run()


if __name__ == "__main__":
    main()
