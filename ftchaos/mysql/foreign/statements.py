"""SQL text cut into statements as the command-line client would cut it, without obeying any of the client's commands.

Strings, quoted names, comments and ``DELIMITER`` are understood; ``\\!``, ``source`` or ``tee`` are only text, for the
server to refuse. A comment ``/*! ... */`` is SQL to a server, so what is inside counts.

Source: the statement reader of the clients of MySQL and MariaDB (``add_line`` in ``client/mysql.cc``).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import cache
from typing import NamedTuple

from ftchaos.errors import Unusable

LIMIT_BYTES = 512 << 20
_CHUNK_BYTES = 1 << 20
_LINE = b";\n"
_BETWEEN = re.compile(
    rb"(?>(?:\s++|--(?:[ \t\r\f\v][^\n]*+)?\n|\#[^\n]*+\n|/\*(?![!M+]).*?\*/|/\*M(?!!).*?\*/|/\*M!999999\\-.*?\*/)*)",
    re.S,
)
_DELIMITER = re.compile(rb"DELIMITER[ \t]+([^\s]+)[^\n]*\n", re.I)
_DELIMITER_BEGUN = re.compile(rb"DELIMITER[ \t]", re.I)


class Statement(NamedTuple):
    """One statement.

    Attributes:
        text: without its delimiter and the comments before it.
        begin: offset of its first byte in the text.
    """

    text: bytes
    begin: int


def statements(read: Callable[[int], bytes], *, by_line: bool = False) -> Iterator[Statement]:
    """All statements of a text.

    Args:
        read: gives at most so many next bytes, none at the end.
        by_line: only a delimiter at the end of a line counts, as mydumper and myloader have it.

    Raises:
        Unusable: the text ends within a statement, or a statement does not end within 512 MiB.
    """
    delimiter = _LINE if by_line else b";"
    data, at, passed, ended = b"", 0, 0, False
    while True:
        begin = at
        at = _end_of(_BETWEEN, data, at)
        command = _DELIMITER.match(data, at)
        if command and not by_line:
            delimiter, at = command[1], command.end()
            continue
        cut = not by_line and _DELIMITER_BEGUN.match(data, at)  # its own semicolon must not end it
        if not cut and (end := _whole(delimiter).match(data, at)):
            text = data[at : end.end() - len(delimiter)]
            if text.strip():
                yield Statement(text, passed + at)
            at = end.end()
            continue
        if ended:
            _ensure_nothing_left(data[at:], passed + at)
            return
        passed, data, at = passed + begin, data[begin:], 0
        if len(data) > LIMIT_BYTES:
            raise Unusable(
                f"the statement at byte {passed} does not end within {LIMIT_BYTES >> 20} MiB",
                "a quote may have been lost: the file is damaged there",
            )
        # As much again as there is, so that a long statement is not read over and over.
        more = read(max(_CHUNK_BYTES, len(data)))
        ended = not more
        data += more or b"\n"


def _end_of(pattern: re.Pattern[bytes], data: bytes, at: int) -> int:
    match = pattern.match(data, at)
    return match.end() if match else at


@cache
def _whole(delimiter: bytes) -> re.Pattern[bytes]:
    """Everything up to and with the next delimiter; no match when it is not there yet.

    Each part ends by itself or looks at the byte after it, so that text cut anywhere gives no match instead of a wrong
    one. Nothing is ever given back (``++``), so the time is linear.
    """
    first, all_of_it = re.escape(delimiter[:1]), re.escape(delimiter)
    parts = [
        rb"[^'\"`#/\-\\" + first + rb"]++",
        rb"'(?>(?:[^'\\]++|\\.|'')*)'(?!')",
        rb"\"(?>(?:[^\"\\]++|\\.|\"\")*)\"(?!\")",
        rb"`(?>(?:[^`]++|``)*)`",
        rb"/\*(?![!M+]).*?\*/",
        rb"/\*M(?=[^!]).*?\*/",
        rb"/\*(?=[!+])",
        rb"/\*(?=M!)",
        rb"/(?=[^*])",
        rb"--(?=\s)[^\n]*+\n",
        rb"--(?=[^\s])",
        rb"-(?=[^-])",
        rb"\#[^\n]*+\n",
        rb"\\(?=.)",
    ]
    if len(delimiter) > 1:
        parts.append(rb"(?!" + all_of_it + rb")" + first + rb"(?=.)")
    # Atomic groups, not ``(...)*+``: Python before 3.11.5 matches that wrongly where a part can backtrack.
    return re.compile(rb"(?>(?:" + rb"|".join(parts) + rb")*)" + all_of_it, re.S)


def _ensure_nothing_left(rest: bytes, begin: int) -> None:
    rest = rest[_end_of(_BETWEEN, rest, 0) :].strip()
    if rest:
        head = rest[:60].decode(errors="replace").split("\n")[0]
        raise Unusable(
            f"the text ends within the statement at byte {begin}: {head}", "it is truncated: fetch the file again"
        )
