"""What was there before, in a file that nobody else can read: all that the undo needs, the values of Secrets too.

It is on disk before anything is harmed, is named by the undo records, and goes when the namespaces are whole again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ftchaos import notes
from ftchaos.errors import HealFailed, StepFailed
from ftchaos.platforms.kubernetes.manifests import Name, Obj
from ftchaos.undo import UndoLog

PLATFORM = "kubernetes"
BEGIN = "configuration.begin"  # as an environment that is begun for a run, it lasts to the end of the run
LOST = "configuration.lost"


@dataclass(frozen=True)
class Kept:
    """What the namespaces held.

    Attributes:
        uids: of the namespaces.
        objects: the namespaces themselves among them, as the server would take them again.
        makes: what the recovery would create, so that the undo knows what is the drill's own.
    """

    uids: Mapping[str, str]
    objects: Mapping[Name, Obj] = field(repr=False)
    makes: tuple[Name, ...] = ()

    @property
    def namespaces(self) -> list[str]:
        return sorted(self.uids)


def write(kept: Kept, run_id: str, undo: UndoLog) -> Path:
    """Put it on disk, after the undo that removes it.

    Raises:
        StepFailed: the file cannot be written.
    """
    file = notes.undo_log(run_id).with_name(f"{run_id}.configuration.secret")
    why = f"what {', '.join(kept.namespaces)} held lies in the state folder of this run, Secrets too"
    undo.record(PLATFORM, BEGIN, {"file": str(file), "undo": str(undo.path)}, why)
    text = json.dumps(
        {
            "uids": dict(kept.uids),
            "objects": [[*_parts(name), obj] for name, obj in kept.objects.items()],
            "makes": [_parts(name) for name in kept.makes],
        }
    )
    try:
        with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "w") as opened:
            opened.write(text)
            opened.flush()
            os.fsync(opened.fileno())
        folder = os.open(file.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise StepFailed(
            f"{file} cannot be written: {error.strerror}", "make room there; nothing was harmed"
        ) from error
    return file


def read(file: Path) -> Kept:
    """What :func:`write` kept.

    Raises:
        HealFailed: it is gone, or broken.
    """
    try:
        said = json.loads(file.read_text())
        return Kept(
            said["uids"],
            {Name(kind, space, name): obj for kind, space, name, obj in said["objects"]},
            tuple(Name(*one) for one in said["makes"]),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise HealFailed(
            f"what was there before cannot be read from {file}: {type(error).__name__}",
            "put the namespaces back from their manifests: `kubectl apply --recursive -f`",
        ) from None


def forget(arguments: Mapping[str, Any]) -> str:
    """Remove the file, from its undo record alone; not while it is needed.

    Raises:
        HealFailed: the namespaces are not healed yet, or it cannot be removed.
    """
    file = Path(arguments["file"])
    needed = [
        one
        for one in UndoLog(Path(arguments["undo"])).records()
        if one.heal == LOST and not one.healed and one.arguments.get("file") == str(file)
    ]
    if needed and file.exists():
        raise HealFailed(f"{file} stays, as what it holds is not put back yet", "heal again with `ftchaos recover`")
    try:
        file.unlink(missing_ok=True)
    except OSError as error:
        raise HealFailed(
            f"{file} cannot be removed: {error.strerror}", "remove it by hand: it holds Secrets"
        ) from error
    return "the file with the Secrets was removed"


def _parts(name: Name) -> list[str]:
    return [name.kind, name.namespace, name.name]
