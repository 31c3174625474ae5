"""What a mysqldump or mariadb-dump file says of itself: in its head, in its trailer, and in a few statements."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from ftchaos.errors import Unusable
from ftchaos.mysql.foreign.about import About, taken
from ftchaos.mysql.foreign.stream import compression, opened, readable

HEAD_BYTES = 256 << 10
TAIL_BYTES = 8 << 10

_HEADER = re.compile(rb"^-- (MySQL|MariaDB) dump [^\n]*?(?:Distrib |-)(\d+\.\d+\.\d+[^\s,]*)", re.M)
_SERVER = re.compile(rb"^-- Server version\s+(\S+)", re.M)
_HOST = re.compile(rb"^-- Host: [^\n]*?Database: ([^\n]*)$", re.M)
_TRAILER = re.compile(rb"^-- Dump completed(?: on (\d{4}-\d\d-\d\d +\d?\d:\d\d:\d\d))?\s*\Z", re.M)
_FIRST = re.compile(
    rb"\s*(?:/\*M!999999\\-[^\n]*\n)?\s*(?:-- |#|/\*!\d{5}|/\*M!\d{6}|CREATE |DROP |INSERT |SET |USE |LOCK |BEGIN)",
    re.I,
)
# At the begin of a line only: within rows a dump has no line ends. Any of them may stand in a comment.
_PURGED = re.compile(
    rb"^(?:-- |/\* )?SET @@GLOBAL\.GTID_PURGED\s*=\s*(?:/\*!80000 '\+'\*/\s*)?'(\+?[0-9a-z:,\s_-]*)'", re.M | re.I
)
_SLAVE_POS = re.compile(rb"^(?:-- )?SET GLOBAL gtid_slave_pos\s*=\s*'([0-9,-]*)'", re.M | re.I)
_LOG = re.compile(
    rb"^(?:-- )?CHANGE (?:MASTER|REPLICATION SOURCE)(?: '[^'\n]*')? TO (?:MASTER|SOURCE)_LOG_FILE\s*=\s*'([^'\n]+)',"
    rb"\s*(?:MASTER|SOURCE)_LOG_POS\s*=\s*(\d+)",
    re.M | re.I,
)


def looks_like_sql(begin: bytes) -> bool:
    """Whether a text begins as a dump does."""
    return b"\0" not in begin[:512] and _FIRST.match(begin) is not None


def inspect(path: Path) -> About:
    """What the dump says of itself; of a compressed one only what stands at its begin, the rest is in :func:`ended`.

    Raises:
        Unusable: it has no trailer though it should have one.
    """
    packed = compression(path)
    with opened(path) as stream:
        head = stream.read(HEAD_BYTES)
    about = About(path, "dump", f"SQL dump{', ' + packed if packed else ''}", path.stat().st_size)
    about = _from_head(about, head)
    about = replace(about, details={**about.details, "packed": packed})
    if packed:
        return replace(about, whole="unknown", whole_detail="its end is only known when all of it was unpacked")
    with readable(path) as file:
        file.seek(max(0, about.size_bytes - TAIL_BYTES))
        tail = file.read()
    return ended(about, tail)


def ended(about: About, tail: bytes) -> About:
    """The same, with what stands at the end of the text.

    Raises:
        Unusable: there is no trailer though there should be one.
    """
    about = _with_position(about, tail)
    trailer = _TRAILER.search(tail)
    if trailer:
        when = taken(" ".join(trailer[1].decode().split()), about.path) if trailer[1] else None
        detail = "it ends with its trailer" + ("" if trailer[1] else ", which has no date")
        return replace(about, whole="passed", whole_detail=detail, taken=when)
    if about.details.get("comments") == "yes":
        raise Unusable(
            f"{about.path} is incomplete: it does not end with '-- Dump completed'",
            "it is truncated, or the dump failed: fetch it again, or take an older one",
        )
    return replace(
        about, whole="unknown", whole_detail="it was made without comments, so it has no trailer that would be missing"
    )


def _from_head(about: About, head: bytes) -> About:
    found, server, host = _HEADER.search(head), _SERVER.search(head), _HOST.search(head)
    version = server[1].decode(errors="replace") if server else found[2].decode(errors="replace") if found else ""
    flavour, maker = "", "SQL dump"
    if found:
        mariadb = found[1] == b"MariaDB" or b"MariaDB" in found[2] or "MariaDB" in version
        # An old mysqldump of either kind reads both servers: the server decides.
        flavour = "mariadb" if ("MariaDB" in version if server else mariadb) else "mysql"
        maker = "mariadb-dump" if mariadb else "mysqldump"
    elif b"/*M!" in head:
        flavour = "mariadb"
    elif b"GTID_PURGED" in head:
        flavour = "mysql"
    return replace(
        _with_position(about, head),
        method=about.method.replace("SQL dump", f"{maker} file" if found else "SQL dump", 1),
        flavour=flavour,
        server_version=version,
        schema=host[1].strip().decode(errors="replace") if host else "",
        details={"comments": "yes" if found else "no"},
    )


def _with_position(about: About, text: bytes) -> About:
    log = _LOG.search(text)
    if log:
        about = replace(about, log_file=log[1].decode(errors="replace"), log_position=int(log[2]))
    gtid = _PURGED.search(text) or _SLAVE_POS.search(text)
    if gtid:
        about = replace(about, gtid="".join(gtid[1].decode().lstrip("+").split()))
    return about
