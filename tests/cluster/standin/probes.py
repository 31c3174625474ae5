"""Readiness probes that are really asked: of a TCP port, or over HTTP."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

Obj = dict[str, Any]


async def works(probe: Obj, address: tuple[str, int]) -> bool:
    """Whether a probe says yes within its timeout, in real seconds; one of another sort, or none, always does."""
    if not {"httpGet", "tcpSocket"} & set(probe):
        return True
    with contextlib.suppress(OSError, TimeoutError, ValueError):
        return await asyncio.wait_for(_asked(probe.get("httpGet"), address), probe.get("timeoutSeconds", 1))
    return False


async def _asked(http: Obj | None, address: tuple[str, int]) -> bool:
    reader, writer = await asyncio.open_connection(*address)
    try:
        if http is None:
            return True
        writer.write(f"GET {http['path']} HTTP/1.1\r\nHost: {address[0]}\r\nConnection: close\r\n\r\n".encode())
        words = (await reader.readline()).split()
        return len(words) > 1 and 200 <= int(words[1]) < 400
    finally:
        writer.close()
