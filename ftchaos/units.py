"""Durations, sizes and shares as people write them, and back."""

from __future__ import annotations

import re

from ftchaos.errors import Invalid

_DURATION = re.compile(
    r"(?:(\d+(?:\.\d+)?)d)?(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s)?(?:(\d+(?:\.\d+)?)ms)?"
)
_SECONDS = (86400.0, 3600.0, 60.0, 1.0, 0.001)
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*(B|KiB|MiB|GiB|TiB|KB|MB|GB|TB)?")
_BYTES = {
    "B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40,
    "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12,
}  # fmt: skip


def duration_s(text: str | int | float) -> float:
    """Seconds of a duration such as ``90s``, ``15m``, ``4h``, ``1h30m`` or ``500ms``.

    A bare number is seconds.

    Raises:
        Invalid: the text is no duration.
    """
    if isinstance(text, int | float) and not isinstance(text, bool):
        value = float(text)
    else:
        match = _DURATION.fullmatch(str(text).strip())
        if match is None or not any(match.groups()):
            raise Invalid(f"{text!r} is not a duration", "write it like 90s, 15m, 4h or 1h30m")
        value = sum(float(part) * unit for part, unit in zip(match.groups(), _SECONDS, strict=True) if part)
    if not 0 <= value < float("inf"):
        raise Invalid(f"{text!r} is not a duration of zero or more", "write it like 90s, 15m, 4h or 1h30m")
    return value


def size_bytes(text: str | int) -> int:
    """Bytes of a size such as ``64MiB``, ``1GiB`` or ``500MB``; a bare number is bytes.

    Raises:
        Invalid: the text is no size.
    """
    match = _SIZE.fullmatch(str(text).strip())
    if match is None:
        raise Invalid(f"{text!r} is not a size", "write it like 64MiB, 1GiB or 500MB")
    return int(float(match[1]) * _BYTES[match[2] or "B"])


def share(text: str | int | float) -> float:
    """A ratio between 0 and 1 from ``99.5%`` or ``0.995``.

    Raises:
        Invalid: the text is no share, or it lies outside 0 to 1.
    """
    raw = str(text).strip()
    try:
        value = float(raw[:-1]) / 100 if raw.endswith("%") else float(raw)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise Invalid(f"{text!r} is not a share", "write it like 99.5% or 0.995")
    return value


def human_duration(seconds: float) -> str:
    """A duration for people: ``14.2 s``, ``3 min 05 s``, ``4 h``."""
    if seconds < 0.0995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 99.95:
        return f"{seconds:.1f} s" if seconds % 1 else f"{seconds:.0f} s"
    whole = round(seconds)
    if whole < 3600:
        minutes, rest = divmod(whole, 60)
        return f"{minutes} min {rest:02d} s" if rest else f"{minutes} min"
    hours, rest = divmod(whole, 3600)
    return f"{hours} h {rest // 60:02d} min" if rest >= 60 else f"{hours} h"


def human_size(size: float) -> str:
    """A size for people: ``34.1 MiB``."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f} B" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"
