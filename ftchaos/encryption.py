"""Encrypted connections to MySQL: the server's certificate is verified, or there is no connection."""

from __future__ import annotations

import functools
import ssl
from pathlib import Path
from typing import Any

from ftchaos.errors import Invalid


def of_mysql(ca: str | Path | None) -> dict[str, Any]:
    """What PyMySQL needs for a connection.

    Args:
        ca: file of the authority that has signed the server's certificate; without it nothing is encrypted.

    Raises:
        Invalid: the file cannot be read, or holds no certificate.
    """
    if not ca:
        return {"ssl_disabled": True}  # else each connection loads the machine's certificates, 15 ms of CPU
    return {"ssl": _context(str(ca))}


@functools.cache
def _context(ca: str) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca)
    except (OSError, ssl.SSLError) as error:
        raise Invalid(
            f"the certificates in {ca} cannot be used: {error}", "name the PEM file of the authority, as RDS offers it"
        ) from error
