"""The last bytes of a server's log before a position: two servers that have lived the same differ in them.

Such twins name the same transactions at the same positions, as those of two labs that were begun alike do; but their
rows were not written at the same times. A replica keeps what it was sent, byte by byte, in its relay log.

Source: MySQL internals manual, Binary Log Event Header; the same in the MariaDB knowledge base.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import NamedTuple

import xxhash

from ftchaos.mysql.binlog import MAGIC
from ftchaos.mysql.chain import opened

MOST_BYTES = 64 << 10
_HEADER = struct.Struct("<4xB4xII2x")  # type, length, position in the source's log
_OWN = frozenset({4, 15})  # of a rotation, and the description of the format: a replica writes these itself as well


class Trace(NamedTuple):
    """The bytes before a position.

    Attributes:
        length: how many; 0 where none are known.
        checksum: their XXH3, in hexadecimal digits.
    """

    length: int = 0
    checksum: str = ""

    def fits(self, log: Path, position: int) -> bool:
        """Whether these bytes come before the position of a log; true where either is not known."""
        with opened(log) as data:
            if not self.length or position > len(data):
                return True
            return xxhash.xxh3_64_hexdigest(data[max(0, position - self.length) : position]) == self.checksum


UNKNOWN = Trace()


def of_relay_log(log: Path, end: int, position: int) -> Trace:
    """What a replica received last.

    Args:
        log: its relay log that it applies.
        end: the byte in it up to which it has.
        position: the same place in the log of its source.

    Returns:
        None of them, where what comes before is in another log.
    """
    begin = at = len(MAGIC)
    with opened(log) as data:
        while at + _HEADER.size <= min(end, len(data)):
            kind, length, there = _HEADER.unpack_from(data, at)
            if length < _HEADER.size:
                return UNKNOWN
            at += length
            if kind in _OWN or there not in (0, (position - end + at) & 0xFFFFFFFF):
                begin = at
        if at != end or begin == end:
            return UNKNOWN
        begin = max(begin, end - MOST_BYTES)
        return Trace(end - begin, xxhash.xxh3_64_hexdigest(data[begin:end]))
