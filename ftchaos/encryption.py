"""Encrypted connections to databases and caches: the server's certificate is verified, or there is no connection."""

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
    return {"ssl": context(str(ca))}


def ensure_kept(connection: Any, ca: str | Path | None) -> None:
    """Drop a connection of PyMySQL that should be encrypted and is not: before 1.2 it goes on without.

    Raises:
        ConnectionError: it is not.
    """
    if ca and not connection._secure:
        connection.close()
        raise ConnectionError("the server offers no encryption")


@functools.cache
def context(ca: str) -> ssl.SSLContext:
    """How to speak TLS to a server that shows a certificate with its name.

    Args:
        ca: file of the authority that has signed it; empty for those that this machine trusts.

    Raises:
        Invalid: the file cannot be read, or holds no certificate.
    """
    try:
        made = ssl.create_default_context(cafile=ca or None)
    except (OSError, ssl.SSLError) as error:
        raise Invalid(
            f"the certificates in {ca} cannot be used: {error}", "name the PEM file of the authority, as RDS offers it"
        ) from error
    # Since Python 3.13 it demands extensions that authorities of databases have not always written.
    made.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return made
