"""Secrets are compared by name and key: a missing one is named, whoever refers to it, and no value is looked at."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ftchaos.platforms.kubernetes import references
from ftchaos.platforms.kubernetes.manifests import Manifest, Name

Obj = dict[str, Any]


def _workload(**spec: Any) -> Obj:
    return {"kind": "Deployment", "metadata": {"name": "api"}, "spec": {"template": {"spec": spec}}}


def _container(**more: Any) -> Obj:
    return _workload(containers=[{"name": "api", **more}])


def _told(found: dict[str, tuple[str, ...]], *objects: Obj) -> list[str]:
    written = [Manifest(Name(one["kind"], "", one["metadata"]["name"]), one, Path("x")) for one in objects]
    there = {Name("Secret", "app", name): keys for name, keys in found.items()}
    return [str(one) for one in references.differences(written, there, "app")]


KEY = {"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "db", "key": "password"}}}
REFERRING: dict[str, Obj] = {
    "a variable": _container(env=[KEY]),
    "all variables": _container(envFrom=[{"secretRef": {"name": "db"}}]),
    "a volume": _workload(volumes=[{"name": "v", "secret": {"secretName": "db"}}]),
    "a part of a volume": _workload(volumes=[{"projected": {"sources": [{"secret": {"name": "db"}}]}}]),
    "the registry": _workload(imagePullSecrets=[{"name": "db"}]),
    "an account": {"kind": "ServiceAccount", "metadata": {"name": "api"}, "imagePullSecrets": [{"name": "db"}]},
    "a certificate": {"kind": "Ingress", "metadata": {"name": "api"}, "spec": {"tls": [{"secretName": "db"}]}},
}


@pytest.mark.parametrize("which", REFERRING)
def test_secret_that_something_refers_to_and_that_is_not_there_is_named(which: str) -> None:
    obj = REFERRING[which]

    assert [f"Secret app/db: {obj['kind']} api refers to it, and it is not there"] == _told({}, obj)
    assert [] == _told({"db": ("password",), "made-by-others": ()}, obj)


def test_key_that_something_refers_to_and_that_is_not_there_is_named_once() -> None:
    items = {"secretName": "db", "items": [{"key": "password", "path": "p"}, {"key": "user", "path": "u"}]}
    twice = _workload(containers=[{"env": [KEY]}], volumes=[{"secret": items}])

    assert ["Secret app/db: Deployment api refers to its key password, and that is not there"] == _told(
        {"db": ("user",)}, twice
    )


def test_what_is_optional_or_no_reference_is_not_looked_for() -> None:
    optional = {"secretKeyRef": {"name": "db", "key": "password", "optional": True}}
    obj = _container(env=[{"name": "A", "valueFrom": optional}, {"name": "B", "value": "secretRef"}])
    config = {"kind": "ConfigMap", "metadata": {"name": "c", "labels": {"secret": "db"}}, "data": {"tls": "x"}}

    assert [] == _told({}, obj, config)


def test_secret_that_is_written_has_its_keys_and_no_others() -> None:
    secret = {"kind": "Secret", "metadata": {"name": "db"}, "data": {"password": "b25l", "user": "eA=="}}

    assert [] == _told({"db": ("password", "user")}, secret)
    assert ["Secret app/db: it is written and not there"] == _told({}, secret)
    assert [
        "Secret app/db: data.user is not there, and a value is written",
        "Secret app/db: data.more is there, and nothing is written",
    ] == _told({"db": ("password", "more")}, secret)
