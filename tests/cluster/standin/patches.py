"""The three kinds of patches: JSON (RFC 6902), merge (RFC 7386), and strategic merge, which knows the lists of Pods."""

from __future__ import annotations

import copy
from typing import Any

from cluster.standin.failures import Refused, bad_request

JSON, MERGE = "application/json-patch+json", "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"

# The keys by which lists of objects are merged, after patchMergeKey in the API types; all other lists are replaced.
_KEYS: dict[str, tuple[str, ...]] = {
    "containers": ("name",), "initContainers": ("name",), "ephemeralContainers": ("name",), "env": ("name",),
    "volumes": ("name",), "volumeMounts": ("mountPath",), "volumeDevices": ("devicePath",),
    "imagePullSecrets": ("name",), "hostAliases": ("ip",), "topologySpreadConstraints": ("topologyKey",),
    "ownerReferences": ("uid",), "conditions": ("type",), "addresses": ("type",), "secrets": ("name",),
    "ports": ("containerPort", "port"), "resourceClaims": ("name",), "podIPs": ("ip",),
}  # fmt: skip
_SETS = ("finalizers", "podCIDRs")
_DIRECTIVES = ("$patch", "$retainKeys")


def apply(content_type: str, target: dict[str, Any], patch: Any) -> dict[str, Any]:
    """A patched copy of an object.

    Raises:
        Refused: the patch cannot be applied.
    """
    if content_type == JSON:
        if not isinstance(patch, list):
            raise bad_request(
                "error decoding patch: json: cannot unmarshal object into Go value of type jsonpatch.Patch"
            )
        result: Any = copy.deepcopy(target)
        for number, operation in enumerate(patch):
            result = _operate(result, operation, number)
        return dict(result)
    if not isinstance(patch, dict):
        raise bad_request(
            "error decoding patch: json: cannot unmarshal array into Go value of type map[string]interface {}"
        )
    return dict(merge(target, patch) if content_type == MERGE else strategic(target, patch))


def merge(target: Any, patch: Any) -> Any:
    """RFC 7386."""
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merge(result.get(name), value)
    return result


def strategic(target: Any, patch: dict[str, Any]) -> dict[str, Any]:
    """A merge in which lists of named things are merged too; see ``_KEYS`` and the directives ``$patch`` and others."""
    result: dict[str, Any] = dict(target) if isinstance(target, dict) else {}
    if patch.get("$patch") == "replace":
        return {name: copy.deepcopy(value) for name, value in patch.items() if name not in _DIRECTIVES}
    if patch.get("$patch") == "delete":
        return {}
    if "$retainKeys" in patch:
        result = {name: value for name, value in result.items() if name in patch["$retainKeys"]}
    for name, value in patch.items():
        if name in _DIRECTIVES or name.startswith("$setElementOrder/"):
            continue
        if name.startswith("$deleteFromPrimitiveList/"):
            bare = name.partition("/")[2]
            result[bare] = [one for one in result.get(bare) or [] if one not in value]
        elif value is None:
            result.pop(name, None)
        elif isinstance(value, dict):
            result[name] = strategic(result.get(name), value)
            if value.get("$patch") == "delete":
                del result[name]
        elif isinstance(value, list):
            result[name] = _lists(name, result.get(name) or [], value)
        else:
            result[name] = value
    return result


def _lists(name: str, have: list[Any], patch: list[Any]) -> list[Any]:
    if name in _SETS:
        return [*have, *(one for one in patch if one not in have)]
    if any(isinstance(one, dict) and one.get("$patch") == "replace" for one in patch):
        return [copy.deepcopy(one) for one in patch if "$patch" not in one]
    objects = bool(patch) and all(isinstance(one, dict) for one in patch)
    found = [key for key in _KEYS.get(name, ()) if objects and all(key in one for one in patch)]
    if not found:
        if objects and name in _KEYS:
            raise bad_request(f"map: {patch[0]} does not contain declared merge key: {_KEYS[name][0]}")
        return copy.deepcopy(patch) if patch or name not in _KEYS else have
    key, result = found[0], list(have)
    for one in patch:
        at = next((number for number, other in enumerate(result) if other.get(key) == one[key]), None)
        if one.get("$patch") == "delete":
            if at is not None:
                del result[at]
        elif at is None:
            result.append(strategic({}, one))
        else:
            result[at] = strategic(result[at], one)
    return result


def _operate(document: Any, operation: dict[str, Any], number: int) -> Any:
    name, path = operation.get("op"), operation.get("path", "")
    try:
        match name:
            case "add" | "replace":
                return _set(document, path, copy.deepcopy(operation["value"]), insert=name == "add")
            case "remove":
                return _removed(document, path)[0]
            case "move":
                rest, value = _removed(document, operation["from"])
                return _set(rest, path, value, insert=True)
            case "copy":
                return _set(document, path, copy.deepcopy(_at(document, operation["from"])), insert=True)
            case "test":
                if _at(document, path) != operation.get("value"):
                    raise Refused(
                        "Invalid",
                        f"the server rejected our request due to an error in our request: testing path {path} failed",
                    )
                return document
    except (KeyError, IndexError, ValueError, TypeError) as error:
        fact = (
            f"the server rejected our request due to an error in our request: {name} operation does not apply: {path}"
        )
        raise Refused("Invalid", fact) from error
    raise bad_request(f"Unexpected kind: {name} in operation {number}")


def _steps(path: str) -> list[str]:
    if path and not path.startswith("/"):
        raise ValueError(path)
    return [step.replace("~1", "/").replace("~0", "~") for step in path.split("/")[1:]]


def _at(document: Any, path: str) -> Any:
    for step in _steps(path):
        document = document[int(step)] if isinstance(document, list) else document[step]
    return document


def _set(document: Any, path: str, value: Any, *, insert: bool) -> Any:
    steps = _steps(path)
    if not steps:
        return value
    parent = document
    for step in steps[:-1]:
        parent = parent[int(step)] if isinstance(parent, list) else parent[step]
    last = steps[-1]
    if isinstance(parent, list):
        if not insert:
            parent[int(last)] = value
        else:
            at = len(parent) if last == "-" else int(last)
            if at > len(parent):
                raise IndexError(at)
            parent.insert(at, value)
    elif not isinstance(parent, dict) or (not insert and last not in parent):
        raise KeyError(last)
    else:
        parent[last] = value
    return document


def _removed(document: Any, path: str) -> tuple[Any, Any]:
    *steps, last = _steps(path)
    parent = document
    for step in steps:
        parent = parent[int(step)] if isinstance(parent, list) else parent[step]
    return document, parent.pop(int(last) if isinstance(parent, list) else last)
