"""One link of the chain as it lies in a bucket: manifest, signature and summary in one object, so there at once.

It comes from elsewhere: nothing in it is believed before its form is checked.
"""

from __future__ import annotations

import dataclasses
import json
import math
import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from pydantic import TypeAdapter, ValidationError

from ftchaos import chain, manifest
from ftchaos.errors import Invalid
from ftchaos.evidence.types import Text
from ftchaos.store.index import Entry
from ftchaos.store.summary import Summary

SCHEMA = "ftchaos.link/1"
_SUMMARY = TypeAdapter(Summary)
_TEXT = TypeAdapter(Text)
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z")
VERDICTS = ("passed", "failed", "inconclusive", "unreadable")


@dataclass(frozen=True)
class Published:
    """One link, checked.

    Attributes:
        content: of the manifest.
        attestation: its signature; None for an unsigned run.
        manifest: the manifest itself.
        entry: what the index keeps of it.
    """

    content: bytes
    attestation: bytes | None
    manifest: dict[str, Any]
    entry: Entry


def serialized(content: bytes, attestation: bytes | None, entry: Entry) -> bytes:
    """A link as an object."""
    whole = {
        "schema": SCHEMA,
        "manifest": content.decode(),
        "attestation": None if attestation is None else attestation.decode(),
        **about(entry),
    }
    return f"{json.dumps(whole, indent=1)}\n".encode()


def about(entry: Entry) -> dict[str, Any]:
    """What an entry says beside its place in the chain."""
    return {"summary": entry.summary and dataclasses.asdict(entry.summary), "annotates": entry.annotates}


def parse(body: bytes, name: str, stamp: str) -> Published:
    """A link from its object.

    Raises:
        Invalid: it is none, with its name.
    """
    try:
        whole = json.loads(body)
        content = whole["manifest"].encode()
        attestation = None if whole["attestation"] is None else whole["attestation"].encode()
        if whole["schema"] != SCHEMA:
            raise ValueError("another schema")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise Invalid(f"{name} is not a link of a chain: {type(error).__name__}", "was it edited?") from error
    found = manifest.parse(content, name)
    for file in found["files"]:
        _ensure_inside(file, name)
    place = dataclasses.astuple(manifest.link(found, content))
    entry = checked(stamp, place, whole.get("summary"), whole.get("annotates"), name)
    return Published(content, attestation, found, entry)


def checked(stamp: str, place: Any, summary: Any, annotates: Any, name: str) -> Entry:
    """An entry of the index from what lies in a bucket.

    Raises:
        Invalid: it is none.
    """
    try:
        run_id, sequence, digest, previous_id, previous_sha256 = place
        valid = chain.is_run_id(run_id) and type(sequence) is int and chain.is_sha256(digest)
        valid &= (previous_id == "" or chain.is_run_id(previous_id)) and isinstance(previous_sha256, str)
        valid &= annotates == "" or chain.is_run_id(annotates)
        found = None if summary is None else _summary(summary)
        valid &= found is None or (found.run_id == run_id and found.manifest_sha256 == digest)
    except (ValidationError, ValueError, TypeError) as error:
        raise Invalid(f"{name} is not a link of a chain: its summary is none", "was it edited?") from error
    if not valid:
        raise Invalid(f"{name} is not a link of a chain: its summary is that of something else", "was it edited?")
    return Entry(stamp, (run_id, sequence, digest, previous_id, previous_sha256), found, annotates)


def _summary(given: Any) -> Summary:
    # As JSON: a mapping in Python is no dataclass to a strict validator.
    found = _SUMMARY.validate_json(json.dumps(given), strict=True)
    texts: dict[str, Any] = {
        key: _TEXT.validate_python(value) for key, value in vars(found).items() if isinstance(value, str)
    }
    figures = [value for value in vars(found).values() if isinstance(value, int | float)]
    instants = [_INSTANT.fullmatch(at) for at in (found.began_at, found.ended_at)]
    if found.verdict not in VERDICTS or not all(instants) or not all(0 <= one < math.inf for one in figures):
        raise ValueError("a value that no run has")
    return dataclasses.replace(found, **texts)


def _ensure_inside(file: str, name: str) -> None:
    """Refuse a file that would land outside the run's folder, or in place of what we put there ourselves."""
    path = PurePosixPath(file)
    outside = path.is_absolute() or ".." in path.parts or str(path) != file or "\\" in file or not file.isprintable()
    if outside or file in (manifest.FILE, manifest.ATTESTATION, "."):
        raise Invalid(f"{name} names a file that no run has: {file!r}", "was it edited?")
