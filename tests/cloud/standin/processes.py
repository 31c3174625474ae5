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
    """A TCP port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


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
