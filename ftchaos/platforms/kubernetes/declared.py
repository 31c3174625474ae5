"""What a cluster is meant to hold, from a folder or a git repository, and whether it does, as the doctor asks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ftchaos.errors import Invalid, MissingProgram, Refused, StepFailed
from ftchaos.platforms.findings import Unread
from ftchaos.platforms.kubernetes import drift, live, references
from ftchaos.platforms.kubernetes.configuration import sources
from ftchaos.platforms.kubernetes.configuration.sources import Fetched
from ftchaos.platforms.kubernetes.manifests import Manifest, Name, may_be_gone

if TYPE_CHECKING:
    from ftchaos.config import Environment
    from ftchaos.platforms.kubernetes.access import Access


def written(settings: Environment, config: Path | None) -> Fetched | Unread:
    """The manifests of an environment: of its folder, or where it names none of its git repository.

    Args:
        config: the file of the configuration, which paths are relative to.
    """
    given, beside = settings.kubernetes, config.absolute().parent if config else Path.cwd()
    try:
        if given and given.manifests is not None:
            return sources.from_folder(beside / given.manifests.expanduser())
        if given and given.git is not None:
            return sources.from_git(given.git, beside)
    except (Invalid, MissingProgram, Refused, StepFailed) as error:
        return Unread(f"{error.fact}; {error.hint}" if error.hint else error.fact)
    keys = "kubernetes.manifests or kubernetes.git"
    return Unread("nobody says what it is meant to hold", unnamed=keys, unasked=True)


def drift_of(access: Access, fetched: Fetched) -> list[drift.Difference] | Unread:
    """What is not as it is written; unknown where some of it cannot be read, and all else is met."""
    spaces = access.place.namespaces
    default = spaces[0] if len(spaces) == 1 else ""
    found = live.read(access, fetched.manifests)

    def is_there(one: Manifest) -> bool:
        space = one.name.namespace or default
        return one.name in found or Name(one.name.kind, space, one.name.name) in found

    meant = [one for one in fetched.manifests if is_there(one) or not may_be_gone(one.obj)]
    unread = [one for one in meant if not live.is_read(one, spaces)]
    differing = drift.compare(meant, found, default, {one.name for one in unread})
    ours = [one for one in meant if (one.name.namespace or default) in spaces]
    needs_secrets = references.differences(ours, {}, default)  # what would be missing if there were none
    if needs_secrets and (secrets := live.secrets(access)) is not None:
        differing += references.differences(ours, secrets, default)
        unread = [one for one in unread if one.name.kind != references.SECRET or one not in ours]
    if unread and not differing:
        names = ", ".join(sorted({str(one.name) for one in unread})[:5])
        why = "of kinds, versions or namespaces that are not read"
        return Unread(f"{len(unread)} of {len(meant)} manifests are {why}: {names}")
    return differing
