"""An application that counts what it is asked, and does something at the so-manieth request."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Api:
    """It answers every GET.

    Attributes:
        asked: how often it was asked.
        status: what it answers with.
        at: what is done at a request, by its number.
    """

    def __init__(self) -> None:
        self.asked = 0
        self.status = 200
        self.at: dict[int, Any] = {}
        api, turn = self, threading.Lock()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                with turn:
                    api.asked += 1
                    act = api.at.pop(api.asked, None)
                if act:
                    act()
                self.send_response(api.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Nobody reads it."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"
