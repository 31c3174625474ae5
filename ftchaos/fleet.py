"""One of many that run at once: which environment is this pod's, and a name that none of the others has.

An Indexed Job of Kubernetes gives each of its pods a number, counted from 0, in ``JOB_COMPLETION_INDEX``.

Source: Kubernetes documentation, Indexed Job: the variable, and the hostname ``JOB-INDEX`` of its pods.
"""

from __future__ import annotations

import os
import secrets
import socket
import zlib
from pathlib import Path

from ftchaos.errors import Invalid

INDEX = "JOB_COMPLETION_INDEX"


def environment_of_index(path: Path) -> str:
    """The environment of this pod: the line of its index in a file of names, one a line.

    Empty lines and those that begin with ``#`` do not count.

    Raises:
        Invalid: there is no index, no such line, no such file, or one name stands there twice.
    """
    try:
        lines = [line.strip() for line in path.read_text().splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise Invalid(f"the list of environments {path} cannot be read: {error}", "one name a line") from error
    names = [line for line in lines if line and not line.startswith("#")]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise Invalid(f"{twice[0]!r} stands twice in {path}", "two runs at once would want the same environment")
    index = os.environ.get(INDEX, "")
    if not index.isdigit():
        raise Invalid(
            f"{INDEX} is {index!r}, no index" if index else f"{INDEX} is not set, so no environment is chosen",
            "an Indexed Job sets it; elsewhere say --environment NAME",
        )
    if int(index) >= len(names):
        raise Invalid(
            f"{path} has {len(names)} environments, and none for the index {index}",
            f"let the Job have completions: {len(names)}",
        )
    return names[int(index)]


def suffix() -> str:
    """Four hexadecimal digits that tell two runs of one second apart: in a fleet by their index, else by chance."""
    index = os.environ.get(INDEX, "")
    if not index.isdigit():
        return secrets.token_hex(2)
    of_job = zlib.crc32(socket.gethostname().removesuffix(f"-{index}").encode())
    return f"{(of_job + int(index)) % 0x10000:04x}"
