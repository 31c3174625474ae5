"""The protocol that Redis speaks, as far as writers need it: commands to bytes, and bytes to replies. Pure.

Source: RESP version 2, which every Redis speaks until a client asks for another.
"""

from __future__ import annotations

from typing import TypeAlias

DEEPEST = 8


class Refusal(str):
    """An error reply; its first word is the kind: ``MOVED``, ``READONLY``."""

    __slots__ = ()

    @property
    def kind(self) -> str:
        return self.partition(" ")[0]


Reply: TypeAlias = "str | int | bytes | list[Reply] | None"


def command(*words: str | bytes | int) -> bytes:
    """A command as it is sent."""
    parts = [b"*%d\r\n" % len(words)]
    for word in words:
        data = word if isinstance(word, bytes) else str(word).encode()
        parts.append(b"$%d\r\n%s\r\n" % (len(data), data))
    return b"".join(parts)


def parse(data: bytes | bytearray, at: int = 0, deep: int = 0) -> tuple[Reply, int] | None:
    """The reply that begins at an offset, and where the next one does; None while it is not whole.

    Raises:
        ValueError: this is no reply, so whoever sent it is no Redis.
    """
    end = data.find(b"\r\n", at)
    if end < 0:
        return None
    mark, line, after = data[at : at + 1], bytes(data[at + 1 : end]), end + 2
    if mark == b"+":
        return line.decode(errors="replace"), after
    if mark == b"-":
        return Refusal(line.decode(errors="replace")), after
    if mark not in (b":", b"$", b"*") or deep > DEEPEST:
        raise ValueError(f"{bytes(data[at : at + 20])!r} is no reply of a Redis")
    number = int(line)
    if mark == b":":
        return number, after
    if number < 0:
        return None, after
    return _bulk(data, after, number) if mark == b"$" else _array(data, after, number, deep)


def _bulk(data: bytes | bytearray, at: int, length: int) -> tuple[Reply, int] | None:
    end = at + length
    if len(data) < end + 2:
        return None
    if data[end : end + 2] != b"\r\n":
        raise ValueError("a string of a reply is longer than it says")
    return bytes(data[at:end]), end + 2


def _array(data: bytes | bytearray, at: int, count: int, deep: int) -> tuple[Reply, int] | None:
    items: list[Reply] = []
    for _ in range(count):
        found = parse(data, at, deep + 1)
        if found is None:
            return None
        item, at = found
        items.append(item)
    return items, at
