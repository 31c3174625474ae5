"""What else namespaces hold: objects of kinds that nobody here keeps, restores or makes again, custom resources first.

They would be lost for good with their namespace, so they are seen by asking the cluster which kinds it serves, and a
namespace that holds one is not lost. Kinds that can only be read, as those of metrics, are measured and not written.

Source: Kubernetes API concepts, discovery; ``kubectl api-resources --namespaced --verbs=list,create``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ftchaos.errors import Refused
from ftchaos.platforms.kubernetes.calls import DISCOVERY, RESOURCES
from ftchaos.platforms.kubernetes.configuration import objects
from ftchaos.platforms.kubernetes.failures import ApiFailed, Denied
from ftchaos.platforms.kubernetes.manifests import Name

if TYPE_CHECKING:
    from ftchaos.platforms.kubernetes.access import Access

KEPT = {(RESOURCES[one].group, one) for one in objects.ORDER.values()}
MADE_AGAIN = {
    ("", "endpoints"), ("", "events"), ("events.k8s.io", "events"), ("coordination.k8s.io", "leases"),
}  # fmt: skip
"""The cluster or running programs write them by themselves, without naming an owner."""
JUDGED = {("", "pods"), ("", "persistentvolumeclaims"), ("apps", "replicasets")}
"""Those that :mod:`ftchaos.platforms.kubernetes.configuration.loss` refuses by rules of their own."""

MANAGED_BY = "endpointslice.kubernetes.io/managed-by"


def found(access: Access, namespaces: Sequence[str]) -> list[str]:
    """All objects of other kinds, by kind and name.

    Raises:
        Refused: the cluster does not say which kinds there are, or of one not which objects.
    """
    seen = []
    for resource, kind in _kinds(access):
        for namespace in namespaces:
            try:
                listed = list(access.pages(resource, namespace))
            except ApiFailed as error:
                if error.is_absent:  # its definition was removed meanwhile
                    continue
                raise
            except Denied as error:
                raise Refused(
                    f"whether the kind {kind} would be lost cannot be seen: {error.fact}", error.hint
                ) from error
            names = [Name(kind, namespace, str(one["metadata"]["name"])) for one in listed]
            seen += [
                str(name)
                for name, one in zip(names, listed, strict=True)
                if objects.is_written(name, one) and not _is_made_again(one)
            ]
    return seen


def _is_made_again(obj: Mapping[str, Any]) -> bool:
    """Whether it goes with each pod, or is a slice that a restored Service is given anew; Velero takes owners away."""
    metadata = obj["metadata"]
    owners, labels = metadata.get("ownerReferences") or (), metadata.get("labels") or {}
    return any(one["kind"] == "Pod" for one in owners) or labels.get(MANAGED_BY) == "endpointslice-controller.k8s.io"


def _kinds(access: Access) -> Iterator[tuple[str, str]]:
    """Each other kind that a namespace can hold, as calls name it and as people do."""
    seen = KEPT | MADE_AGAIN | JUDGED
    for group, version in (("", "v1"), *_versions(access)):
        path = f"{DISCOVERY}/{group}/{version}" if group else f"/api/{version}"
        for one in _asked(access, path).get("resources") or ():
            plural = str(one["name"])
            is_held = one.get("namespaced") and "/" not in plural and {"list", "create"} <= set(one.get("verbs") or ())
            if is_held and (group, plural) not in seen:
                seen.add((group, plural))
                yield f"{plural}.{version}.{group}", str(one["kind"])


def _versions(access: Access) -> Iterator[tuple[str, str]]:
    """Each group with all versions of it, that which it prefers first; a kind may be served in another alone."""
    for one in _asked(access, DISCOVERY).get("groups") or ():
        preferred = str(one["preferredVersion"]["version"])
        others = [str(each["version"]) for each in one["versions"]]
        yield from ((str(one["name"]), version) for version in dict.fromkeys([preferred, *others]))


def _asked(access: Access, path: str) -> dict[str, Any]:
    try:
        return access.call("get", DISCOVERY, name=path)
    except ApiFailed as error:
        raise Refused(
            f"the cluster does not say what it serves at {path}, so neither what would be lost: {error.fact}",
            "see `kubectl get apiservices`; a namespace cannot be deleted either until all of them answer",
        ) from error
