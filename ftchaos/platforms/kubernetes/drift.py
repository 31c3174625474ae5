"""What a cluster holds against what its manifests say, object by object. Pure.

Whatever a manifest says must be so. What it does not say may be as it is, for the server fills in defaults and
controllers add fields: except in lists whose elements have names (containers, variables, ports, volumes), and in the
data of ConfigMaps and Secrets, where more than is written is drift too. How many replicas there are is left to an
autoscaler that the manifests have for it. Values of Secrets are compared and never told.

Source: Kubernetes API conventions, lists as maps (merge keys) and quantities.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from ftchaos.platforms.kubernetes import policy
from ftchaos.platforms.kubernetes.manifests import Manifest, Name, Obj

# By which of its keys an element of a list is known: the first that all of them have, and no two alike.
KEYS = ("name", "containerPort", "port", "mountPath", "ip", "topologyKey", "type")
BINARY = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "Pi": 2**50, "Ei": 2**60}
DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
QUANTITIES = ("requests", "limits", "capacity", "hard", "min", "max", "default", "defaultRequest")
WHOLE = ("data", "binaryData")
"""Maps that hold nothing but what somebody wrote."""
NAMED_BY_PEOPLE = (*WHOLE, "labels", "annotations", "matchLabels", "nodeSelector", "selector")
"""Maps, wherever they stand, in which a key without a value says something; the selector is a Service's."""
SAID_BY_NOTHING = ("storageClassName",)
"""Texts of which the empty one says something: no class, and not the default one."""
EMPTY = {
    *WHOLE, *QUANTITIES, "annotations", "labels", "matchLabels", "maxLimitRequestRatio", "metadata", "nodeSelector",
    "options", "overhead", "resources", "spec", "status", "strategy", "updateStrategy", "volumeAttributes",
}  # fmt: skip
"""Maps that say nothing when they are empty, so that the server leaves them out or nobody needs them. Not among them is
what says something by being there: a ``namespaceSelector`` that is empty selects all, and one that is missing nothing.

Source: Kubernetes API reference, ``omitempty`` of its types: an empty map is left out, what is pointed to stays."""
MADE_BY_THE_CLUSTER = {
    ("ConfigMap", "kube-root-ca.crt"), ("ServiceAccount", "default"), ("ConfigMap", "istio-ca-root-cert"),
    ("ConfigMap", "openshift-service-ca.crt"),
}  # fmt: skip
"""In every namespace, by Kubernetes, Istio and OpenShift."""
DROPPED = {
    "hostIPC", "hostNetwork", "hostPID", "hostPort", "initialDelaySeconds", "minReadySeconds", "nodePort", "optional",
    "paused", "privileged", "publishNotReadyAddresses", "readOnly", "readOnlyRootFilesystem", "setHostnameAsFQDN",
    "shareProcessNamespace", "stdin", "stdinOnce", "suspend", "tty",
}  # fmt: skip
"""Fields of which False or 0 means the same as nothing, so that the server leaves it out or nobody needs it. Not among
them are those that mean something else when they are missing, as ``automountServiceAccountToken`` does.

Source: Kubernetes API reference, and ``omitempty`` of its types."""
LONGEST = 60


@dataclass(frozen=True)
class Difference:
    """One thing that is not as it is written.

    Attributes:
        path: what of the object, like ``spec.template.spec.containers[api].image``; empty for all of it.
    """

    name: Name
    path: str
    written: str
    found: str

    def __str__(self) -> str:
        if not self.path:
            return f"{self.name}: {self.found}"
        return f"{self.name}: {self.path} is {self.found}, and {self.written} is written"


def compare(
    manifests: Sequence[Manifest], found: Mapping[Name, Obj], default_namespace: str, unread: Collection[Name] = ()
) -> list[Difference]:
    """Everything that is not as it is written.

    Args:
        found: the objects of the namespaces.
        default_namespace: of those that name none and are not of the cluster itself; empty where none is.
        unread: names of the manifests that nothing can be compared with; that they are written counts.
    """
    scaled = {_target(one.obj, one.name) for one in manifests if one.name.kind == "HorizontalPodAutoscaler"}
    differing: list[Difference] = []
    met: set[Name] = set()
    for manifest in manifests:
        name = manifest.name
        if name not in found and not name.namespace and default_namespace:
            name = Name(name.kind, default_namespace, name.name)
        met.add(name)
        if manifest.name in unread:
            continue
        if name not in found:
            differing.append(Difference(name, "", "there", "it is written and not there"))
            continue
        written = manifest.obj
        if name.kind == "Service" and (written.get("spec") or {}).get("selector") == {}:  # of all kinds, no selector
            written = {**written, "spec": {key: one for key, one in written["spec"].items() if key != "selector"}}
        if name in scaled or manifest.name in scaled:
            written = {**written, "spec": {key: one for key, one in written["spec"].items() if key != "replicas"}}
        for path, wanted, is_ in _differing(written, found[name]):
            if name.kind == "Secret" and path.startswith(WHOLE):
                wanted, is_ = "something else", "there" if is_ != _ABSENT else _ABSENT
            differing.append(Difference(name, path, wanted, is_))
    sets = {name: obj for name, obj in found.items() if name.kind == "StatefulSet"}
    unwritten = (
        name
        for name, obj in found.items()
        if name not in met and not is_made(name, obj) and not _is_claimed(name, sets)
    )
    differing += [Difference(name, "", "nothing", "it is there and nowhere written") for name in sorted(unwritten)]
    return differing


_ABSENT = "not there"


def _target(obj: Obj, name: Name) -> Name:
    target = obj["spec"]["scaleTargetRef"]
    return Name(str(target.get("kind")), name.namespace, str(target.get("name")))


def is_ours(name: Name, obj: Obj) -> bool:
    """Whether it is of ftchaos and not of the application: a role or a binding that ``ftchaos policy`` prints, under
    whatever name, or with the label of what a game day has."""
    labels = _of(obj, "metadata", "labels")
    if policy.LABELS.items() <= labels.items():
        return True
    role = {"Role": name.name, "RoleBinding": _of(obj, "roleRef").get("name")}.get(name.kind)
    return policy.is_role(role or "")


def is_made(name: Name, obj: Obj) -> bool:
    """Whether the cluster, another object or ftchaos has made it, and nobody needs to write it."""
    metadata = obj.get("metadata", {})
    return (
        (name.kind, name.name) in MADE_BY_THE_CLUSTER
        or is_ours(name, obj)
        or bool(metadata.get("ownerReferences"))
        or obj.get("type") in ("kubernetes.io/service-account-token", "helm.sh/release.v1")
    )


def _is_claimed(name: Name, sets: Mapping[Name, Obj]) -> bool:
    """Whether a StatefulSet has made this claim, for one of its pods; it does not say so by an owner.

    Source: Kubernetes, StatefulSets: claims are named by template, set and ordinal.
    """
    start, _, number = name.name.rpartition("-")
    return (
        name.kind == "PersistentVolumeClaim"
        and number.isdecimal()
        and any(
            one.namespace == name.namespace and start == f"{template['metadata']['name']}-{one.name}"
            for one, obj in sets.items()
            for template in (obj.get("spec") or {}).get("volumeClaimTemplates") or ()
        )
    )


def _differing(written: Obj, found: Obj) -> Iterator[tuple[str, str, str]]:
    """(path, what is written, what is) of everything that differs in one object."""
    for key, wanted in written.items():
        if key in ("apiVersion", "kind", "status"):
            continue
        if key == "metadata":
            for part in ("labels", "annotations"):
                yield from _map(f"metadata.{part}", wanted.get(part) or {}, _of(found, "metadata", part), False)
        elif key in WHOLE:
            yield from _map(key, wanted or {}, found.get(key) or {}, True)
        else:
            yield from _value(key, wanted, found.get(key))


def _of(obj: Obj, *keys: str) -> Mapping[str, Any]:
    for key in keys:
        obj = obj.get(key) or {}
    return obj


def _map(
    path: str, written: Mapping[str, Any], found: Mapping[str, Any], whole: bool
) -> Iterator[tuple[str, str, str]]:
    for key, wanted in written.items():
        if wanted == "" and key not in found and _last(path) in NAMED_BY_PEOPLE:
            yield f"{path}.{key}", _shown(wanted), _ABSENT
        else:
            yield from _value(f"{path}.{key}", wanted, found.get(key))
    if whole:
        yield from ((f"{path}.{key}", "nothing", _shown(found[key])) for key in found.keys() - written.keys())


def _value(path: str, written: Any, found: Any) -> Iterator[tuple[str, str, str]]:
    if isinstance(written, dict) and isinstance(found, dict):
        yield from _map(path, written, found, False)
    elif isinstance(written, list) and isinstance(found, list):
        yield from _list(path, written, found)
    elif not _same(path, written, found):
        yield path, _shown(written), _ABSENT if found is None else _shown(found)


def _list(path: str, written: list[Any], found: list[Any]) -> Iterator[tuple[str, str, str]]:
    key = _key(written, found)
    if key is None:
        if len(written) != len(found):
            yield path, f"{len(written)} elements", f"{len(found)}"
        for number, (wanted, is_) in enumerate(zip(written, found, strict=False)):
            yield from _value(f"{path}[{number}]", wanted, is_)
        return
    named = {one[key]: one for one in found}
    for one in written:
        if one[key] in named:
            yield from _value(f"{path}[{one[key]}]", one, named.pop(one[key]))
        else:
            yield f"{path}[{one[key]}]", "there", _ABSENT
    yield from ((f"{path}[{name}]", "nothing", "there") for name in named)


def _key(written: list[Any], found: list[Any]) -> str | None:
    """By which the elements of both lists are told apart; None where their order is.

    One volume may be mounted twice, port 53 is one of UDP and one of TCP, and accounts of two namespaces have one name.
    """
    return next(
        (key for key in KEYS if written + found and _tells_apart(key, written) and _tells_apart(key, found)), None
    )


def _tells_apart(key: str, elements: list[Any]) -> bool:
    values = [one.get(key) if isinstance(one, dict) else None for one in elements]
    return all(isinstance(one, str | int) for one in values) and len(set(values)) == len(values)


def _same(path: str, written: Any, found: Any) -> bool:
    if written == found or (written is None and found in ({}, [], "")):
        return True
    if found is None and not written and _says_nothing(_last(path), written):
        return True
    parents = path.split(".")
    if len(parents) > 1 and (parents[-2] in QUANTITIES or parents[-1] in ("storage", "averageValue", "sizeLimit")):
        first, second = quantity(written), quantity(found)
        return first is not None and first == second
    return False


def _says_nothing(key: str, empty: Any) -> bool:
    """Whether a field with an empty value is the same as one that is not there."""
    if isinstance(empty, dict):
        return key in EMPTY
    return empty == [] or (empty == "" and key not in SAID_BY_NOTHING) or key in DROPPED


def _last(path: str) -> str:
    return path.rpartition(".")[2]


def quantity(value: Any) -> Decimal | None:
    """A quantity as a number: ``500m`` is a half, ``1Gi`` 2**30; None for what is none."""
    text = str(value)
    for suffix, factor in BINARY.items():
        if text.endswith(suffix):
            return _number(text.removesuffix(suffix), Decimal(factor))
    last = text[-1:] if text[-1:].isalpha() else ""
    if last not in DECIMAL:
        return None
    return _number(text.removesuffix(last), Decimal(10) ** DECIMAL[last])


def _number(text: str, factor: Decimal) -> Decimal | None:
    try:
        return Decimal(text) * factor
    except InvalidOperation:
        return None


def _shown(value: Any) -> str:
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}\N{HORIZONTAL ELLIPSIS}"
