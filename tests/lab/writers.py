"""The workload as a process, and an HTTP service that misbehaves on request, for tests of writers and ledger."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from aiohttp import web
from trio import Trio, until

from ftchaos.ledger import Ledger
from ftchaos.workload import book

Answer = Callable[["Service", int, web.Request], Any]


def mysql_part(servers: Trio, **options: Any) -> dict[str, Any]:
    """The part of a configuration that writes to the first of some servers."""
    secret = servers.folder / "secret"
    secret.write_text(servers.password + "\n")
    server = servers.servers["mysql-a"]
    return {"host": server.address, "port": server.port, "user": "ftchaos", "secret_file": str(secret), **options}


class Workload:
    """A workload under way, writing to ``folder/ledger``."""

    def __init__(self, folder: Path, *, argv: Callable[[list[str]], list[str]] = list, **config: Any) -> None:
        self.folder = folder / "ledger"
        path = folder / "workload.json"
        path.write_text(json.dumps({"folder": str(self.folder), **config}))
        self.process = subprocess.Popen(
            argv([sys.executable, "-m", "ftchaos.workload", str(path)]), stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )

    def attempted(self) -> int:
        """How many writes the ledger has by now."""
        if not (self.folder / book.FILE).exists():
            assert self.process.poll() is None, self.process.communicate()[1].decode()
            return 0
        return sum(writer.attempted for writer in book.read(self.folder, live=True).writers)

    def wait_attempted(self, count: int, timeout_s: float = 20) -> None:
        """Return when that many writes were attempted."""
        until(lambda: self.attempted() >= count, timeout_s, f"{count} writes attempted")

    def end(self) -> Ledger:
        """End it as its owner does; its ledger."""
        self.process.send_signal(signal.SIGTERM)
        self.lines, errors = self.process.communicate(timeout=60)
        assert self.process.returncode == 0, errors.decode()
        return book.read(self.folder)

    def kill(self) -> Ledger:
        """End it as a disaster does; its ledger."""
        self.process.kill()
        self.process.wait(timeout=60)
        return book.read(self.folder)

    def progress(self) -> list[dict[str, Any]]:
        """The lines that it wrote, after its end."""
        return [json.loads(line) for line in self.lines.splitlines()]


class Service:
    """The application's upload address, as good or bad as a test wants it.

    Attributes:
        committed: keys of uploads that it would have stored.
    """

    def __init__(self, answer: Answer) -> None:
        self.url, self.committed = "", list[int]()
        self._answer = answer
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._begin())
        self._loop.run_forever()
        self._loop.run_until_complete(self._end())
        self._loop.close()

    async def _begin(self) -> None:
        app = web.Application()
        app.router.add_post("/api/files", self._handle)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = site._server.sockets[0].getsockname()  # type: ignore[union-attr]
        self.url = f"http://127.0.0.1:{self.url[1]}"
        self._ready.set()

    async def _end(self) -> None:
        await self._runner.cleanup()
        hanging = asyncio.all_tasks() - {asyncio.current_task()}
        for task in hanging:
            task.cancel()
        await asyncio.gather(*hanging, return_exceptions=True)

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        upload = await request.json()
        answer: web.StreamResponse = await self._answer(self, upload["upload_key"], request)
        return answer

    def store(self, key: int) -> web.Response:
        """The answer to an upload that is stored."""
        self.committed.append(key)
        return web.json_response({"file_id": len(self.committed), "transfer_id": 1}, status=201)

    @classmethod
    @contextmanager
    def answering(cls, answer: Answer) -> Iterator[Service]:
        """A service for one test."""
        service = cls(answer)
        service._thread.start()
        assert service._ready.wait(10)
        yield service
        service._loop.call_soon_threadsafe(service._loop.stop)
        service._thread.join(10)
