"""What a lab may leave behind: processes, namespaces, mounts, interfaces."""

from __future__ import annotations

import os
import re
import subprocess
import time
from pathlib import Path

from ftchaos.process import alive


def processes(state: Path) -> list[int]:
    """Processes that were begun under a state folder, from their environment or their working folder."""
    mark = f"FTCHAOS_STATE={state}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            # Redis overwrites its environment with its title, hence the second way to know one.
            ours = mark in (entry / "environ").read_bytes() or os.readlink(entry / "cwd").startswith(str(state))
        except OSError:
            continue
        if ours and alive(int(entry.name)):
            found.append(int(entry.name))
    return found


def networks(pids: list[int]) -> set[str]:
    """The network namespaces of these processes, other than our own."""
    found = set()
    for pid in pids:
        try:
            found.add(os.readlink(f"/proc/{pid}/ns/net"))
        except OSError:
            continue
    return found - {os.readlink("/proc/self/ns/net")}


def surroundings() -> tuple[str, str]:
    """The machine's mounts and interfaces, which no lab may change."""
    links = subprocess.run(["ip", "-br", "link"], capture_output=True, text=True, check=True).stdout
    mounts = Path("/proc/self/mounts").read_text().splitlines(keepends=True)
    return "".join(mount for mount in mounts if not _of_another_worker(mount)), links


def _of_another_worker(mount: str) -> bool:
    """Whether it lies below the temporary folder of another worker of pytest, whose tests may mount what they like."""
    worker = re.search(r"/popen-(gw\d+)/", mount)
    return worker is not None and worker[1] != os.environ.get("PYTEST_XDIST_WORKER")


def gone_within(state: Path, timeout_s: float) -> bool:
    """Whether all processes of a state folder end within the time."""
    deadline_at = time.monotonic() + timeout_s
    while processes(state):
        if time.monotonic() > deadline_at:
            return False
        time.sleep(0.01)
    return True
