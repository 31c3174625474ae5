"""A proxy that lets so many bytes through to a server and then is gone, as a network may be."""

from __future__ import annotations

import contextlib
import socket
import threading
from types import TracebackType
from urllib.parse import urlsplit


class Proxy:
    """Passes connections on until ``budget`` bytes went to the server; then it cuts all of them and takes no more.

    Args:
        door: a socket that is bound and does not listen yet; one of its own otherwise.
    """

    def __init__(self, endpoint: str, budget: int, door: socket.socket | None = None) -> None:
        address = urlsplit(endpoint)
        self._server = (str(address.hostname), int(address.port or 80))
        self._left, self._lock = budget, threading.Lock()
        self._sockets: list[socket.socket] = []
        self._door = door or socket.create_server(("127.0.0.1", 0))

    def __enter__(self) -> str:
        self._door.listen()
        threading.Thread(target=self._serve, daemon=True).start()
        return f"http://127.0.0.1:{self._door.getsockname()[1]}"

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._cut()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._door.accept()
                server = socket.create_connection(self._server)
                self._sockets += [client, server]
                threading.Thread(target=self._pass, args=(client, server, True), daemon=True).start()
                threading.Thread(target=self._pass, args=(server, client, False), daemon=True).start()

    def _pass(self, source: socket.socket, target: socket.socket, counted: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(4096):
                if counted:
                    with self._lock:
                        self._left -= len(data)
                    if self._left < 0:
                        self._cut()
                        return
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)

    def _cut(self) -> None:
        with contextlib.suppress(OSError):
            self._door.shutdown(socket.SHUT_RDWR)
        self._door.close()
        for one in self._sockets:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
