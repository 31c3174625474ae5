"""A mydumper folder: which files it has, what each is for, and what its metadata says; both namings, 0.10 and newer."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from ftchaos.errors import Unusable
from ftchaos.mysql.foreign.about import About, taken

METADATA = "metadata"
_PACKING = re.compile(r"\.(gz|zst)$")
_OTHER_PACKING = re.compile(r"\.(lz4|xz|bz2|snappy)$")
# A name may have dots in it only when mydumper has replaced it (mydumper_0), so the first dot parts schema and table.
_SCHEMA = re.compile(r"(?P<schema>[^.]+)-schema(?:-create)?")
_OF_SCHEMA = re.compile(r"(?P<schema>[^.]+)-schema-(?P<what>post|triggers)")
_OF_TABLE = re.compile(r"(?P<schema>[^.]+)\.(?P<table>.+?)-schema(?:-(?P<what>view|triggers|sequence))?")
_ROWS = re.compile(r"(?P<schema>[^.]+)\.(?P<table>.+?)(?:\.\d{5}(?:\.\d{5})?)?")
_OLD_NAME = re.compile(r"(?P<schema>[^.]+)\.(?P<table>.+)-metadata")
_SECTION = re.compile(r"\[(?P<quote>[`\"])(?P<schema>.+?)(?P=quote)\.(?P=quote)(?P<table>.+)(?P=quote)\]")
_ADVICE = "fetch the folder again, or take an older backup"


@dataclass
class Table:
    """One table or view of the folder; all lists are in the order of their names.

    Attributes:
        name: as the server calls it.
        rows: as the metadata counts them; None where it does not.
    """

    schema: str
    name: str
    definition: Path | None = None
    sequence: Path | None = None
    view: Path | None = None
    triggers: list[Path] = field(default_factory=list)
    data: list[Path] = field(default_factory=list)
    rows: int | None = None


@dataclass
class Folder:
    """What is in a mydumper folder.

    Attributes:
        schemas: schema to the file that creates it.
        tables: by the names that their files have.
        posts: schema and file of its triggers, routines and events.
    """

    about: About
    schemas: dict[str, Path | None] = field(default_factory=dict)
    tables: dict[tuple[str, str], Table] = field(default_factory=dict)
    posts: list[tuple[str, Path]] = field(default_factory=list)

    def files(self) -> Iterator[Path]:
        """All that is restored."""
        yield from filter(None, self.schemas.values())
        for table in self.tables.values():
            yield from filter(None, (table.definition, table.sequence, table.view))
            yield from table.triggers + table.data
        for _, path in self.posts:
            yield path


def is_one(path: Path) -> bool:
    """Whether a folder is mydumper's, finished or not."""
    return (
        any((path / name).is_file() for name in (METADATA, f"{METADATA}.partial")) and not (path / "ibdata1").exists()
    )


def inspect(path: Path) -> About:
    """What the folder says of itself.

    Raises:
        Unusable: it is not finished, or files are missing, or it cannot be restored here.
    """
    return read(path).about


def read(path: Path) -> Folder:
    """All of the folder that a restore needs, by what each file is for.

    Raises:
        Unusable: it is not finished, or files are missing, or it cannot be restored here.
    """
    metadata = path / METADATA
    if not metadata.is_file() or (path / f"{METADATA}.partial").exists():
        raise Unusable(f"{path} is incomplete: mydumper did not finish, its metadata is partial", _ADVICE)
    text = metadata.read_text(errors="replace")
    folder = Folder(_about(path, text))
    for file in sorted(path.iterdir()):
        if file.is_symlink():
            raise Unusable(f"{file} is a symbolic link", "copy the folder with what it links to: cp -rL")
        if file.is_file() and not file.name.startswith((METADATA, ".")):
            _sort_in(folder, file)
    _read_sections(folder, text)
    _ensure_whole(folder)
    size_bytes = sum(file.stat().st_size for file in folder.files())
    folder.about = replace(folder.about, size_bytes=size_bytes)
    if silent := [f"{table.schema}.{table.name}" for table in folder.tables.values() if _is_silent(table)]:
        # Backups that were "complete" with empty tables are known from old versions, and look exactly like this.
        detail = f"no rows of {', '.join(silent[:5])}{' and others' if len(silent) > 5 else ''}: empty, or lost"
        advice = "mydumper 0.14 or newer counts rows, an older one tells with --build-empty-files"
        folder.about = replace(folder.about, whole="unknown", whole_detail=f"{detail}; {advice}")
    return folder


def _is_silent(table: Table) -> bool:
    """Whether a table has no rows in the folder and nothing says that it should have none."""
    return table.rows is None and not table.data and table.view is None and table.sequence is None


def _about(path: Path, text: str) -> About:
    def said(pattern: str) -> str:
        found = re.search(pattern, text, re.M | re.I)
        return found[1].strip() if found else ""

    began, finished = said(r"^#? ?Started dump at: (.+)$"), said(r"^#? ?Finished dump at: (.+)$")
    if not finished:
        raise Unusable(f"{path} is incomplete: its metadata does not say when it finished", _ADVICE)
    if re.search(r"^local-infile\s*=\s*1", text, re.M):
        raise Unusable(
            f"{path} keeps its rows in files for LOAD DATA, which the bench does not allow",
            "make the backup without --load-data and --csv",
        )
    if re.search(r"^quote-character\s*=\s*DOUBLE", text, re.M):
        raise Unusable(f"{path} was made with double quotes around names", "make it with --quote-character=BACKTICK")
    # The snapshot is that of the begin; the zone of its time is told by the end, when the file was closed.
    when, ended = taken(began, path / METADATA), taken(finished, path / METADATA)
    if when and ended and ended.sure and not when.sure:
        named = taken(finished, path)
        offset = (named.at if named and not named.sure else ended.at) - ended.at
        when = replace(when, at=when.at - offset, sure=True)
    gtid = said(r"^(?:\s*GTID:|(?:source_)?executed_gtid_set\s*=)[ \t]*\"?(.*?)\"?$").strip()
    many = re.search(r"^executed_gtid_set\s*=\s*\"?([0-9a-f:,\s_-]+)", text, re.M | re.I)
    gtid = many[1] if many else gtid
    position = said(r"^(?:\s*Pos:|(?:(?:source|master)_log_pos|position)\s*=)[ \t]*(\d+)")
    return About(
        path,
        "mydumper",
        "mydumper folder",
        0,
        flavour=_flavour(gtid),
        whole_detail="mydumper finished it, and no file of it is missing",
        taken=when,
        gtid="".join(gtid.split()) or None,
        log_file=said(r"^(?:\s*Log:|(?:(?:source|master)_log_file|file)\s*=)[ \t]*\"?([^\"\n]*)"),
        log_position=int(position) if position else 0,
    )


def _flavour(gtid: str) -> str:
    if re.match(r"\d+-\d+-\d+", gtid):
        return "mariadb"
    return "mysql" if re.match(r"[0-9a-f]{8}-", gtid) else ""


def _sort_in(folder: Folder, file: Path) -> None:
    name = _PACKING.sub("", file.name)
    if _OTHER_PACKING.search(name):
        raise Unusable(f"{file} is packed in a way that is not known here", "known are gz and zst")
    if name.endswith(".dat"):
        raise Unusable(
            f"{file} has rows for LOAD DATA, which the bench does not allow", "make the backup without --load-data"
        )
    if found := _OLD_NAME.fullmatch(name):
        table = _table(folder, found)
        table.rows = int(file.read_text(errors="replace").strip() or 0)
    if not name.endswith(".sql"):
        return
    stem = name[:-4]
    if found := _OF_SCHEMA.fullmatch(stem):
        folder.posts.append((found["schema"], file))
    elif found := _SCHEMA.fullmatch(stem):
        folder.schemas[found["schema"]] = file
    elif found := _OF_TABLE.fullmatch(stem):
        table = _table(folder, found)
        if found["what"] == "triggers":
            table.triggers.append(file)
        elif found["what"] == "view":
            table.view = file
        elif found["what"] == "sequence":
            table.sequence = file
        else:
            table.definition = file
    elif found := _ROWS.fullmatch(stem):
        _table(folder, found).data.append(file)


def _table(folder: Folder, found: re.Match[str]) -> Table:
    schema, name = found["schema"], found["table"]
    folder.schemas.setdefault(schema, None)
    return folder.tables.setdefault((schema, name), Table(schema, name))


def _read_sections(folder: Folder, text: str) -> None:
    """Real names and row counts, which newer versions keep in the metadata: ``[`schema`.`table`]``."""
    table: Table | None = None
    for line in text.splitlines():
        key, _, value = (part.strip() for part in line.partition("="))
        if line.startswith("["):
            section = _SECTION.fullmatch(line.strip())
            table = _table(folder, section) if section else None
        elif table and key.lower() == "rows" and value.isdigit():
            table.rows = int(value)
        elif table and key.lower() == "real_table_name":
            table.name = value.strip('`"').replace("``", "`")


def _ensure_whole(folder: Folder) -> None:
    """No file is missing that the others or the metadata speak of."""
    path = folder.about.path
    if not folder.tables:
        raise Unusable(f"{path} has no table", "is it the folder that mydumper wrote?")
    for (schema, name), table in folder.tables.items():
        shown = f"{schema}.{name}"
        if table.rows and not table.data:
            raise Unusable(f"{path}: the rows of {shown} are missing: {table.rows:,} in the metadata, no file", _ADVICE)
        if table.data and not table.definition:
            raise Unusable(f"{path}: the definition of {shown} is missing: {name}-schema.sql", _ADVICE)
        numbers = sorted({int(part[1]) for file in table.data if (part := re.search(r"\.(\d{5})\.", file.name))})
        # Only a gap can be seen: a last part that is missing shows in the row count, where there is one.
        if numbers and table.rows is None and numbers != list(range(numbers[0], numbers[0] + len(numbers))):
            raise Unusable(f"{path}: a part of the rows of {shown} is missing: {numbers}", _ADVICE)
