"""The application's HTTP API and Socket.IO server in one zone.

Run as ``python -m ftchaos.platforms.lab.app.api --config FILE``.

``POST /api/files`` stores an upload and enqueues its transfer; ``GET /api/files/<upload_key>`` and
``GET /api/users/<id>/files`` read; ``GET /health`` says whether this process can do its work.
A Socket.IO client that connects with ``auth={"user": ID}`` receives ``transfer`` events of that user.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import time
from pathlib import Path
from typing import Any

import socketio  # type: ignore[import-untyped]
from aiohttp import web

from ftchaos.platforms.lab.app import uploads
from ftchaos.platforms.lab.app.config import AppConfig
from ftchaos.platforms.lab.app.counter import Counter
from ftchaos.platforms.lab.app.database import ERRORS, Pool
from ftchaos.platforms.lab.app.jobs import Jobs, TransferJob, queue_client
from ftchaos.platforms.lab.app.notifier import Notifier, room_of

POOL_SIZE = 16
HEALTH_AGE_S = 0.1
NOT_COMMITTED = {"X-Outcome": "not-committed"}

logger = logging.getLogger(__name__)


class Api:
    """One process of the application, with its connections."""

    def __init__(self, config: AppConfig) -> None:
        self.zone = config.zone
        self.pool = Pool(config.mysql, POOL_SIZE)
        # A health check must not wait behind requests that hang.
        self.health_pool = Pool(config.mysql, 1)
        self.jobs = Jobs(config.queue, queue_client(config.sentinels))
        self.counter = Counter(config.redis_cluster)
        self.notifier = Notifier(config.redis_cluster)
        self._health = Health(self)

    async def warm(self, _: web.Application) -> None:
        """Learn where the Redis servers are before the first request has to wait for it."""
        self._warming = asyncio.gather(self.counter.count(0), self.jobs.ping(), return_exceptions=True)

    async def upload(self, request: web.Request) -> web.Response:
        try:
            upload = _upload(await request.json())
        except (ValueError, KeyError, TypeError) as error:
            return _problem(400, f"not an upload: {error!r}", NOT_COMMITTED)
        await self.counter.count(upload.owner)
        try:
            stored = await uploads.store(self.pool, upload)
        except uploads.Rejected as error:
            return _problem(422, str(error), NOT_COMMITTED)
        except uploads.NotCommitted as error:
            return _problem(503, str(error), NOT_COMMITTED)
        except uploads.Uncertain as error:
            logger.warning("upload %s: outcome unknown: %s", upload.upload_key, error)
            return _problem(502, str(error))
        body = {"file_id": stored.file_id, "transfer_id": stored.transfer_id}
        if not stored.fresh:
            return web.json_response(body)
        job = TransferJob(stored.transfer_id, stored.file_id, upload.owner, upload.upload_key)
        # Committed as queued it is safe even when the queue does not take it: a worker's sweeper enqueues it later.
        await self.jobs.add(job)
        return web.json_response(body, status=201)

    async def file(self, request: web.Request) -> web.Response:
        try:
            found = await uploads.rows(self.pool, uploads.FIND_FILE, int(request.match_info["upload_key"]))
        except ERRORS as error:
            return _problem(503, str(error))
        if not found:
            return _problem(404, "no such upload")
        file_id, owner, name, size_bytes, checksum, content, transfer_id, status = found[0]
        body = {"file_id": file_id, "owner": owner, "name": name, "size_bytes": size_bytes, "checksum": checksum}
        body |= {"content": _text(content), "transfer_id": transfer_id, "status": status}
        await self.counter.count(owner)
        return web.json_response(body)

    async def files_of(self, request: web.Request) -> web.Response:
        user = int(request.match_info["user"])
        await self.counter.count(user)
        try:
            found = await uploads.rows(self.pool, uploads.LIST_FILES, user)
        except ERRORS as error:
            return _problem(503, str(error))
        names = ("file_id", "name", "size_bytes", "status")
        return web.json_response({"files": [dict(zip(names, row, strict=True)) for row in found]})

    async def health(self, request: web.Request) -> web.Response:
        state = await self._health.state()
        return web.json_response({"zone": self.zone, **state}, status=200 if all(state.values()) else 503)


class Health:
    """Whether this process can write to MySQL and reach Redis; asked afresh when the answer is older than 100 ms."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._lock = asyncio.Lock()
        self._state: dict[str, bool] = {}
        self._asked_at = float("-inf")

    async def state(self) -> dict[str, bool]:
        async with self._lock:
            if time.monotonic() - self._asked_at > HEALTH_AGE_S:
                mysql, redis = await asyncio.gather(uploads.can_write(self._api.health_pool), self._api.notifier.ping())
                self._state = {"mysql": mysql, "redis": redis}
                self._asked_at = time.monotonic()
            return self._state


def application(config: AppConfig) -> web.Application:
    """The web application; it begins before its databases do and waits for them in /health."""
    api = Api(config)
    app = web.Application(client_max_size=16 * 1024**2)
    app.on_startup.append(api.warm)
    app.router.add_post("/api/files", api.upload)
    app.router.add_get(r"/api/files/{upload_key:\d+}", api.file)
    app.router.add_get(r"/api/users/{user:\d+}/files", api.files_of)
    app.router.add_get("/health", api.health)
    _sockets(api.notifier).attach(app)
    return app


def _sockets(notifier: Notifier) -> Any:
    # Heartbeats quick enough that a subscriber leaves a zone that fell silent within a drill.
    server = socketio.AsyncServer(
        async_mode="aiohttp", client_manager=notifier, cors_allowed_origins="*", ping_interval=2, ping_timeout=2
    )

    @server.event  # type: ignore[untyped-decorator]
    async def connect(sid: str, environ: dict[str, Any], auth: dict[str, Any] | None = None) -> bool:
        user = (auth or {}).get("user")
        if not isinstance(user, int):
            return False
        await server.enter_room(sid, room_of(user))
        return True

    return server


def _upload(body: Any) -> uploads.Upload:
    key, owner = int(body["upload_key"]), int(body["owner"])
    if not 0 <= key < 2**64:
        raise ValueError("upload_key must be an unsigned 64-bit number")
    return uploads.Upload(key, str(body["name"]), owner, str(body["content"]))


def _text(content: bytes | str | None) -> str:
    return content.decode(errors="replace") if isinstance(content, bytes) else content or ""


def _problem(status: int, error: str, headers: dict[str, str] | None = None) -> web.Response:
    return web.json_response({"error": error}, status=status, headers=headers)


def main() -> None:
    parser = argparse.ArgumentParser(description="the HTTP API of the lab's application")
    parser.add_argument("--config", type=Path, required=True)
    config = AppConfig.load(parser.parse_args().config)
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(name)s %(message)s")
    web.run_app(_begin(config), host=config.listen[0], port=config.listen[1], **_QUIET)


_QUIET: dict[str, Any] = {"access_log": None, "print": None, "shutdown_timeout": 0.5}


async def _begin(config: AppConfig) -> web.Application:
    return application(config)


if __name__ == "__main__":
    main()
