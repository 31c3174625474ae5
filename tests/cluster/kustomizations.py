"""What a kustomization comes to, for as much of kustomize as ours use; whatever else stands in one is an error.

Ours are resources, components and generated ConfigMaps without a suffix. `kubectl kustomize` is not on every machine.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

Obj = dict[str, Any]
ROOT = Path(__file__).parents[2] / "deploy"
OF_USERS = {"rds-global-bundle.pem": "certificates that AWS publishes\n"}
"""Files that users put there themselves, before they apply."""
_KEYS = {"apiVersion", "kind", "resources", "components", "configMapGenerator"}


def build(folder: Path) -> list[Obj]:
    """All objects, in the order that they are named in.

    Raises:
        ValueError: it says something that is not understood here, or an object twice.
    """
    said = yaml.safe_load((folder / "kustomization.yaml").read_text())
    if unknown := set(said) - _KEYS:
        raise ValueError(f"{folder}: {sorted(unknown)[0]} is not understood")
    made: list[Obj] = []
    for name in [*said.get("resources", []), *said.get("components", [])]:
        path = folder / name
        made += build(path) if path.is_dir() else list(yaml.safe_load_all(path.read_text()))
    made += [_generated(folder, one) for one in said.get("configMapGenerator", [])]
    names = [key(one) for one in made]
    if len(names) != len(set(names)):
        raise ValueError(f"{folder}: {sorted(names)} name an object twice")
    return made


def key(obj: Obj) -> tuple[str, str, str]:
    """Kind, namespace and name."""
    return obj["kind"], obj["metadata"].get("namespace", ""), obj["metadata"]["name"]


def _generated(folder: Path, said: Obj) -> Obj:
    if set(said) != {"name", "namespace", "files", "options"} or said["options"] != {"disableNameSuffixHash": True}:
        raise ValueError(f"{folder}: the ConfigMap {said['name']} is not understood")
    data = {name: OF_USERS[name] if name in OF_USERS else (folder / name).read_text() for name in said["files"]}
    metadata = {"name": said["name"], "namespace": said["namespace"]}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}
