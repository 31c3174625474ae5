"""The heals of copies: each removes one part, from its undo record alone, and waits until it is gone.

Parts are removed in the reverse order of their records, which is the order that AWS demands: what is used is refused
until who uses it is gone, so each waits and tries again. Nothing is touched but what carries the name that the record
gives, with our prefix, and the tag of the run.

A part that was asked for an instant ago may be in no list yet, so a young record is looked for more than once.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ftchaos.clock import now
from ftchaos.errors import HealFailed
from ftchaos.platforms.aws.access import ApiFailed, Unanswered
from ftchaos.platforms.aws.calls import OWNER
from ftchaos.platforms.aws.copies import opening
from ftchaos.platforms.aws.copies.found import FINDERS, Part
from ftchaos.platforms.aws.copies.making import PREFIX, pace_s

if TYPE_CHECKING:
    from ftchaos.platforms.aws.access import Access

HEAL = "copy:"
KINDS = (*FINDERS, "password")
YOUNG_S = 120.0
"""A request is under way for 60 s at most; what it made is in the lists 60 s later."""
LONGEST_S = {"instance": 4 * 3600.0, "cluster": 4 * 3600.0}
"""Of what holds data: it is created and backed up to the end before it may be deleted."""
USUAL_S = 1800.0
BUSY = {
    "DependencyViolation", "InvalidDBClusterSnapshotStateFault", "InvalidDBClusterStateFault",
    "InvalidDBInstanceState", "InvalidDBInstanceStateFault", "InvalidDBParameterGroupState",
    "InvalidDBParameterGroupStateFault", "InvalidDBSnapshotState", "InvalidDBSnapshotStateFault",
    "InvalidDBSubnetGroupStateFault", "ResourceInUse",
}  # fmt: skip
"""Not now. Source: RDS API reference, DeleteDBInstance and its like; EC2 API reference, DeleteSecurityGroup."""


def heal(access: Access, kind: str, arguments: Mapping[str, Any], recorded_at: str = "") -> str:
    """Remove one part of a copy.

    Args:
        recorded_at: when its undo was written, as the undo log has it; empty for just now.

    Raises:
        HealFailed: it is still there, or it is not ours.
    """
    name = str(arguments["name"])
    if not name.startswith(PREFIX):
        raise HealFailed(
            f"{name!r} is no name that ftchaos gives, and is left alone", "remove it by hand if it is ours"
        )
    finder = FINDERS[kind]
    what = f"the {kind.replace('-', ' ')} {name}"
    until_at = now() + LONGEST_S.get(kind, USUAL_S)
    settled_at = now() + _young_s(access, recorded_at)
    seen, trouble = False, ""
    while True:
        try:
            part = finder(access, name, arguments)
            if part is None:
                if seen or now() >= settled_at:
                    return f"{what} is gone" if seen else f"there was no {what.removeprefix('the ')}"
            elif part.name:
                _ensure_ours(what, part, arguments)
                seen = True
                if part.is_leaving:
                    trouble = "it is being deleted"
                else:
                    part.remove()
            else:
                trouble = "its restore has not begun yet"
                settled_at = now() + _young_s(access, "")  # what comes of it is as young as if just asked for
        except ApiFailed as error:
            if not (error.is_absent or error.is_passing or error.code in BUSY):
                raise
            trouble = error.fact
        except Unanswered as error:
            trouble = error.fact
        if now() >= until_at:
            raise HealFailed(f"{what} is still there: {trouble}", f"remove it by hand; it carries the tag {OWNER}")
        time.sleep(pace_s(access.place))


def _ensure_ours(what: str, part: Part, arguments: Mapping[str, Any]) -> None:
    if part.is_ours or part.tags.get(OWNER) == arguments["run_id"]:
        return
    raise HealFailed(
        f"{what} does not carry the tag {OWNER}={arguments['run_id']}, and is left alone",
        "see whose it is, and remove it by hand if it is of this run",
    )


def _young_s(access: Access, recorded_at: str) -> float:
    """For how long a part may still appear that is in no list."""
    if access.place.endpoint:
        return 2 * pace_s(access.place)  # a stand-in on this machine has but one list
    if not recorded_at:
        return YOUNG_S
    age_s = (datetime.now(UTC) - datetime.fromisoformat(recorded_at)).total_seconds()
    return max(0.0, YOUNG_S - age_s)


def forget_password(arguments: Mapping[str, Any]) -> str:
    """Remove the file with a copy's password; needs no way to AWS.

    Raises:
        HealFailed: the record names another file than such a one.
    """
    file = Path(str(arguments["file"]))
    if file.parent.name != opening.FOLDER or not file.name.startswith(PREFIX):
        raise HealFailed(f"{file} is no password of a copy, and is left alone", "remove it by hand if it is")
    if not file.exists():
        return "there was no password"
    file.unlink()
    return "its password is forgotten"
