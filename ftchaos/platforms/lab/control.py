"""The control socket of a lab: JSON lines, one call each, with progress before the result.

``{"call": name, "args": {...}}`` is answered by any number of ``{"progress": text}`` and then
``{"result": ...}`` or ``{"error": {"kind", "fact", "hint"}}``. The socket is reached through a
descriptor of its folder, because its full path may exceed the 107 bytes that the kernel allows.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
import traceback
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ftchaos import errors

SOCKET = "control.sock"
Progress = Callable[[str], None]
Dispatch = Callable[[str, dict[str, Any], Progress], Awaitable[Any]]


def listen(folder: Path) -> socket.socket:
    """A listening control socket in a lab's folder, reachable by its owner only."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with _short(folder) as path:
        before = os.umask(0o077)
        try:
            listener.bind(path)
        finally:
            os.umask(before)
    listener.listen(64)
    return listener


def call(
    folder: Path,
    name: str,
    args: dict[str, Any],
    progress: Progress | None = None,
    timeout_s: float = 120,
    *,
    whole: bool = False,
) -> Any:
    """The result of one call to the lab's supervisor.

    Args:
        timeout_s: how long the supervisor may stay silent.
        whole: when a signal interrupts us, leave only after the supervisor has done what it was asked for. It does it
            in any case, and a heal that overtakes the injection would find nothing to heal.

    Raises:
        FtchaosError: what the supervisor raised, as the same class.
        ConnectionError, FileNotFoundError: there is no supervisor, or it died meanwhile.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection, _short(folder) as path:
        connection.settimeout(timeout_s)
        connection.connect(path)
        with connection.makefile() as stream:
            try:
                connection.sendall((json.dumps({"call": name, "args": args}) + "\n").encode())
                answer = _answer(stream, progress)
            except (SystemExit, KeyboardInterrupt):
                if whole:
                    with suppress(OSError):
                        connection.shutdown(socket.SHUT_WR)  # what was not sent is answered by the end of the stream
                        _answer(stream, None)
                raise
    if answer is None:
        raise ConnectionResetError(f"the supervisor died during {name}")
    if "error" in answer:
        raise _error(answer["error"])
    return answer["result"]


def _answer(stream: Iterable[str], progress: Progress | None) -> dict[str, Any] | None:
    """The answer that ends a call; None when the supervisor has died."""
    for line in stream:
        answer: dict[str, Any] = json.loads(line)
        if "progress" not in answer:
            return answer
        if progress is not None:
            progress(answer["progress"])
    return None


async def serve(listener: socket.socket, dispatch: Dispatch, lost: Callable[[str], None]) -> None:
    """Answer calls until cancelled.

    Args:
        dispatch: does a call.
        lost: told the name of a call whose caller went away before it had an answer.
    """

    async def session(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        def send(answer: dict[str, Any]) -> None:
            if not writer.is_closing():
                writer.write(json.dumps(answer).encode() + b"\n")

        try:
            line = await reader.readline()
            if not line:
                return
            request = json.loads(line)
            work = asyncio.ensure_future(
                dispatch(request["call"], request.get("args", {}), lambda text: send({"progress": text}))
            )
            hangup = asyncio.ensure_future(reader.read(1))
            await asyncio.wait({work, hangup}, return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                lost(request["call"])
            await asyncio.wait({work})
            hangup.cancel()
            error = work.exception()
            send({"result": work.result()} if error is None else {"error": _facts(error)})
            await writer.drain()
        except ConnectionError:
            pass  # the caller went away; what it asked for is done all the same
        finally:
            writer.close()

    server = await asyncio.start_unix_server(session, sock=listener)
    async with server:
        await server.serve_forever()


def _facts(error: BaseException) -> dict[str, str]:
    if isinstance(error, errors.FtchaosError):
        return {"kind": type(error).__name__, "fact": error.fact, "hint": error.hint}
    traceback.print_exception(error, file=sys.stderr)
    sys.stderr.flush()
    fact = f"the lab's supervisor failed: {type(error).__name__}: {error}"
    return {"kind": "FtchaosError", "fact": fact, "hint": "read supervisor.log in the lab's folder"}


def _error(facts: dict[str, str]) -> errors.FtchaosError:
    kind = getattr(errors, facts["kind"], errors.FtchaosError)
    error: errors.FtchaosError = kind(facts["fact"], facts["hint"])
    return error


@contextmanager
def _short(folder: Path) -> Iterator[str]:
    descriptor = os.open(folder, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{descriptor}/{SOCKET}"
    finally:
        os.close(descriptor)
