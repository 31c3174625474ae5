"""One thing to deliver, and how: an HTTP request, tried once; nothing here waits or tries again.

No message of this module says the address, a header, or what the other side answered: each may hold a secret.
"""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

JSON = "application/json"
_AGAIN = (408, 425, 429, 500, 502, 503, 504)
_LONGEST_PAUSE_S = 60.0
_HINTS = {
    400: "it does not accept what it was sent; is this the right address?",
    401: "the secret is wrong or has expired",
    403: "the secret is wrong, or does not allow this",
    404: "the address is wrong, or was revoked",
    410: "the address was revoked",
}


class NotTold(Exception):
    """A delivery did not succeed.

    Args:
        fact: why, for people; without secrets.
        again: whether it may succeed later.
        pause_s: how long the other side asks to be left alone.
    """

    def __init__(self, fact: str, *, again: bool, pause_s: float = 0.0) -> None:
        super().__init__(fact)
        self.fact = fact
        self.again = again
        self.pause_s = pause_s


class Delivery(Protocol):
    """Something that is delivered whole or not at all."""

    def attempt(self, timeout_s: float) -> None:
        """Deliver it once.

        Raises:
            NotTold: it did not arrive, or nobody knows.
        """


@dataclass(frozen=True)
class Request:
    """An HTTP request; it shows none of its parts, as they hold secrets."""

    url: str = field(repr=False)
    body: bytes = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    method: str = "POST"

    def attempt(self, timeout_s: float) -> None:
        """Send it once; a redirect is not followed, as it would take secrets elsewhere."""
        asked = urllib.request.Request(self.url, self.body, dict(self.headers), method=self.method)
        asked.add_header("User-Agent", "ftchaos")
        try:
            with _opener().open(asked, timeout=timeout_s):
                return
        except urllib.error.HTTPError as error:
            with error:
                raise _answered(error) from None
        except (OSError, http.client.HTTPException) as error:
            raise NotTold(_unreached(error, timeout_s), again=True) from None


def as_json(url: str, payload: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> Request:
    """A request with a JSON body."""
    body = json.dumps(payload, ensure_ascii=False, allow_nan=False).encode("utf-8", "replace")
    return Request(url, body, {"Content-Type": JSON, **(headers or {})})


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        """Follow none."""


def _opener() -> urllib.request.OpenerDirector:
    return urllib.request.build_opener(_Stay)


def _answered(error: urllib.error.HTTPError) -> NotTold:
    meaning = http.client.responses.get(error.code, "")
    fact = f"it answered {error.code} {meaning}".rstrip()
    if 300 <= error.code < 400:
        fact += ", and redirects are not followed"
    elif hint := _HINTS.get(error.code):
        fact += f": {hint}"
    return NotTold(fact, again=error.code in _AGAIN, pause_s=_pause_s(error.headers.get("Retry-After", "")))


def _pause_s(text: str) -> float:
    return min(float(text), _LONGEST_PAUSE_S) if text.isascii() and text.isdigit() and len(text) < 10 else 0.0


def _unreached(error: Exception, timeout_s: float) -> str:
    """Why nobody answered, in words of ours: the library's may repeat the address."""
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(reason, TimeoutError):
        return f"it did not answer within {timeout_s:.1f} s"
    if isinstance(reason, ssl.SSLError):
        return "its certificate is not trusted, or it speaks no TLS"
    if isinstance(reason, socket.gaierror):
        return "its name is not known here"
    if isinstance(reason, ConnectionRefusedError):
        return "it refuses connections"
    return f"it cannot be reached ({type(reason).__name__})"
