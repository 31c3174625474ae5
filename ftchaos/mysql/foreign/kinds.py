"""Which kind of backup a path is, by what is in it and never by its name alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from ftchaos.errors import Invalid, Unusable
from ftchaos.mysql.foreign import dump, mydumper, physical, xbstream
from ftchaos.mysql.foreign.about import About
from ftchaos.mysql.foreign.stream import compression, opened, readable

KNOWN = (
    "a mysqldump or mariadb-dump file (plain, gz or zst), a mydumper folder, "
    "or a mariadb-backup or XtraBackup folder or xbstream"
)
_BEGIN_BYTES = 64 << 10
# What people have instead, and what to do about it.
_OTHERS: Mapping[bytes, tuple[str, str]] = {
    b"BZh": ("packed with bzip2", "unpack it first: bunzip2"),
    b"\xfd7zXZ\0": ("packed with xz", "unpack it first: unxz"),
    b"\x04\x22\x4d\x18": ("packed with lz4", "unpack it first: unlz4"),
    b"PK\x03\x04": ("a zip archive", "unpack it first: unzip"),
    b"7z\xbc\xaf": ("a 7-Zip archive", "unpack it first: 7z x"),
    b"Salted__": ("encrypted by openssl", "decrypt it first"),
    b"-----BEGIN PGP": ("encrypted by gpg", "decrypt it first"),
    b"XBCRYP": ("encrypted by xbcrypt", "decrypt it first: xbcrypt -d"),
    b"\xfebin": ("a binary log, not a backup", "name a backup here, and the folder of the logs with --binlogs"),
    b"<?xml": ("XML", "make the dump without --xml"),
}
_TAR_AT = 257


def inspect(path: Path) -> About:
    """What a backup is and what it says of itself, as far as that can be told without reading all of it.

    Raises:
        Invalid: there is nothing at the path, or it is no backup of a known kind.
        Unusable: it is one, but cannot be restored.
    """
    try:
        if path.is_dir():
            return _folder(path)
        if path.is_file():
            return _file(path)
    except OSError as error:
        raise Invalid(f"{path} cannot be read: {error.strerror}", "check its permissions") from error
    if path.exists():
        raise Invalid(f"{path} is neither a file nor a folder", f"name {KNOWN}")
    raise Invalid(f"there is nothing at {path}", f"name {KNOWN}")


def _folder(path: Path) -> About:
    if physical.is_one(path):
        return physical.inspect(path)
    if mydumper.is_one(path):
        return mydumper.inspect(path)
    if (path / "ibdata1").is_file():
        raise Invalid(
            f"{path} is a bare data folder, which does not say whether it was copied while its server was down",
            "take a backup with mariadb-backup or XtraBackup",
        )
    inside = [entry for entry in sorted(path.iterdir()) if not entry.name.startswith(".")]
    if not inside:
        raise Invalid(f"{path} is an empty folder", f"name {KNOWN}")
    names = ", ".join(entry.name for entry in inside[:4])
    raise Invalid(f"{path} is a folder of no known kind of backup: it has {names}", f"name {KNOWN}")


def _file(path: Path) -> About:
    with readable(path) as file:
        raw = file.read(16)
    if not raw:
        raise Unusable(f"{path} is empty", "the backup failed: take an older one")
    _ensure_not_other(path, raw)
    with opened(path) as stream:
        begin = stream.read(_BEGIN_BYTES)
    packed = compression(path)
    if begin.startswith(xbstream.MAGIC):
        return _stream(path, packed)
    if dump.looks_like_sql(begin):
        return dump.inspect(path)
    _ensure_not_other(path, begin)
    if begin[_TAR_AT : _TAR_AT + 5] == b"ustar":
        raise Invalid(f"{path} is a tar archive", "unpack it first: tar -xf")
    if not begin:
        raise Unusable(f"{path} holds nothing", "the backup failed: take an older one")
    raise Invalid(f"{path} is no known kind of backup", f"name {KNOWN}")


def _ensure_not_other(path: Path, begin: bytes) -> None:
    for magic, (what, advice) in _OTHERS.items():
        if begin.startswith(magic):
            raise Invalid(f"{path} is {what}", advice)


def _stream(path: Path, packed: str) -> About:
    """A stream tells what it is at its end, so that is known when all of it was unpacked."""
    about = physical.from_info(path, "stream", {})
    return replace(
        about,
        method=f"xbstream{', ' + packed if packed else ''}",
        size_bytes=path.stat().st_size,
        whole="unknown",
        whole_detail="it is only known when all of it was unpacked",
        details={"packed": packed},
    )
