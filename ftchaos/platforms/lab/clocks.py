"""A wall clock of its own for each MySQL server of the lab, which can be moved while the server runs.

libfaketime stands between the server and the kernel's clock, and looks into a file once a second for how far the clock
is off. Only the wall clock is moved: what waits for a time goes on waiting as long as it was told.
"""

from __future__ import annotations

from pathlib import Path

from ftchaos import atomic

PACKAGE = "libfaketime"
_PLACES = ("/usr/lib/*/faketime", "/usr/lib/faketime", "/usr/lib64/faketime", "/usr/local/lib/faketime")
_LIBRARY = "libfaketimeMT.so.1"
_FILE = "clock"
# It leaves files in /dev/shm when its server is killed, named by process ids that other zones have as well.
_ALONE = (
    "if [ ! -e /dev/shm/zone ]; then mount -t tmpfs -o size=16m tmpfs /dev/shm && touch /dev/shm/zone; fi"
    f" && rm -f /dev/shm/faketime_* && if [ ! -e ../{_FILE} ]; then echo +0 >../{_FILE}; fi && exec env"
)


def library() -> Path | None:
    """Where libfaketime is on this machine; None where it is not."""
    found = (path for place in _PLACES for path in Path("/").glob(f"{place[1:]}/{_LIBRARY}"))
    return next(found, None)


def command(datadir: Path, address: str) -> str:
    """The words of a shell, in a data folder, before the server's own that give it a clock that can be moved.

    Without libfaketime, and where zones have no mounts of their own, it has the machine's.
    """
    found = library()
    if found is None or address.startswith("127."):
        return "exec"
    settings = {
        "LD_PRELOAD": str(found),
        "FAKETIME_TIMESTAMP_FILE": str(_file(datadir)),
        "FAKETIME_CACHE_DURATION": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        # Else it takes waits on the monotonic clock for waits on the other, and MySQL spins.
        "FAKETIME_FORCE_MONOTONIC_FIX": "0",
        "NO_FAKE_STAT": "1",
    }
    return " ".join([_ALONE, *(f"{name}='{value}'" for name, value in settings.items())])


def move(datadir: Path, by_s: float) -> None:
    """Let a server's clock be off by so many seconds, within two; 0 brings it back."""
    atomic.write(_file(datadir), f"{by_s:+.3f}s\n" if by_s else "+0\n")


def _file(datadir: Path) -> Path:
    return datadir.with_name(_FILE)
