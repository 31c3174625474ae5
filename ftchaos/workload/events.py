"""What subscribers heard: their file of JSON lines, as it is written and as it is read.

::

    {"at": 1234.5, "user": 1, "connected": true}
    {"at": 1234.6, "user": 1, "upload_key": 1099511627777}
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ftchaos.errors import Inconclusive


@dataclass(frozen=True)
class Events:
    """All that was heard.

    Attributes:
        heard: the instants at which each upload's completion was heard of, by its key; several where it was told twice.
        connections: when each user's subscription began, with True, or was lost, with False; in the file's order.
    """

    heard: Mapping[int, tuple[float, ...]]
    connections: tuple[tuple[float, int, bool], ...]


class Log:
    """The file, of which every line belongs to the kernel at once, and whole."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)

    def add(self, **line: Any) -> None:
        """Append a line.

        Raises:
            OSError: it does not fit on the disk.
        """
        data = (json.dumps(line) + "\n").encode()
        if (written := os.write(self._file, data)) != len(data):
            raise OSError(f"only {written} of {len(data)} bytes of a line of events fit on the disk")

    def close(self) -> None:
        os.close(self._file)


def read(path: Path, *, live: bool = False) -> Events:
    """What stands in a file.

    Args:
        live: it is being written: a last line that is not whole yet is left out.

    Raises:
        Inconclusive: it is not there, or damaged.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise Inconclusive(f"what subscribers heard cannot be read: {error}", "run again") from error
    lines = (data[: data.rfind(b"\n") + 1] if live else data).splitlines()
    heard: dict[int, list[float]] = {}
    connections: list[tuple[float, int, bool]] = []
    for number, text in enumerate(lines, 1):
        try:
            line = json.loads(text)
            at, user = float(line["at"]), int(line["user"])
            if "connected" in line:
                connections.append((at, user, bool(line["connected"])))
            else:
                heard.setdefault(int(line["upload_key"]), []).append(at)
        except (ValueError, KeyError, TypeError) as error:
            raise Inconclusive(
                f"line {number} of {path} is damaged: {error!r}", "take it whole from the run's folder, or run again"
            ) from error
    return Events({key: tuple(instants) for key, instants in heard.items()}, tuple(connections))
