"""Instants as Kubernetes writes them, and copies of objects."""

from __future__ import annotations

import datetime
import secrets
from typing import Any

_LETTERS = "bcdfghjklmnpqrstvwxz2456789"


def stamp(ahead_s: float = 0.0) -> str:
    """Now, to the second, as ``metav1.Time``."""
    return f"{_now(ahead_s):%Y-%m-%dT%H:%M:%SZ}"


def micro() -> str:
    """Now, to the microsecond, as ``metav1.MicroTime``."""
    return f"{_now(0):%Y-%m-%dT%H:%M:%S.%fZ}"


def parse(text: str) -> float:
    """Seconds since the epoch."""
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def _now(ahead_s: float) -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=ahead_s)


def suffix(length: int = 5) -> str:
    """Random letters, of those that spell no words."""
    return "".join(secrets.choice(_LETTERS) for _ in range(length))


def clone(value: Any) -> Any:
    """A copy of JSON that may be changed."""
    if isinstance(value, dict):
        return {name: clone(one) for name, one in value.items()}
    if isinstance(value, list):
        return [clone(one) for one in value]
    return value
