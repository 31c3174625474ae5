"""The manifest of a run's folder: what every file was when the run ended, chained to the run before.

``manifest.json`` is written last. It has the sha256 and size of every other file, the sha256 of the previous run's
manifest, the key that signs the run where one does, and a seal: its own sha256 without the seal, so that one damaged
byte in it shows even where no later run could miss it. With a key, ``attestation.json`` stands beside it: an in-toto
statement about all of this in a DSSE envelope.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ftchaos import atomic, chain, signing, statement
from ftchaos.chain import Link
from ftchaos.clock import iso
from ftchaos.errors import Invalid
from ftchaos.signing import Signer

FILE = "manifest.json"
ATTESTATION = "attestation.json"
SCHEMA = "ftchaos.manifest/1"
LARGEST_BYTES = 64 << 20
KEPT_LINKS = "links"
"""Where the manifests of runs lie that are not here themselves, as in a bundle of some runs only."""
_KEYS = ("schema", "run_id", "written_at", "sequence", "previous", "signer", "files", "seal")


@dataclass(frozen=True)
class Findings:
    """What differs from the manifest; all empty when nothing does.

    Attributes:
        altered: files with another content than when the run ended.
        missing: files that are gone.
        extra: files that were not there.
        chain: what is wrong with the previous run, in words.
        signature: what is wrong with the signature, in words.
    """

    altered: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()
    chain: tuple[str, ...] = ()
    signature: tuple[str, ...] = ()

    def problems(self) -> list[str]:
        """All findings, one sentence part each."""
        return [
            *(f"altered: {name}" for name in self.altered),
            *(f"missing: {name}" for name in self.missing),
            *(f"extra: {name}" for name in self.extra),
            *self.chain,
            *self.signature,
        ]


def digests(folder: Path) -> dict[str, dict[str, Any]]:
    """The sha256 and size of every file below a run's folder but the manifest, by relative path.

    Raises:
        Invalid: something there is no regular file, so that its content is not its own.
    """
    found: dict[str, dict[str, Any]] = {}
    for name in sorted(_names(folder)):
        path = folder / name
        if path.is_symlink() or not path.is_file():
            raise Invalid(f"{path} is not a regular file", "evidence holds only its own files; take it away")
        with path.open("rb") as stream:
            found[name] = {"sha256": hashlib.file_digest(stream, "sha256").hexdigest(), "bytes": path.stat().st_size}
    return found


def write(folder: Path) -> dict[str, Any]:
    """Write the manifest of a run that has ended, chained to the last run of the same reports folder.

    Returns:
        The manifest.

    Raises:
        Invalid: something in the folder is no regular file, or the signing key cannot be used.
        OSError: the folder cannot be written.
    """
    signer = signing.signer()
    files = digests(folder)
    # Two runs in two environments may end at one time; each must have the other before it or after it.
    with chain.locked(folder.parent):
        content, attestation = sealed(folder, files, _last(folder.parent, but=folder.name), signer)
        put(folder, content, attestation)
        whole = parse(content, FILE)
        chain.write_end(folder.parent, link(whole, content))
    return whole


def sealed(
    folder: Path, files: Mapping[str, Any], previous: Link | None, signer: Signer | None
) -> tuple[bytes, bytes | None]:
    """The content of a manifest, and of its attestation where there is a key."""
    manifest: dict[str, Any] = {
        "schema": SCHEMA,
        "run_id": folder.name,
        "written_at": iso(datetime.now(UTC)),
        "sequence": previous.sequence + 1 if previous else 1,
        "previous": {"run_id": previous.run_id, "sha256": previous.sha256} if previous else None,
        "signer": {"key_id": signer.key_id, "public_key": signer.public_key} if signer else None,
        "files": files,
    }
    content = _serialized({**manifest, "seal": _seal(manifest)})
    if signer is None:
        return content, None
    stated = statement.build(folder, FILE, content, files)
    return content, signer.envelope(stated, statement.PAYLOAD_TYPE)


def put(folder: Path, content: bytes, attestation: bytes | None) -> None:
    """Put a manifest into its folder; it comes last, as the run is complete when it is there."""
    if attestation is not None:
        atomic.write(folder / ATTESTATION, attestation)
    atomic.write(folder / FILE, content)


def verify(folder: Path) -> Findings:
    """Hold a run's folder against its manifest and signature, and the previous run against its link in the chain.

    Raises:
        Invalid: there is no manifest, or it cannot be read as one.
    """
    content = _content(folder)
    manifest = parse(content, str(folder / FILE))
    recorded: dict[str, Any] = manifest["files"]
    there = set(_names(folder))
    return Findings(
        altered=tuple(name for name in sorted(there & set(recorded)) if not _equal(folder / name, recorded[name])),
        missing=tuple(sorted(set(recorded) - there)),
        extra=tuple(sorted(there - set(recorded))),
        chain=tuple(_broken_link(folder, manifest)),
        signature=tuple(_wrong_signature(folder, manifest, content)),
    )


def read(folder: Path) -> dict[str, Any]:
    """The manifest of a run's folder.

    Raises:
        Invalid: there is none, or it cannot be read as one.
    """
    return parse(_content(folder), str(folder / FILE))


def read_link(folder: Path) -> Link:
    """The link of a run's folder in the chain.

    Raises:
        Invalid: there is no manifest, or it cannot be read as one.
    """
    content = _content(folder)
    return link(parse(content, str(folder / FILE)), content)


def link(manifest: Mapping[str, Any], content: bytes) -> Link:
    """The place of a manifest in the chain."""
    previous = manifest["previous"] or {"run_id": "", "sha256": ""}
    digest = hashlib.sha256(content).hexdigest()
    return Link(manifest["run_id"], manifest["sequence"], digest, previous["run_id"], previous["sha256"])


def parse(content: bytes, name: str) -> dict[str, Any]:
    """A manifest from its file.

    Raises:
        Invalid: it is none, or not exactly as ftchaos wrote it.
    """
    try:
        manifest = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise Invalid(f"{name} cannot be read: {error}", "the run's files cannot be verified without it") from error
    if not _is_manifest(manifest):
        raise Invalid(f"{name} is not a manifest of this version", "was it edited?")
    unsealed = {key: value for key, value in manifest.items() if key != "seal"}
    if content != _serialized(manifest) or manifest["seal"] != _seal(unsealed):
        raise Invalid(f"{name} was altered: it does not match its own seal", "take it from a copy of the run")
    whole: dict[str, Any] = manifest
    return whole


def _content(folder: Path) -> bytes:
    path = folder / FILE
    try:
        with path.open("rb") as stream:
            content = stream.read(LARGEST_BYTES + 1)
    except FileNotFoundError as error:
        raise Invalid(
            f"{folder.name} has no {FILE}, so the run did not end in order",
            "`ftchaos recover` undoes what it left; its raw data stays readable",
        ) from error
    except OSError as error:
        raise Invalid(f"{path} cannot be read: {error}", "the run's files cannot be verified without it") from error
    if len(content) > LARGEST_BYTES:
        raise Invalid(f"{path} is larger than {LARGEST_BYTES >> 20} MiB", "no manifest of ftchaos is")
    return content


def _serialized(manifest: Mapping[str, Any]) -> bytes:
    return f"{json.dumps(manifest, indent=1)}\n".encode()


def _seal(unsealed: Mapping[str, Any]) -> str:
    return hashlib.sha256(_serialized(unsealed)).hexdigest()


def _is_manifest(manifest: Any) -> bool:
    return (
        isinstance(manifest, dict)
        and tuple(manifest) == _KEYS
        and manifest["schema"] == SCHEMA
        and chain.is_run_id(manifest["run_id"])
        and type(manifest["sequence"]) is int
        and manifest["sequence"] >= 1
        and _is_reference(manifest["previous"], {"run_id": chain.is_run_id, "sha256": chain.is_sha256})
        and _is_reference(manifest["signer"], {"key_id": chain.is_sha256, "public_key": _is_text})
        and isinstance(manifest["files"], dict)
        and all(_is_reference(file or {}, _FILE) for file in manifest["files"].values())
    )


def _is_reference(value: Any, fields: Mapping[str, Any]) -> bool:
    return value is None or (
        isinstance(value, dict) and value.keys() == fields.keys() and all(fields[key](value[key]) for key in fields)
    )


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_size(value: Any) -> bool:
    return type(value) is int and value >= 0


_FILE = {"sha256": chain.is_sha256, "bytes": _is_size}


def _names(folder: Path) -> Iterator[str]:
    for place, folders, files in os.walk(folder):
        # A linked folder is not walked; it is named, and so found to be no regular file.
        links = [name for name in folders if (Path(place) / name).is_symlink()]
        for name in (*files, *links):
            relative = (Path(place) / name).relative_to(folder).as_posix()
            if relative not in (FILE, ATTESTATION):
                yield relative


def _equal(path: Path, recorded: dict[str, Any]) -> bool:
    if path.is_symlink() or not path.is_file() or path.stat().st_size != recorded["bytes"]:
        return False
    with path.open("rb") as stream:
        return bool(hashlib.file_digest(stream, "sha256").hexdigest() == recorded["sha256"])


def _broken_link(folder: Path, manifest: Mapping[str, Any]) -> Iterator[str]:
    if manifest["run_id"] != folder.name:
        yield f"the manifest is that of the run {manifest['run_id']}"
    previous = manifest["previous"]
    if previous is None:
        if manifest["sequence"] != 1:
            yield "the manifest names no previous run, but it is not the first"
        return
    path = folder.parent / previous["run_id"] / FILE
    kept = folder.parent / KEPT_LINKS / f"{previous['run_id']}.json"
    path = path if path.is_file() or not kept.is_file() else kept
    if not path.is_file():
        yield f"the previous run {previous['run_id']} is not there"
    elif hashlib.sha256(path.read_bytes()).hexdigest() != previous["sha256"]:
        yield f"the manifest of the previous run {previous['run_id']} was altered"


def _wrong_signature(folder: Path, manifest: Mapping[str, Any], content: bytes) -> Iterator[str]:
    path, signer = folder / ATTESTATION, manifest["signer"]
    if signer is None:
        if os.path.lexists(path):
            yield f"extra: {ATTESTATION}, but the manifest names no key"
        return
    try:
        envelope = path.read_bytes()
        wrong = signing.problem(envelope, signer["public_key"], statement.PAYLOAD_TYPE)
        if not wrong and signing.key_id(signer["public_key"]) != signer["key_id"]:
            wrong = "its key is not the one that the manifest names"
        if not wrong and not statement.is_about(signing.payload(envelope), FILE, content, manifest["files"]):
            wrong = "it is about other files"
    except OSError as error:
        wrong = f"it cannot be read: {error.strerror}"
    if wrong:
        yield f"altered: {ATTESTATION}: {wrong}"


def _last(reports: Path, *, but: str) -> Link | None:
    """The end of the chain: what is remembered as such, or a later manifest, left by a process that was killed then."""
    try:
        last, since_ns = chain.read_end(reports), (reports / chain.FILE).stat().st_mtime_ns
    except (Invalid, FileNotFoundError):
        last, since_ns = None, 0
    for path in reports.glob(f"*/{FILE}"):
        if path.parent.name == but or path.stat().st_mtime_ns < since_ns:
            continue
        try:
            found = read_link(path.parent)
        except Invalid:
            # A damaged manifest cannot be a link; `verify` of its own folder and of its successor tells.
            continue
        if last is None or found.sequence > last.sequence:
            last = found
    return last
