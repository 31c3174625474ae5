"""Where a configuration comes back from: a folder of manifests, or one in a git repository."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from ftchaos import cloud
from ftchaos.clock import iso
from ftchaos.errors import Invalid, MissingProgram, Refused, StepFailed
from ftchaos.platforms.kubernetes import manifests
from ftchaos.platforms.kubernetes.configuration import objects
from ftchaos.platforms.kubernetes.configuration.objects import OF_CLUSTER, ORDER
from ftchaos.platforms.kubernetes.manifests import Manifest, Name, Obj

MANIFESTS, GIT, VELERO = "manifests", "git", "velero"
FETCHED_S = 600.0
RUN = ("Job", "Pod")
"""Kinds of which to create one is to run it."""
_USER = re.compile(r"//[^/@\s]+@")


@dataclass(frozen=True)
class Fetched:
    """All that is written, of whatever namespace.

    Attributes:
        id: the folder, or the commit.
        words: where it is from, for people.
        taken_at: of the commit, UTC; None where nobody knows.
    """

    id: str
    words: str
    taken_at: datetime | None = None
    manifests: tuple[Manifest, ...] = field(default=(), repr=False)


@dataclass(frozen=True)
class Written:
    """What is written of the lost namespaces.

    Attributes:
        id: the folder, or the commit.
        words: for people.
        taken_at: of the commit, UTC; None where nobody knows.
        manifests: those of the namespaces, each with its namespace.
        left_out: those of them that are not applied, each with the reason.
    """

    id: str
    words: str
    taken_at: datetime | None = None
    manifests: tuple[Manifest, ...] = field(default=(), repr=False)
    left_out: tuple[str, ...] = ()

    @property
    def objects(self) -> dict[Name, Obj]:
        return {one.name: one.obj for one in self.manifests}

    def as_fact(self, method: str) -> dict[str, object]:
        """As the evidence tells of what was restored."""
        return {"id": self.id, "method": method, "taken_at": iso(self.taken_at) if self.taken_at else None}


def from_folder(folder: Path) -> Fetched:
    """The manifests of a folder.

    Raises:
        Invalid: the folder cannot be read.
    """
    return Fetched(folder.name, f"in {folder.name}", None, tuple(manifests.read(folder)))


def from_git(git: cloud.Git, beside: Path) -> Fetched:
    """The manifests of a repository, from a shallow clone that is thrown away.

    Args:
        beside: the folder of the configuration, which a path is relative to.

    Raises:
        MissingProgram: this machine has no git.
        StepFailed: it cannot be fetched.
        Refused: the folder is not in it.
        Invalid: as :func:`from_folder`.
    """
    local = beside / git.repository
    repository = str(local.absolute()) if local.exists() else git.repository
    with tempfile.TemporaryDirectory(prefix="ftchaos-git-") as made:
        _git(made, "init", "--quiet")
        _git(made, "fetch", "--quiet", "--depth", "1", "--no-tags", "--", repository, git.ref)
        _git(made, "checkout", "--quiet", "--detach", "FETCH_HEAD")
        commit, _, at = _git(made, "show", "--no-patch", "--format=%H %ct").strip().partition(" ")
        folder = Path(made) / git.folder
        if not folder.exists():
            raise Refused(f"{git.folder} is not in the repository at {git.ref}", "correct kubernetes.git.folder")
        try:
            found = manifests.read(folder)
        except Invalid as error:  # the clone is gone when somebody reads this
            fact, hint = (one.replace(f"{made}/", "") for one in (error.fact, error.hint))
            raise Invalid(fact, f"in the repository, whose manifests are taken as they are: {hint}") from error
    words = f"of {shown(git.repository)} at {git.ref} ({commit[:12]})"
    return Fetched(commit, words, datetime.fromtimestamp(int(at), UTC), tuple(found))


def chosen(fetched: Fetched, lost: Sequence[str], every: Sequence[str], held: Collection[Name]) -> Written:
    """What is to be restored.

    Args:
        lost: the namespaces that are wanted.
        every: all of the application.
        held: what they hold before the loss.

    Raises:
        Refused: something of them cannot be restored, or one of them has no manifest.
    """
    found, left_out = [], []
    for one in fetched.manifests:
        if (here := _placed(one, lost, every)) is None:
            continue
        if why := _why_not(here, held):
            left_out.append(f"{here.name} ({why})")
            continue
        if here.name.kind != "Namespace":
            _ensure_known(here)
        found.append(here)
    for space in lost:
        if not any(one.name.namespace == space for one in found):
            raise Refused(f"no manifest is of the namespace {space}", "nothing would bring it back: name their folder")
    return Written(
        fetched.id, f"{len(found)} manifests {fetched.words}", fetched.taken_at, tuple(found), tuple(left_out)
    )


def _placed(one: Manifest, lost: Sequence[str], every: Sequence[str]) -> Manifest | None:
    """A manifest with its namespace; None where that is not lost."""
    name = one.name
    if name.kind == "Namespace":
        return one if name.name in lost else None
    if name.kind in OF_CLUSTER:
        return None
    space = name.namespace or (every[0] if len(every) == 1 else "")
    if not space:
        raise Refused(f"{name} in {one.file.name} names no namespace", "write it: the application has several")
    obj = {**one.obj, "metadata": {**one.obj["metadata"], "namespace": space}}
    return Manifest(Name(name.kind, space, name.name), obj, one.file) if space in lost else None


def _why_not(one: Manifest, held: Collection[Name]) -> str:
    """Why a manifest is not applied; empty where it is.

    A Job that runs is refused before, so each one here has ended, or is not there: applied, it would run again.
    """
    if manifests.is_hook(one.obj) and (one.name.kind in RUN or one.name not in held):
        return "a hook, which its tool makes"
    return "a Job, which would run again" if one.name.kind == "Job" else ""


def shown(text: str) -> str:
    """A text without the user that a URL in it names."""
    return _USER.sub("//", text)


def _git(folder: str, *arguments: str) -> str:
    asked_nothing = {"GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
    environment = {"GIT_SSH_COMMAND": "ssh -o BatchMode=yes", **os.environ, **asked_nothing}
    safe = ("-c", "protocol.ext.allow=never", "-c", "core.hooksPath=/dev/null", "-c", "core.symlinks=false")
    try:
        done = subprocess.run(
            ["git", *safe, *arguments], cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True,
            timeout=FETCHED_S, check=False,
        )  # fmt: skip
    except FileNotFoundError as error:
        raise MissingProgram("this machine has no git", "install git, or choose --method manifests") from error
    except subprocess.TimeoutExpired as error:
        raise StepFailed(f"git {arguments[0]} did not end within {FETCHED_S:g} s", "check the network") from error
    if done.returncode:
        said = [line for line in done.stderr.decode(errors="replace").splitlines() if line.strip()]
        why = shown(said[0]) if said else f"exit code {done.returncode}"
        raise StepFailed(f"git {arguments[0]} failed: {why}", "see that this user may fetch it: `git ls-remote`")
    return done.stdout.decode(errors="replace")


def _ensure_known(one: Manifest) -> None:
    known, version = ORDER.get(one.name.kind), str(one.obj.get("apiVersion"))
    if known is None:
        raise Refused(
            f"{one.name} in {one.file.name} is of a kind that this drill cannot restore",
            f"it knows {', '.join(ORDER)}; keep the others in another folder",
        )
    if version != objects.api_version(known):
        raise Refused(
            f"{one.name} in {one.file.name} is written in {version}",
            f"write it in {objects.api_version(known)}, as the cluster keeps it",
        )
