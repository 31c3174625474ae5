"""An xbstream, as mariadb-backup and XtraBackup write it: chunks of files, each with its checksum.

Read here and not by ``mbstream``: its bytes are checked on the way, a path can only lie in the target folder, and a
machine that has only MySQL needs no MariaDB for it.

Source: ``storage/innobase/xtrabackup/src/xbstream_read.c`` of Percona XtraBackup, ``extra/mariabackup`` of MariaDB.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO
from zlib import crc32

from ftchaos.errors import StepFailed, Unusable

MAGIC = b"XBSTCK01"
_IGNORABLE = 1
_LONGEST_PATH = 4096
_LARGEST_CHUNK = 1 << 30
_ADVICE = "fetch the stream again, or take an older backup"

Read = Callable[[int], bytes]


@dataclass(frozen=True)
class Chunk:
    """A part of a file.

    Attributes:
        offset: where in the file it belongs.
        data: its bytes; None marks the file's end.
        holes: pairs of bytes to leave out and bytes to write, for a sparse file; empty for all of the data.
    """

    path: str
    offset: int = 0
    data: bytes | None = None
    holes: tuple[tuple[int, int], ...] = ()


def unpack(read: Read, folder: Path, progress: Callable[[], None]) -> int:
    """Write all files of a stream into a folder.

    Args:
        read: gives exactly so many next bytes, fewer only at the end.
        folder: exists and is empty.
        progress: called after each chunk.

    Returns:
        The number of files.

    Raises:
        Unusable: the stream is truncated or damaged, or names a path outside of the folder.
        StepFailed: the disk is full.
    """
    open_: dict[str, IO[bytes]] = {}
    whole: set[str] = set()
    try:
        for chunk in chunks(read):
            if chunk.data is None:
                _file(folder, chunk.path, open_, whole).close()
                del open_[chunk.path]
                whole.add(chunk.path)
            else:
                _write(_file(folder, chunk.path, open_, whole), chunk)
            progress()
        if open_:
            raise Unusable(f"the stream ends within {', '.join(sorted(open_)[:3])}", _ADVICE)
    except OSError as error:
        raise StepFailed(f"the stream cannot be unpacked: {error.strerror}", "give the state folder space") from error
    finally:
        for file in open_.values():
            file.close()
    return len(whole)


def chunks(read: Read) -> Iterator[Chunk]:
    """All chunks, each checked against its checksum.

    Raises:
        Unusable: the stream is truncated or damaged.
    """
    at = 0
    while head := read(14):
        if len(head) < 14:
            raise Unusable(f"the stream ends within a chunk, at byte {at}", _ADVICE)
        magic, flags, kind, length = struct.unpack("<8sBcI", head)
        if magic != MAGIC:
            raise Unusable(f"the stream is damaged at byte {at}: no chunk begins there", _ADVICE)
        if length > _LONGEST_PATH:
            raise Unusable(f"the stream is damaged at byte {at}: a path of {length} bytes", _ADVICE)
        path = _exactly(read, length, at).decode("utf-8", "surrogateescape")
        if kind == b"E":
            at += 14 + length
            yield Chunk(path)
        elif kind in (b"P", b"S"):
            chunk, size = _payload(read, path, kind == b"S", at)
            at += 14 + length + size
            yield chunk
        elif not flags & _IGNORABLE:
            raise Unusable(f"the stream has a chunk of unknown kind {kind!r} at byte {at}", "a newer tool made it")
        else:
            raise Unusable(f"the stream has a chunk that cannot be passed over, at byte {at}", _ADVICE)


def _payload(read: Read, path: str, sparse: bool, at: int) -> tuple[Chunk, int]:
    count = struct.unpack("<I", _exactly(read, 4, at))[0] if sparse else 0
    if count * 8 > _LARGEST_CHUNK:
        raise Unusable(f"the stream is damaged at byte {at}", _ADVICE)
    size, offset, wanted = struct.unpack("<QQI", _exactly(read, 20, at))
    if size > _LARGEST_CHUNK:
        raise Unusable(f"the stream is damaged at byte {at}: a chunk of {size} bytes", _ADVICE)
    map_ = _exactly(read, 8 * count, at)
    data = _exactly(read, size, at)
    if crc32(data, crc32(map_)) != wanted:
        raise Unusable(f"the stream is damaged: a part of {path} does not match its checksum, at byte {at}", _ADVICE)
    holes = tuple(struct.iter_unpack("<II", map_))
    return Chunk(path, offset, data, holes), 20 + len(map_) + size + (4 if sparse else 0)


def _exactly(read: Read, size: int, at: int) -> bytes:
    data = read(size) if size else b""
    if len(data) < size:
        raise Unusable(f"the stream ends within a chunk, at byte {at}", _ADVICE)
    return data


def _file(folder: Path, name: str, open_: dict[str, IO[bytes]], whole: set[str]) -> IO[bytes]:
    if name not in open_:
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or not path.parts or "\0" in name or name in whole:
            raise Unusable(f"the stream names a path that no backup has: {name!r}", "do not trust this backup")
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        open_[name] = os.fdopen(os.open(target, flags, 0o640), "wb", buffering=0)
    return open_[name]


def _write(file: IO[bytes], chunk: Chunk) -> None:
    assert chunk.data is not None
    file.seek(chunk.offset)
    rest = memoryview(chunk.data)
    for skip, length in chunk.holes or ((0, len(rest)),):
        file.seek(skip, os.SEEK_CUR)
        part = rest[:length]
        while part:
            part = part[file.write(part) :]
        rest = rest[length:]
        if not length:
            file.truncate(file.tell())  # a hole at the end
    if rest:
        raise Unusable(f"the stream is damaged: a sparse part of {chunk.path} does not add up", _ADVICE)
