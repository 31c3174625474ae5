"""An API server behind TLS, and a proxy before it: what real clusters have and the stand-in has not."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import yaml

_CHUNK = 65_536


@dataclass
class Front:
    """What stands before an API server.

    Attributes:
        url: of the server, over TLS.
        ca: the file with the certificate that it is known by.
        proxy: URL of a proxy that opens tunnels.
        tunnels: where each led that was opened.
    """

    url: str = ""
    ca: Path = Path()
    proxy: str = ""
    tunnels: list[str] = field(default_factory=list)

    def kubeconfig(self, plain: Path, path: Path, *, proxied: bool) -> Path:
        """A kubeconfig that leads here as another does to the server itself."""
        document = yaml.safe_load(plain.read_text())
        document["clusters"][0]["cluster"] = {
            "server": self.url, "certificate-authority": str(self.ca), **({"proxy-url": self.proxy} if proxied else {})
        }  # fmt: skip
        path.write_text(yaml.safe_dump(document))
        return path


@contextmanager
def front(endpoint: str, folder: Path) -> Iterator[Front]:
    """Stand before a server until the end of the context."""
    made, key = Front(ca=folder / "ca.pem"), folder / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1",
         "-subj", "/CN=standin", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(made.ca)],
        check=True, capture_output=True,
    )  # fmt: skip
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(made.ca, key)
    parts = urlsplit(endpoint)
    target = (str(parts.hostname), int(parts.port or 0))
    loop, begun = asyncio.new_event_loop(), threading.Event()

    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _carry(reader, writer, target)

    async def tunnel(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        method, where, _ = head.split(" ", 2)
        if method != "CONNECT":
            writer.close()
            return
        made.tunnels.append(where)
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        host, _, port = where.rpartition(":")
        await _carry(reader, writer, (host, int(port)))

    async def begin() -> None:
        for name, scheme, serve, context in (("url", "https", plain, tls), ("proxy", "http", tunnel, None)):
            server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
            setattr(made, name, f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        begun.set()

    async def end() -> None:
        for task in (every := asyncio.all_tasks() - {asyncio.current_task()}):
            task.cancel()
        await asyncio.gather(*every, return_exceptions=True)

    def run() -> None:
        loop.create_task(begin())
        loop.run_forever()
        loop.run_until_complete(end())
        loop.close()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        assert begun.wait(10)
        yield made
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, target: tuple[str, int]) -> None:
    with contextlib.suppress(OSError):
        far_reader, far_writer = await asyncio.open_connection(*target)
        await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer))


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(_CHUNK):
            writer.write(data)
            await writer.drain()
    writer.close()
