"""Fills the application's tables with the same rows on every machine, by statements that run inside the server. Pure.

A unit is one file with its transfer, three events, and for every second file a thumbnail. Text repeats as people's
text does; hashes and images do not compress. Nothing is random, so that equal sizes give equal checksums.
"""

from __future__ import annotations

from dataclasses import dataclass

from ftchaos.errors import Invalid

DEFAULT_BYTES = 24 * 2**20
SMALLEST_BYTES = 8 * 2**20
UNIT_BYTES = 2480  # of .ibd files a unit, indexes included, measured at 1 GiB on both flavours
CHUNK = 10_000
USERS_SHARE = 10  # units a user
EPOCH = "'2026-01-01 00:00:00'"


@dataclass(frozen=True)
class Batch:
    """Statements for one part of one table.

    Attributes:
        table: the table, with its schema.
        units: how many units it advances.
        sql: the statement.
    """

    table: str
    units: int
    sql: str


def units(size_bytes: int) -> int:
    """How many units fill about this many bytes of .ibd files.

    Raises:
        Invalid: so little data would prove nothing.
    """
    if size_bytes < SMALLEST_BYTES:
        raise Invalid(f"{size_bytes} bytes of data are too few to prove a recovery", "ask for 8MiB or more")
    return size_bytes // UNIT_BYTES


def begin() -> list[str]:
    """What each seeding connection says first; checks are off because the rows are right by construction."""
    return ["SET SESSION foreign_key_checks = 0, unique_checks = 0, time_zone = '+00:00', NAMES utf8mb4"]


def numbers() -> list[str]:
    """A helper schema with the numbers from 0 to CHUNK - 1."""
    digits = " UNION ALL ".join(f"SELECT {digit}" + (" AS d" if digit == 0 else "") for digit in range(10))
    places = ", ".join(f"({digits}) AS t{place}" for place in range(4))
    return [
        "CREATE DATABASE seed",
        "CREATE TABLE seed.numbers (n INT UNSIGNED NOT NULL PRIMARY KEY)",
        f"INSERT INTO seed.numbers SELECT t3.d * 1000 + t2.d * 100 + t1.d * 10 + t0.d AS n FROM {places} ORDER BY n",
    ]


def end() -> list[str]:
    """Remove the helper schema."""
    return ["DROP DATABASE seed"]


def batches(count: int) -> dict[str, list[Batch]]:
    """The statements that seed so many units, by table; tables may be filled at once, each in its own order."""
    people = max(count // USERS_SHARE, 100)
    return {
        "filetransfer.users": _chunked("filetransfer.users", people, 1, _users()),
        "filetransfer.files": _chunked("filetransfer.files", count, 1, _files(people)),
        "filetransfer.transfers": _chunked("filetransfer.transfers", count, 1, _transfers(people)),
        "filetransfer.transfer_events": _chunked("filetransfer.transfer_events", count * 3, 1, _events()),
        "filetransfer.thumbnails": _chunked("filetransfer.thumbnails", count // 2, 2, _thumbnails()),
    }


def _chunked(table: str, count: int, step: int, select: str) -> list[Batch]:
    made = []
    for low in range(0, count, CHUNK):
        size = min(CHUNK, count - low)
        source = f"(SELECT ({low + 1} + n) * {step} AS i FROM seed.numbers WHERE n < {size} ORDER BY n) AS s"
        made.append(Batch(table, size, f"INSERT INTO {table} {select} FROM {source} ORDER BY i"))
    return made


def _hash(salt: str, number: str = "i") -> str:
    return f"SHA2(CONCAT('{salt}', {number}), 256)"


def _users() -> str:
    first = "ELT(1 + i % 8, 'Åsa', 'Jürgen', 'María', '美咲', 'Олена', 'Chloé', 'Nguyễn', 'Sam 🚀')"
    return (
        "(id, email, display_name, created_at) SELECT i, CONCAT('user', i, '@example.com'),"
        f" CONCAT({first}, ' ', HEX(i * 2654435761 % 4294967296)), {EPOCH} - INTERVAL i MINUTE"
    )


def _files(people: int) -> str:
    kind = "ELT(1 + i % 6, 'Bericht Übersicht', 'invoice', '写真', 'backup', 'rapport été', 'vidéo 🎬')"
    ending = "ELT(1 + i % 6, '.pdf', '.xlsx', '.jpg', '.tar.zst', '.docx', '.mp4')"
    content = f"CONCAT({_hash('text')}, REPEAT(CONCAT('line ', i, ' of the file; '), 1 + i * 7919 % 40))"
    return (
        "(id, owner_id, name, size_bytes, checksum, content, upload_key, created_at)"
        f" SELECT i, 1 + i * 7919 % {people}, CONCAT({kind}, ' ', i, {ending}), 1000 + i * 104729 % 50000000,"
        f" {_hash('file')}, {content}, NULL, {EPOCH} + INTERVAL i * 7 SECOND"
    )


def _transfers(people: int) -> str:
    status = "IF(i % 50 = 0, 'failed', IF(i % 97 = 0, 'cancelled', 'completed'))"
    return (
        "(id, file_id, recipient_id, status, created_at, completed_at)"
        f" SELECT i, i, 1 + i * 6101 % {people}, {status}, {EPOCH} + INTERVAL i * 7 + 1 SECOND,"
        f" IF(i % 50 = 0, NULL, {EPOCH} + INTERVAL i * 7 + 3 SECOND)"
    )


def _events() -> str:
    return (
        "(id, transfer_id, kind, at) SELECT i, 1 + (i - 1) DIV 3,"
        " ELT(1 + (i - 1) % 3, 'queued', 'begun', IF((1 + (i - 1) DIV 3) % 50 = 0, 'failed', 'completed')),"
        f" {EPOCH} + INTERVAL (1 + (i - 1) DIV 3) * 7 + (i - 1) % 3 SECOND"
    )


def _thumbnails() -> str:
    noise = ", ".join(f"UNHEX(SHA2(CONCAT('{part}:', i), 512))" for part in range(16))
    return (
        "(file_id, width, height, image) SELECT i, 64 + i % 3 * 64, 64 + i % 2 * 64,"
        f" CONCAT({noise}, REPEAT(UNHEX('FFD8FFE000104A46'), i * 7919 % 128))"
    )
