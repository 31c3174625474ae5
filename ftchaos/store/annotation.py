"""What people add to a run afterwards: who took part, what was learnt, and what is to be done by whom and when.

An annotation is a link of the chain like a run: a folder of its own with ``annotation.json`` and a manifest, signed
where runs are. Nothing that a run left is ever rewritten, and no annotation can be taken away unseen.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from ftchaos import atomic, chain
from ftchaos.clock import iso
from ftchaos.errors import Invalid
from ftchaos.evidence import Action, Evidence
from ftchaos.evidence.part import Part
from ftchaos.evidence.types import Instant, Sha256, Text, UpTo20

FILE = "annotation.json"
LARGEST_BYTES = 1 << 20


class Annotation(Part):
    """One addition to a run."""

    schema_: Annotated[Literal["ftchaos.annotation/1"], Field(alias="schema")] = "ftchaos.annotation/1"
    id: Annotated[str, Field(pattern=rf"^{chain.RUN_ID.pattern}$")]
    annotates: Annotated[str, Field(pattern=rf"^{chain.RUN_ID.pattern}$")]
    manifest_sha256: Sha256
    """Of the run, so that it is known which content was annotated."""
    at: Instant
    by: Text = ""
    participants: UpTo20[Text] = Field(default_factory=list)
    deviations: UpTo20[Text] = Field(default_factory=list)
    lessons: UpTo20[Text] = Field(default_factory=list)
    actions: UpTo20[Action] = Field(default_factory=list)


def new(run_id: str, manifest_sha256: str, by: str, **said: Sequence[object]) -> Annotation:
    """An annotation of a run, made now.

    Args:
        run_id: the run.
        manifest_sha256: of its manifest.
        by: who says so.
        said: participants, deviations, lessons and actions.

    Raises:
        Invalid: nothing is said, or an action has a date that is none.
    """
    now = datetime.now(UTC)
    name = f"{now:%Y%m%dT%H%M%SZ}-annotation-{secrets.token_hex(2)}"
    try:
        found = Annotation.model_validate(
            {"id": name, "annotates": run_id, "manifest_sha256": manifest_sha256, "at": iso(now), "by": by, **said}
        )
    except ValidationError as error:
        raise Invalid(f"{run_id} cannot be annotated so: {error.errors()[0]['msg']}", "see --help") from error
    if not (found.participants or found.deviations or found.lessons or found.actions):
        raise Invalid("there is nothing to annotate", "give --participant, --deviation, --lesson or --action")
    for action in found.actions:
        _ensure_date(action.due)
    return found


def write(annotation: Annotation, below: Path) -> Path:
    """Put it into a folder of its own; it counts once that has a manifest.

    Raises:
        OSError: the folder cannot be written.
    """
    folder = below / annotation.id
    folder.mkdir(parents=True)
    atomic.write(folder / FILE, annotation.model_dump_json(indent=1) + "\n")
    return folder


def read(folder: Path) -> Annotation:
    """The annotation in a folder.

    Raises:
        Invalid: there is none, or it is not valid.
    """
    path = folder / FILE
    try:
        with path.open("rb") as stream:
            found = Annotation.model_validate_json(stream.read(LARGEST_BYTES))
    except OSError as error:
        raise Invalid(f"{path} cannot be read: {error.strerror}", "is it yours to read?") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the whole"
        raise Invalid(f"{path} is no annotation: {where}: {first['msg']}", "was it edited?") from error
    if found.id != folder.name:
        raise Invalid(f"{path} is the annotation {found.id}", "was its folder renamed?")
    return found


def annotated(evidence: Evidence, annotations: Sequence[Annotation]) -> Evidence:
    """A run with what was added to it, for people to read; what it measured stays as it was."""
    if not annotations:
        return evidence
    plan, said = evidence.plan, evidence.follow_up
    return evidence.model_copy(
        update={
            "plan": plan.model_copy(
                update={"participants": [*plan.participants, *(one for a in annotations for one in a.participants)]}
            ),
            "follow_up": said.model_copy(
                update={
                    "deviations": [*said.deviations, *(one for a in annotations for one in a.deviations)],
                    "lessons": [*said.lessons, *(one for a in annotations for one in a.lessons)],
                    "actions": _newest([*said.actions, *(one for a in annotations for one in a.actions)]),
                }
            ),
        }
    )


def _newest(actions: Sequence[Action]) -> list[Action]:
    """Each action as it was said last: one that is done was open before."""
    return list({action.what: action for action in actions}.values())


def _ensure_date(due: str) -> None:
    try:
        if due:
            date.fromisoformat(due)
    except ValueError as error:
        raise Invalid(f"{due!r} is not a date", "write it like 2026-12-14") from error
