"""What a cluster is meant to hold: the objects of a folder of manifests, as they are kept in a repository.

A folder is read as ``kubectl apply --recursive -f`` reads it. Templates are not rendered: who keeps those renders them
first, ``kubectl kustomize`` or ``helm template``, and names the result.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from ftchaos.errors import Invalid

Obj = dict[str, Any]

LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml reads 1,000 large objects in a fifth of the time
SUFFIXES = (".yaml", ".yml", ".json")
RENDERED_BY = {"Kustomization": "kubectl kustomize", "Component": "kubectl kustomize"}
LARGEST_BYTES = 8 << 20
HOOKS = ("helm.sh/hook", "argocd.argoproj.io/hook")
"""Annotations of what a tool makes at its own time, as for a migration or a test, and may remove again."""


@dataclass(frozen=True, order=True)
class Name:
    """Which object is meant."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}"


@dataclass(frozen=True)
class Manifest:
    """One object that is meant to be there.

    Attributes:
        obj: as it is written, Secrets with ``data`` alone.
        file: where it is written.
    """

    name: Name
    obj: Obj = field(repr=False)  # a Secret may be among them
    file: Path = field(compare=False)


def read(folder: Path) -> list[Manifest]:
    """All objects of a folder, each once, or of one file.

    Raises:
        Invalid: nothing is there, a file is no manifest, wants to be rendered first, or two say different things of
            one object.
    """
    files = [folder] if folder.is_file() else sorted(one for one in folder.rglob("*") if one.suffix in SUFFIXES)
    found: dict[Name, Manifest] = {}
    for file in files:
        for one in _of_file(file):
            known = found.setdefault(one.name, one)
            if known.obj != one.obj:
                raise Invalid(f"{one.name} stands in {known.file} and, otherwise, in {file}", "keep one of them")
    if not found:
        raise Invalid(f"there is no manifest in {folder}", "name a folder with the YAML of the application")
    return list(found.values())


def is_hook(obj: Obj) -> bool:
    """Whether a tool makes it at a time of its own, and nobody is to apply it."""
    return any(one in HOOKS for one in obj["metadata"].get("annotations") or ())


def may_be_gone(obj: Obj) -> bool:
    """Whether it is as it should be when it is not there: it has run, and was removed."""
    spec = obj.get("spec") or {}
    return is_hook(obj) or (obj["kind"] == "Job" and spec.get("ttlSecondsAfterFinished") is not None)


def _of_file(file: Path) -> Iterator[Manifest]:
    try:
        if file.stat().st_size > LARGEST_BYTES:
            raise Invalid(f"{file} is larger than any manifest", "name the folder of the manifests alone")
        documents = list(yaml.load_all(file.read_bytes(), Loader=LOADER))
    except OSError as error:
        raise Invalid(f"{file} cannot be read: {error.strerror}", "let it be read") from error
    except yaml.YAMLError as error:
        line = getattr(getattr(error, "problem_mark", None), "line", 0) + 1
        hint = "templates are rendered first: `helm template`, `kubectl kustomize`"
        raise Invalid(f"{file}, line {line}: this is no YAML", hint) from error
    for document in documents:
        if document is not None:
            yield from _of_document(file, document)


def _of_document(file: Path, document: Any) -> Iterator[Manifest]:
    kind = document.get("kind") if isinstance(document, dict) else None
    if kind in RENDERED_BY:
        raise Invalid(f"{file} is to be rendered first", f"{RENDERED_BY[kind]} {file.parent} > rendered.yaml")
    if isinstance(kind, str) and kind.endswith("List") and isinstance(document.get("items"), list):
        for item in document["items"]:
            yield from _of_document(file, item)
        return
    metadata = document.get("metadata") if isinstance(document, dict) else None
    if not isinstance(kind, str) or not isinstance(metadata, dict) or not metadata.get("name"):
        raise Invalid(f"{file} holds something without kind and name", "keep other YAML in another folder")
    name = Name(kind, str(metadata.get("namespace") or ""), str(metadata["name"]))
    yield Manifest(name, _whole(document), file)


def _whole(obj: Obj) -> Obj:
    """The same with the values of a Secret as the server keeps them."""
    if obj["kind"] != "Secret" or "stringData" not in obj:
        return obj
    plain = {key: base64.b64encode(str(value).encode()).decode() for key, value in (obj["stringData"] or {}).items()}
    rest = {key: value for key, value in obj.items() if key != "stringData"}
    return {**rest, "data": {**obj.get("data", {}), **plain}}
