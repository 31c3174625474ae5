"""Secrets by reference: which are written or referred to, with which keys, against those that are there. Pure.

Values are neither needed nor compared, so nothing of them comes here. A Secret that nobody writes or refers to may be
there: whoever makes it has a reason that no manifest knows.

Source: Kubernetes API reference, SecretKeySelector, SecretEnvSource, SecretVolumeSource, IngressTLS.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from ftchaos.platforms.kubernetes.drift import Difference
from ftchaos.platforms.kubernetes.manifests import Manifest, Name

SECRET = "Secret"


def differences(
    manifests: Sequence[Manifest], found: Mapping[Name, Collection[str]], default_namespace: str
) -> list[Difference]:
    """What of the Secrets is not there, or there and not written.

    Args:
        found: those that are there, each with its keys.
        default_namespace: of manifests that name none; empty where none is.
    """
    differing: list[Difference] = []
    for one in manifests:
        space = one.name.namespace or default_namespace
        if one.name.kind == SECRET:
            differing += _written(Name(SECRET, space, one.name.name), set(one.obj.get("data") or ()), found)
            continue
        for secret, key in dict.fromkeys(_references(one.obj)):
            name = Name(SECRET, space, secret)
            if name not in found:
                differing.append(Difference(name, "", "there", f"{one.name} refers to it, and it is not there"))
            elif key and key not in found[name]:
                why = f"{one.name} refers to its key {key}, and that is not there"
                differing.append(Difference(name, "", "there", why))
    return list(dict.fromkeys(differing))


def _written(name: Name, keys: set[str], found: Mapping[Name, Collection[str]]) -> Iterator[Difference]:
    if name not in found:
        yield Difference(name, "", "there", "it is written and not there")
        return
    is_ = set(found[name])
    yield from (Difference(name, f"data.{key}", "a value", "not there") for key in sorted(keys - is_))
    yield from (Difference(name, f"data.{key}", "nothing", "there") for key in sorted(is_ - keys))


def _references(value: Any) -> Iterator[tuple[str, str]]:
    """Each (Secret, key) that must be there for an object to work; of a whole Secret the key is empty."""
    if isinstance(value, list):
        for one in value:
            yield from _references(one)
    elif isinstance(value, dict):
        for key, one in value.items():
            yield from _named(key, one)


def _named(key: str, value: Any) -> Iterator[tuple[str, str]]:
    if key in ("secretKeyRef", "secretRef", "secret") and isinstance(value, dict):
        name = str(value.get("secretName") or value.get("name") or "")
        keys = [value.get("key"), *(one.get("key") for one in value.get("items") or ())]
        if name and not value.get("optional"):
            yield from ((name, str(one)) for one in filter(None, keys)) if any(keys) else ((name, ""),)
    elif key in ("imagePullSecrets", "tls") and isinstance(value, list):
        named = (one.get("secretName") or one.get("name") for one in value if isinstance(one, dict))
        yield from ((str(one), "") for one in named if one)
    else:
        yield from _references(value)
