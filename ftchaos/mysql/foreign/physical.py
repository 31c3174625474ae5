"""A folder of data files made by mariadb-backup or XtraBackup: what it says of itself, and how it is made ready."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from ftchaos.errors import Unusable
from ftchaos.mysql.foreign.about import About, taken

# Since 11.1 MariaDB writes the names of the second kind; XtraBackup keeps the first.
INFO = ("xtrabackup_info", "mariadb_backup_info")
CHECKPOINTS = ("xtrabackup_checkpoints", "mariadb_backup_checkpoints")
BINLOG_INFO = ("xtrabackup_binlog_info", "mariadb_backup_binlog_info")
CONFIGURATION = "backup-my.cnf"
_PACKED = (".qp", ".zst", ".lz4", ".gz")
_ENCRYPTED = ".xbcrypt"
_POSITION = re.compile(r"filename '([^']+)', position '(\d+)'(?:, GTID of the last change '([0-9a-fA-F:,\s_-]*)')?")
# What decides how data files are read; all else of a server's settings is the bench's own.
_OPTIONS = {
    "innodb_data_file_path": re.compile(
        r"[\w.-]+:\d+[KMGkmg]?(;[\w.-]+:\d+[KMGkmg]?)*(:autoextend(:max:\d+[KMGkmg]?)?)?"
    ),
    "innodb_page_size": re.compile(r"4096|8192|16384|32768|65536"),
    "innodb_undo_tablespaces": re.compile(r"\d{1,3}"),
    "lower_case_table_names": re.compile(r"[012]"),
}
_ONLY_MARIADB = ("innodb_undo_tablespaces",)  # MySQL finds them by itself


def is_one(path: Path) -> bool:
    """Whether a folder is such a backup."""
    return any((path / name).is_file() for name in (*INFO, *CHECKPOINTS)) or (path / CONFIGURATION).is_file()


def inspect(path: Path, written: Path | None = None) -> About:
    """What the folder says of itself.

    Args:
        written: the file that was written when the backup ended; its info file by default.

    Raises:
        Unusable: it is incomplete, incremental, compressed file by file, or encrypted.
    """
    _ensure_plain(path)
    info = _pairs(_text(path, INFO))
    checkpoints = _pairs(_text(path, CHECKPOINTS))
    about = from_info(path, "folder", info, written)
    state = checkpoints.get("backup_type", "")
    if not state:
        raise Unusable(
            f"{path} is incomplete: it has no {CHECKPOINTS[0]}", "the backup did not finish: take an older one"
        )
    if "incremental" in state or info.get("incremental") == "Y":
        raise Unusable(
            f"{path} is an incremental backup", "apply it to its full backup first: --prepare --incremental-dir=..."
        )
    if not (path / "ibdata1").is_file():
        raise Unusable(f"{path} is incomplete: it has no ibdata1", "fetch the folder again, or take an older backup")
    ready = state in ("full-prepared", "log-applied")
    partial = "Y" if info.get("partial") == "Y" else ""
    size_bytes = sum(file.stat().st_size for file in files(path))
    log_file, log_position, gtid = _position(path, info)
    return replace(
        about,
        method=f"{about.method}, {'prepared' if ready else 'not prepared'}{', partial' if partial else ''}",
        size_bytes=size_bytes,
        whole_detail=f"its checkpoints say {state}",
        details={"ready": "yes" if ready else "", "to_lsn": checkpoints.get("to_lsn", "")},
        log_file=log_file,
        log_position=log_position,
        gtid=gtid,
    )


def from_info(path: Path, kind: str, info: Mapping[str, str], written: Path | None = None) -> About:
    """What the info file of a backup says; without one only that there is a backup."""
    version = info.get("server_version", "")
    tool = info.get("tool_name", "") or (
        "mariadb-backup" if "MariaDB" in info.get("tool_version", "") else "xtrabackup"
    )
    tool = "mariadb-backup" if tool.lower() in ("mariabackup", "mariadb-backup") else "XtraBackup"
    mariadb = "MariaDB" in version or tool == "mariadb-backup"
    ended = info.get("end_time", "")
    written = written or next((path / name for name in INFO if (path / name).is_file()), path)
    return About(
        path,
        "folder" if kind == "folder" else "stream",
        f"{tool} {kind}" if info else f"backup {kind}",
        0,
        flavour=("mariadb" if mariadb else "mysql") if info else "",
        server_version=version,
        taken=taken(ended, written) if ended else None,
    )


def files(path: Path) -> list[Path]:
    """All files of the folder, in the order of their names.

    Raises:
        Unusable: something in it is neither a file nor a folder.
    """
    found = []
    for entry in sorted(path.rglob("*")):
        if entry.is_symlink() or not (entry.is_file() or entry.is_dir()):
            raise Unusable(f"{entry} is a link or a special file", "a backup has only files: copy it with cp -rL")
        if entry.is_file():
            found.append(entry)
    return found


def server_options(folder: Path, flavour: str) -> dict[str, str]:
    """The settings without which a server cannot read these data files."""
    try:
        text = (folder / CONFIGURATION).read_text(errors="replace")
    except FileNotFoundError:
        return {}
    said = _pairs(text)
    return {
        name: said[name]
        for name, allowed in _OPTIONS.items()
        if allowed.fullmatch(said.get(name, "")) and (flavour == "mariadb" or name not in _ONLY_MARIADB)
    }


def _ensure_plain(path: Path) -> None:
    packed = next((file for file in path.rglob("*") if file.name.endswith((*_PACKED, _ENCRYPTED))), None)
    if packed is None:
        return
    what = "encrypted" if packed.name.endswith(_ENCRYPTED) else "compressed file by file"
    verb = "--decrypt" if what == "encrypted" else "--decompress"
    raise Unusable(f"{path} is {what}: {packed.name}", f"undo that first: xtrabackup {verb} --target-dir={path}")


def _position(path: Path, info: Mapping[str, str]) -> tuple[str, int, str | None]:
    """Where the binary log goes on, in file, offset and GTID: the file made for it, else the line in the info file."""
    parts = _text(path, BINLOG_INFO).strip("\n").split("\t")
    if len(parts) >= 2 and parts[1].strip().isdigit():
        return parts[0], int(parts[1]), "".join("".join(parts[2:]).split()) or None
    found = _POSITION.search(info.get("binlog_pos", ""))
    if found:
        return found[1], int(found[2]), "".join((found[3] or "").split()) or None
    return "", 0, None


def _text(path: Path, names: Iterable[str]) -> str:
    for name in names:
        try:
            return (path / name).read_text(errors="replace")
        except FileNotFoundError:
            continue
    return ""


def _pairs(text: str) -> dict[str, str]:
    pairs = {}
    for line in text.splitlines():
        key, mark, value = line.partition("=")
        if mark and not line.startswith(("#", "[")):
            pairs[key.strip()] = value.strip()
    return pairs
