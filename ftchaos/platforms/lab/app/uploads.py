"""The application's SQL: an upload is one transaction, and each attempt ends as committed, not committed or unknown."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass
from typing import Any

from pymysql.err import IntegrityError

from ftchaos.platforms.lab.app.database import ERRORS, READ_ONLY, STALE, Pool, code_of

# With what the counter and the queue may add, an answer comes before a client that waits 2 s has given up.
UPLOAD_TIMEOUT_S = 1.5
HEALTH_TIMEOUT_S = 0.6
DUPLICATE, UNKNOWN_OWNER = 1062, 1452
DEADLOCK = 1213

INSERT_FILE = (
    "INSERT INTO files (owner_id, name, size_bytes, checksum, content, upload_key, created_at)"
    " VALUES (%s, %s, %s, %s, %s, %s, NOW(6))"
)
INSERT_TRANSFER = "INSERT INTO transfers (file_id, status, created_at) VALUES (%s, 'queued', NOW(6))"
INSERT_EVENT = "INSERT INTO transfer_events (transfer_id, kind, at) VALUES (%s, %s, NOW(6))"
FIND_UPLOAD = "SELECT f.id, t.id FROM files f JOIN transfers t ON t.file_id = f.id WHERE f.upload_key = %s"
FIND_FILE = (
    "SELECT f.id, f.owner_id, f.name, f.size_bytes, f.checksum, f.content, t.id, t.status"
    " FROM files f JOIN transfers t ON t.file_id = f.id WHERE f.upload_key = %s"
)
LIST_FILES = (
    "SELECT f.id, f.name, f.size_bytes, t.status FROM files f JOIN transfers t ON t.file_id = f.id"
    " WHERE f.owner_id = %s ORDER BY f.id DESC LIMIT 50"
)
# Changes no row, takes no lock and writes no event, yet a read-only server refuses it.
CAN_WRITE = "UPDATE transfers SET status = status WHERE id = 0"


class NotCommitted(Exception):
    """This attempt certainly left nothing in the database."""


class Uncertain(Exception):
    """The commit was sent and its outcome never learned."""


class Rejected(NotCommitted):
    """The request itself is wrong; another attempt would fail alike."""


@dataclass(frozen=True)
class Upload:
    """What a client sends."""

    upload_key: int
    name: str
    owner: int
    content: str


@dataclass(frozen=True)
class Stored:
    """Where an upload lies; not fresh when an earlier request had already committed it."""

    file_id: int
    transfer_id: int
    fresh: bool


async def store(pool: Pool, upload: Upload) -> Stored:
    """Commit an upload, once, however often its key is sent.

    An attempt that met a stale connection before its commit is made again: nothing of it can have survived.

    Raises:
        NotCommitted: no attempt was committed.
        Uncertain: the connection or the time was lost while the commit was under way.
    """
    attempt = _Attempt()
    try:
        async with asyncio.timeout(UPLOAD_TIMEOUT_S):
            try:
                return await attempt.run(pool, upload)
            except ERRORS as error:
                if attempt.committing or code_of(error) not in STALE | {DEADLOCK}:
                    raise
            return await attempt.run(pool, upload)
    except ERRORS as error:
        # A read-only server refuses the commit itself and rolls back; any other error in a commit proves nothing.
        if attempt.committing and code_of(error) not in READ_ONLY:
            raise Uncertain(str(error)) from error
        if code_of(error) == UNKNOWN_OWNER:
            raise Rejected(f"no user {upload.owner}") from error
        raise NotCommitted(str(error) or type(error).__name__) from error


class _Attempt:
    """One transaction; `committing` from the moment its commit may have been seen by the server."""

    committing = False

    async def run(self, pool: Pool, upload: Upload) -> Stored:
        async with pool.connection() as connection, connection.cursor() as cursor:
            await connection.begin()
            try:
                file_id, transfer_id = await self._insert(cursor, upload)
            except IntegrityError as error:
                if code_of(error) != DUPLICATE:
                    raise
                await connection.rollback()
                await cursor.execute(FIND_UPLOAD, (upload.upload_key,))
                found = await cursor.fetchone()
                if found is None:
                    raise NotCommitted("an upload with this key was being removed") from error
                return Stored(found[0], found[1], fresh=False)
            self.committing = True
            await connection.commit()
            self.committing = False
            return Stored(file_id, transfer_id, fresh=True)

    async def _insert(self, cursor: Any, upload: Upload) -> tuple[int, int]:
        content = upload.content.encode()
        checksum = hashlib.sha256(content).hexdigest()
        # As text, which arrives in a binary column byte for byte: aiomysql 0.3 cannot escape bytes with PyMySQL 1.2.
        row = (upload.owner, upload.name, len(content), checksum, upload.content, upload.upload_key)
        await cursor.execute(INSERT_FILE, row)
        file_id = cursor.lastrowid
        await cursor.execute(INSERT_TRANSFER, (file_id,))
        transfer_id = cursor.lastrowid
        await cursor.execute(INSERT_EVENT, (transfer_id, "queued"))
        return file_id, transfer_id


async def can_write(pool: Pool) -> bool:
    """Whether the server behind the writer address takes writes at this moment."""
    try:
        async with asyncio.timeout(HEALTH_TIMEOUT_S), pool.connection() as connection, connection.cursor() as cursor:
            await cursor.execute(CAN_WRITE)
    except ERRORS:
        return False
    return True


async def rows(pool: Pool, sql: str, *values: Any) -> list[tuple[Any, ...]]:
    """The rows of one query, asked a second time when the first connection proved stale."""
    async with asyncio.timeout(UPLOAD_TIMEOUT_S):
        try:
            return await _rows(pool, sql, values)
        except ERRORS as error:
            if code_of(error) not in STALE:
                raise
        return await _rows(pool, sql, values)


async def _rows(pool: Pool, sql: str, values: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    async with pool.connection() as connection, connection.cursor() as cursor:
        await cursor.execute(sql, values)
        return list(await cursor.fetchall())
