"""What the doctor reads of a cluster: lists of the application's namespaces, page by page, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from ftchaos.config import Config, Environment
from ftchaos.errors import Invalid
from ftchaos.platforms.findings import Finding, Unread
from ftchaos.platforms.kubernetes import drift, live, manifests, references, survey
from ftchaos.platforms.kubernetes.access import Access, ApiFailed, Denied, Place, Unanswered
from ftchaos.platforms.kubernetes.claims import Seen, judged

T = TypeVar("T")


def examine(config: Config, name: str, progress: Callable[[str], None]) -> list[Finding]:
    """A finding for each claim of an environment on Kubernetes, harming nothing.

    Raises:
        Invalid: the configuration or the kubeconfig is of no use.
        Refused: this is another cluster than was meant.
    """
    settings = config.declared(name)
    access = Access(Place.of(name, settings))
    access.ensure_right_place()
    return judged(_seen(access, settings, config.path, progress))


def _seen(access: Access, settings: Environment, config: Path | None, progress: Callable[[str], None]) -> Seen:
    spaces = access.place.namespaces

    def part(what: str, read: Callable[[], T | Unread]) -> T | Unread:
        progress(f"reading the {what}")
        try:
            return read()
        except Denied as error:
            return Unread(error.fact, denied=what)
        except (ApiFailed, Unanswered) as error:
            return Unread(error.fact)

    def listed(resource: str, kind: str = "") -> list[dict[str, Any]]:
        found = survey.every(access, resource, spaces)
        return [{**one, "kind": kind} for one in found] if kind else found

    def workloads() -> list[dict[str, Any]] | Unread:
        found = listed("deployments", "Deployment") + listed("statefulsets", "StatefulSet")
        return found or Unread(f"there is no Deployment or StatefulSet in {', '.join(spaces)}")

    # Of a namespace that is misspelt the API lists nothing, and nothing would have no weakness.
    missing = part("namespaces", lambda: _missing(access))

    def inside(what: str, read: Callable[[], T | Unread]) -> T | Unread:
        return part(what, read) if missing is None else missing

    return Seen(
        part("nodes", lambda: survey.nodes(access)),
        inside("pods", lambda: survey.pods(access, spaces)),
        inside("workloads", workloads),
        inside("disruption budgets", lambda: listed("poddisruptionbudgets")),
        inside("autoscalers", lambda: listed("horizontalpodautoscalers")),
        inside("volume claims", lambda: listed("persistentvolumeclaims")),
        part("volumes", lambda: list(access.pages("persistentvolumes"))),
        part("manifests", lambda: _drift(access, settings, config)) or missing or [],
    )


def _missing(access: Access) -> Unread | None:
    """The namespaces that are not there."""
    missing = [name for name in access.place.namespaces if access.get("namespaces", "", name) is None]
    return Unread(f"there is no namespace {', '.join(missing)}", unnamed="kubernetes.namespaces") if missing else None


def _drift(access: Access, settings: Environment, config: Path | None) -> list[drift.Difference] | Unread:
    folder = settings.kubernetes.manifests if settings.kubernetes else None
    if folder is None:
        return Unread("nobody says what it is meant to hold", unnamed="kubernetes.manifests", unasked=True)
    try:
        written = manifests.read((config.parent if config else Path()) / folder.expanduser())
    except Invalid as error:
        return Unread(error.fact)
    found, unread = live.read(access, written)
    spaces = access.place.namespaces
    default = spaces[0] if len(spaces) == 1 else ""
    differing = drift.compare([one for one in written if one not in unread], found, default)
    ours = [one for one in written if (one.name.namespace or default) in spaces]
    needs_secrets = references.differences(ours, {}, default)  # what would be missing if there were none
    if needs_secrets and (secrets := live.secrets(access)) is not None:
        differing += references.differences(ours, secrets, default)
        unread = [one for one in unread if one.name.kind != references.SECRET or one not in ours]
    if unread and not differing:
        kinds = ", ".join(sorted({str(one.name) for one in unread})[:5])
        return Unread(
            f"{len(unread)} of {len(written)} manifests are of kinds or namespaces that are not read: {kinds}"
        )
    return differing
