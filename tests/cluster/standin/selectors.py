"""Label and field selectors, as requests and objects write them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from cluster.standin.failures import Refused, bad_request
from cluster.standin.kinds import Kind

Matches = Callable[[dict[str, Any]], bool]
_SET = re.compile(r"^\s*(\S+)\s+(in|notin)\s*\(([^()]*)\)\s*$")
_EQUAL = re.compile(r"^\s*([^\s=!,]+)\s*(==|=|!=)\s*([^\s=!,]*)\s*$")
_EXISTS = re.compile(r"^\s*(!?)\s*([^\s=!,()]+)\s*$")
_NAME = re.compile(r"^([a-z0-9A-Z.-]+/)?[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?$")

_FIELDS = {
    "pods": ("spec.nodeName", "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName",
             "spec.hostNetwork", "status.phase", "status.podIP", "status.nominatedNodeName"),
    "nodes": ("spec.unschedulable",),
    "events": ("involvedObject.kind", "involvedObject.namespace", "involvedObject.name", "involvedObject.uid",
               "involvedObject.apiVersion", "involvedObject.resourceVersion", "involvedObject.fieldPath", "reason",
               "reportingComponent", "source", "type"),
    "secrets": ("type",),
    "namespaces": ("status.phase", "name"),
    "jobs": ("status.successful",),
    "replicasets": ("status.replicas",),
    "services": ("spec.clusterIP", "spec.type"),
}  # fmt: skip


def labels(text: str) -> Callable[[Mapping[str, str]], bool]:
    """Whether labels match a selector of a request.

    Raises:
        Refused: it cannot be parsed.
    """
    tests = [_requirement(part) for part in re.split(r",(?![^()]*\))", text) if part.strip()]
    return lambda have: all(test(have) for test in tests)


def _requirement(text: str) -> Callable[[Mapping[str, str]], bool]:
    if found := _SET.match(text):
        name, sort, values = found[1], found[2], {one.strip() for one in found[3].split(",")}
        _ensure_name(name)
        if sort == "in":
            return lambda have: name in have and have[name] in values
        return lambda have: name not in have or have[name] not in values
    if found := _EQUAL.match(text):
        name, value = found[1], found[3]
        _ensure_name(name)
        if found[2] == "!=":
            return lambda have: have.get(name) != value
        return lambda have: have.get(name) == value
    if found := _EXISTS.match(text):
        name, wanted = found[2], not found[1]
        _ensure_name(name)
        return lambda have: (name in have) is wanted
    raise bad_request(f"unable to parse requirement: found {text.strip()!r}, expected: identifier")


def _ensure_name(name: str) -> None:
    if not _NAME.match(name):
        raise bad_request(f'unable to parse requirement: <nil>: Invalid value: "{name}": name part must be valid')


def of_object(selector: Mapping[str, Any] | None) -> Callable[[Mapping[str, str]], bool]:
    """Whether labels match a LabelSelector of an object; an absent one matches nothing, an empty one everything."""
    if selector is None:
        return lambda have: False
    exact = dict(selector.get("matchLabels") or {})
    rules = [(one["key"], one["operator"], one.get("values") or []) for one in selector.get("matchExpressions") or []]

    def matches(have: Mapping[str, str]) -> bool:
        if any(have.get(key) != value for key, value in exact.items()):
            return False
        return all(expression(have, *rule) for rule in rules)

    return matches


def expression(have: Mapping[str, str], key: str, operator: str, values: list[str]) -> bool:
    """One of matchExpressions."""
    match operator:
        case "In":
            return key in have and have[key] in values
        case "NotIn":
            return key not in have or have[key] not in values
        case "Exists":
            return key in have
        case "DoesNotExist":
            return key not in have
        case "Gt":
            return key in have and int(have[key]) > int(values[0])
        case "Lt":
            return key in have and int(have[key]) < int(values[0])
    raise ValueError(operator)


def to_text(selector: Mapping[str, Any] | None) -> str:
    """A LabelSelector as a request would write it, for the scale subresource."""
    parts = [f"{key}={value}" for key, value in sorted(((selector or {}).get("matchLabels") or {}).items())]
    for one in (selector or {}).get("matchExpressions") or []:
        values = ",".join(one.get("values") or [])
        form = {"In": "{} in ({})", "NotIn": "{} notin ({})", "Exists": "{}", "DoesNotExist": "!{}"}[one["operator"]]
        parts.append(form.format(one["key"], values))
    return ",".join(parts)


def fields(kind: Kind, text: str) -> Matches:
    """Whether an object matches a field selector of a request.

    Raises:
        Refused: the kind has no such field to select by.
    """
    known = ("metadata.name", "metadata.namespace", *(() if kind.custom else _FIELDS.get(kind.plural, ())))
    tests: list[tuple[str, bool, str]] = []
    for part in (one for one in text.split(",") if one.strip()):
        found = re.match(r"^\s*([^=!]+?)\s*(==|=|!=)\s*(.*?)\s*$", part)
        if found is None:
            raise bad_request(f"invalid selector: '{part}'; can't understand '{part}'")
        if found[1] not in known:
            where = f'"{kind.api_version}, Resource={kind.plural}"'
            raise Refused(
                "BadRequest",
                f'Unable to find {where} that match label selector "", field selector "{text}": '
                f"field label not supported: {found[1]}",
            )
        tests.append((found[1], found[2] != "!=", found[3]))
    return lambda obj: all((_value(obj, path) == value) is wanted for path, wanted, value in tests)


def _value(obj: dict[str, Any], path: str) -> str:
    if path == "source":
        return str((obj.get("source") or {}).get("component", ""))
    found: Any = obj
    for step in ("metadata.name" if path == "name" else path).split("."):
        found = (found or {}).get(step)
    if found is None:
        return "false" if path in ("spec.unschedulable", "spec.hostNetwork") else ""
    return str(found).lower() if isinstance(found, bool) else str(found)


def both(kind: Kind, label_text: str, field_text: str) -> Matches | None:
    """Both selectors of a request in one; None when it has neither."""
    if not label_text and not field_text:
        return None
    by_label, by_field = labels(label_text), fields(kind, field_text)
    return lambda obj: by_label(obj["metadata"].get("labels") or {}) and by_field(obj)
