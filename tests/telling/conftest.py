"""Receivers for these tests: an HTTP server that answers as it is told to, and the real programs of Prometheus."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest


@dataclass
class Asked:
    """A request that arrived."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Receiver:
    """An HTTP server on this machine.

    Attributes:
        answers: what it answers, one after the other, then 200; a status, and headers.
        hangs: it takes requests and answers none until this is set.
    """

    url: str
    asked: list[Asked] = field(default_factory=list)
    answers: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    hangs: threading.Event | None = None


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A receiver that answers 200."""
    with closing(_serve()) as served:
        yield next(served)


@pytest.fixture
def other() -> Iterator[Receiver]:
    """Another one."""
    with closing(_serve()) as served:
        yield next(served)


def _serve() -> Iterator[Receiver]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            found.asked.append(Asked(self.path, dict(self.headers.items()), body))
            if found.hangs is not None:
                found.hangs.wait(30)
            status, headers = found.answers.pop(0) if found.answers else (200, {})
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            # What it says is the secret that it was asked with, as a careless one would.
            said = self.path.encode()
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        do_PUT = do_POST

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

        def handle(self) -> None:
            try:
                super().handle()
            except (BrokenPipeError, ConnectionResetError):
                return  # whoever asked has given up

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    found = Receiver(f"http://127.0.0.1:{server.server_address[1]}")
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        yield found
    finally:
        if found.hangs is not None:
            found.hangs.set()
        server.shutdown()
        server.server_close()


Begin = Callable[..., str]


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Begin]:
    """Begins a program that listens on a port of this machine; it is ended with the test.

    Its arguments are those of the program, where ``{port}`` stands for the port; then the path that answers with 200
    once it is ready.
    """
    begun: list[subprocess.Popen[bytes]] = []

    def begin_one(program: str, *arguments: str, ready: str) -> str:
        path = shutil.which(program)
        assert path, f"{program} is missing: scripts/install --tests"
        log = tmp_path / f"{program}.log"
        deadline = time.monotonic() + 60
        while True:
            with socket.socket() as free:
                free.bind(("127.0.0.1", 0))
                port = free.getsockname()[1]
            argv = [path, *(one.format(port=port) for one in arguments)]
            with log.open("wb") as stream:
                process = subprocess.Popen(argv, cwd=tmp_path, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream)
            begun.append(process)
            address = f"http://127.0.0.1:{port}"
            while process.poll() is None and time.monotonic() < deadline:
                if _answers(address + ready):
                    return address
                time.sleep(0.1)
            # Another program may have taken the port since it was chosen.
            if process.poll() is None or "address already in use" not in log.read_text():
                raise RuntimeError(f"{program} does not come up: {log.read_text()[-2000:]}")

    try:
        yield begin_one
    finally:
        for one in begun:
            one.kill()
            one.wait()


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2):
            return True
    except OSError:
        return False
