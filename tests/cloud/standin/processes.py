"""Processes that end with the stand-in, whatever ends it.

The kernel sends the signal when the *thread* that began a process ends, so all are begun by one thread that stays.
"""

from __future__ import annotations

import socket
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

_kept: list[socket.socket] = []
_spawner = ThreadPoolExecutor(max_workers=1, thread_name_prefix="spawner")


def spawn(argv: Sequence[str], folder: Path, log: Path) -> subprocess.Popen[bytes]:
    """Begin a program; its messages are appended to the log."""

    def begin() -> subprocess.Popen[bytes]:
        with log.open("ab") as output:
            return subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *argv],
                cwd=folder, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            )  # fmt: skip

    return _spawner.submit(begin).result()


def end(process: subprocess.Popen[bytes] | None) -> None:
    """SIGKILL, and wait until it is gone."""
    if process is not None:
        process.kill()
        process.wait()


def later(work: Callable[..., Any], *arguments: Any) -> threading.Thread:
    """Run something beside the calls."""
    thread = threading.Thread(target=work, args=arguments, daemon=True, name=work.__name__)
    thread.start()
    return thread


def free_port() -> int:
    """A TCP port for a server of ours, which nobody else is given until :func:`release_ports`.

    It stays bound without being listened on: a server that sets SO_REUSEADDR, as all of ours do, can listen there, and
    whoever asks for any port gets another one.
    """
    kept = socket.socket()
    kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    kept.bind(("127.0.0.1", 0))
    _kept.append(kept)
    return int(kept.getsockname()[1])


def release_ports() -> None:
    """Give back the ports of servers that are gone."""
    while _kept:
        _kept.pop().close()


def until(condition: Callable[[], Any], timeout_s: float, what: str) -> Any:
    """The first true answer of a condition.

    Raises:
        TimeoutError: there was none within the time.
    """
    deadline = time.monotonic() + timeout_s
    while not (answer := condition()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {timeout_s:g} s: {what}")
        time.sleep(0.02)
    return answer
