"""Secrets by reference: from an environment variable or a file, read when something is to be told.

An error names the key in the configuration, never what stands there: it may be the secret itself by mistake.
"""

from __future__ import annotations

import os
from pathlib import Path

from ftchaos.errors import Invalid
from ftchaos.receivers import Strict

LARGEST_BYTES = 1 << 16


def read(receiver: Strict, name: str, base: Path) -> str:
    """A secret of a receiver; empty where it has none.

    Args:
        base: the folder that the paths of files are relative to.

    Raises:
        Invalid: it is not there, or is not one line of text.
    """
    variable, file = receiver.reference(name)
    if variable is not None:
        found = os.environ.get(variable)
        if not found:
            raise Invalid(f"the environment variable that {name}_env names is not set", "export it")
        return _line(found, f"what {name}_env names")
    if file is not None:
        return _line(_content(base / file, name), f"the file that {name}_file names")
    return ""


def _content(path: Path, name: str) -> str:
    try:
        with path.open("rb") as stream:
            raw = stream.read(LARGEST_BYTES + 1)
        if len(raw) > LARGEST_BYTES:
            raise Invalid(f"the file that {name}_file names is larger than {LARGEST_BYTES >> 10} KiB")
        return raw.decode("ascii")
    except OSError as error:
        raise Invalid(f"the file that {name}_file names cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise Invalid(f"the file that {name}_file names is not plain text") from None


def _line(text: str, where: str) -> str:
    found = text.strip()
    if not found or not found.isascii() or not found.isprintable():
        raise Invalid(f"{where} is not one line of text", "put the secret there and nothing else")
    return found
