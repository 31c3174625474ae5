"""What the doctor reads of a cluster: lists of the application's namespaces, page by page, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from ftchaos.config import Config, Environment
from ftchaos.platforms.findings import Finding, Unread
from ftchaos.platforms.kubernetes import declared, survey
from ftchaos.platforms.kubernetes.access import Access, ApiFailed, Denied, Place, Unanswered
from ftchaos.platforms.kubernetes.claims import Seen, judged
from ftchaos.platforms.kubernetes.configuration.sources import Fetched
from ftchaos.platforms.kubernetes.drift import Difference

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

    def drift_of(meant: Fetched) -> list[Difference] | Unread:
        return part("objects of the manifests", lambda: declared.drift_of(access, meant))

    meant = part("manifests", lambda: declared.written(settings, config))
    return Seen(
        part("nodes", lambda: survey.nodes(access)),
        inside("pods", lambda: survey.pods(access, spaces)),
        inside("workloads", workloads),
        inside("disruption budgets", lambda: listed("poddisruptionbudgets")),
        inside("autoscalers", lambda: listed("horizontalpodautoscalers")),
        inside("volume claims", lambda: listed("persistentvolumeclaims")),
        part("volumes", lambda: list(access.pages("persistentvolumes"))),
        (meant if isinstance(meant, Unread) else drift_of(meant)) or missing or [],
        "" if isinstance(meant, Unread) or meant.taken_at is None else meant.words,
    )


def _missing(access: Access) -> Unread | None:
    """The namespaces that are not there."""
    missing = [name for name in access.place.namespaces if access.get("namespaces", "", name) is None]
    return Unread(f"there is no namespace {', '.join(missing)}", unnamed="kubernetes.namespaces") if missing else None
