"""From the folder of a run to what the index keeps of it."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from ftchaos import evidence, manifest
from ftchaos.chain import Link
from ftchaos.errors import Invalid
from ftchaos.evidence import Evidence
from ftchaos.store import annotation
from ftchaos.store.index import Entry
from ftchaos.store.summary import Summary


def entry(folder: Path, stamp: str) -> Entry:
    """What the index keeps of a folder; a run that cannot be read is kept as such, so that it hides nothing."""
    link, signed_by, damage = _link(folder)
    place = None if link is None else (link.run_id, link.sequence, link.sha256, link.previous_id, link.previous_sha256)
    if (folder / annotation.FILE).is_file() and not (folder / evidence.FILE).exists():
        try:
            return Entry(stamp, place, None, annotation.read(folder).annotates)
        except Invalid as error:
            return Entry(stamp, place, None, damage or error.fact)
    try:
        found = evidence.read(folder)
        if found.run_id != folder.name:
            raise Invalid(f"the evidence is that of the run {found.run_id}")
    except Invalid as error:
        return Entry(stamp, place, _unreadable(folder.name, error.fact, link, signed_by))
    if damage:
        return Entry(stamp, place, _unreadable(folder.name, damage, link, signed_by))
    return Entry(stamp, place, shortened(found, link, signed_by))


def shortened(found: Evidence, link: Link | None, signed_by: str) -> Summary:
    """A run in short."""
    return Summary(
        run_id=found.run_id,
        kind=found.kind,
        name=found.name,
        environment=found.environment,
        platform=found.platform,
        verdict=found.verdict,
        exit_code=found.exit_code,
        began_at=found.began_at,
        ended_at=found.ended_at,
        summary=found.summary,
        reason=found.reasons[0] if found.reasons else "",
        recovery_time_s=found.recovery.recovery_time_s,
        data_loss_s=found.data.data_loss_s,
        lost=found.data.lost,
        rto_s=found.objectives.rto_s,
        rpo_s=found.objectives.rpo_s,
        commit=found.system.commit,
        image=str(found.system.settings.get("image") or ""),
        definition_sha256=found.definition.sha256 if found.definition else found.system.definition_sha256,
        undo_failed=found.undo.failed,
        manifest_sha256=link.sha256 if link else "",
        previous_sha256=link.previous_sha256 if link else "",
        signed_by=signed_by,
    )


def _link(folder: Path) -> tuple[Link | None, str, str]:
    """The place in the chain, the key that is named, and what is wrong with the manifest."""
    if not (folder / manifest.FILE).exists():
        return None, "", ""
    try:
        whole = manifest.read(folder)
        if whole["run_id"] != folder.name:
            return None, "", f"the manifest is that of the run {whole['run_id']}"
        # A run that did not pass could be passed off as one of another environment, and nobody would look at it again.
        damage = "" if _is_as_left(folder, whole) else f"{evidence.FILE} is not the one that the run left"
        return manifest.read_link(folder), (whole["signer"] or {"key_id": ""})["key_id"], damage
    except Invalid as error:
        return None, "", error.fact


def _is_as_left(folder: Path, whole: dict[str, Any]) -> bool:
    """Whether the evidence is what the manifest says, or neither is there."""
    recorded = whole["files"].get(evidence.FILE, {"sha256": ""})
    try:
        with (folder / evidence.FILE).open("rb") as stream:
            return bool(hashlib.file_digest(stream, "sha256").hexdigest() == recorded["sha256"])
    except FileNotFoundError:
        return not recorded["sha256"]
    except OSError:
        return False  # reading the evidence says why


def _unreadable(run_id: str, why: str, link: Link | None, signed_by: str) -> Summary:
    """What is known of a run that cannot be read: its name says when it began and what it was."""
    at = f"{run_id[:4]}-{run_id[4:6]}-{run_id[6:8]}T{run_id[9:11]}:{run_id[11:13]}:{run_id[13:15]}.000Z"
    return Summary(
        run_id, "", "", "", "", "unreadable", 70, at, at, why, why, None, None, None, 0.0, 0.0, "", "", "", 0,
        link.sha256 if link else "", link.previous_sha256 if link else "", signed_by,
    )  # fmt: skip
