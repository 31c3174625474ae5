"""A cluster as a test reaches it, stand-in or real: a kubeconfig, plain requests, and what is there."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml
from kubernetes import client, config

Obj = dict[str, Any]
_SERVER = ("uid", "resourceVersion", "generation", "creationTimestamp", "managedFields", "selfLink")
_PASSING = {"Event", "Lease", "Endpoints", "EndpointSlice"}  # what comes and goes by itself


class Reach:
    """A cluster behind a kubeconfig.

    Attributes:
        kubeconfig: file that leads there as somebody who may do everything.
    """

    def __init__(self, kubeconfig: Path) -> None:
        self.kubeconfig = kubeconfig

    @cached_property
    def api(self) -> client.ApiClient:
        """A client as ``kubernetes`` makes it; give it to ``client.CoreV1Api`` and the like."""
        return config.new_client_from_config(str(self.kubeconfig))

    @property
    def core(self) -> client.CoreV1Api:
        return client.CoreV1Api(self.api)

    @property
    def apps(self) -> client.AppsV1Api:
        return client.AppsV1Api(self.api)

    def request(self, method: str, path: str, body: Any = None, content_type: str = "", **query: Any) -> Any:
        """What a plain request is answered, as JSON.

        Raises:
            kubernetes.client.ApiException: it is refused.
        """
        headers = {"Accept": "application/json", "Content-Type": content_type or "application/json"}
        if not content_type and method == "PATCH":
            headers["Content-Type"] = "application/merge-patch+json"
        answer = self.api.call_api(
            path, method, {}, list(query.items()), headers, body=body, post_params=[], files={},
            auth_settings=["BearerToken"], _preload_content=False, _return_http_data_only=True, _request_timeout=30,
        )  # fmt: skip
        return json.loads(answer.data or b"null")

    @cached_property
    def kinds(self) -> dict[tuple[str, str], Obj]:
        """What the cluster serves and lists: the APIResource by apiVersion and kind, each in one version."""
        versions = [("", "v1")]
        for group in self.request("GET", "/apis")["groups"]:
            listed = [group["preferredVersion"], *group["versions"]]
            versions += [(group["name"], one["groupVersion"]) for one in listed]
        found: dict[tuple[str, str], Obj] = {}
        seen = set()
        for name, version in dict.fromkeys(versions):
            for one in self.request("GET", _root(version))["resources"]:
                if "/" not in one["name"] and "list" in one["verbs"] and (name, one["kind"]) not in seen:
                    seen.add((name, one["kind"]))
                    found[version, one["kind"]] = one
        return found

    def path(self, obj: Obj) -> str:
        """Where an object is, or with ``metadata.name`` left out, its collection."""
        if (obj["apiVersion"], obj["kind"]) not in self.kinds:
            del self.kinds  # a definition may have added it
        resource, metadata = self.kinds[obj["apiVersion"], obj["kind"]], obj.get("metadata") or {}
        inside = f"/namespaces/{metadata.get('namespace', 'default')}" if resource["namespaced"] else ""
        name = f"/{metadata['name']}" if metadata.get("name") else ""
        return f"{_root(obj['apiVersion'])}{inside}/{resource['name']}{name}"

    def create(self, *objects: Obj) -> list[Obj]:
        """Create objects in this order, and answer what became of them."""
        return [
            self.request("POST", self.path({**obj, "metadata": {**obj["metadata"], "name": ""}}), obj)
            for obj in objects
        ]

    def all(self, api_version: str, kind: str, namespace: str = "", **query: Any) -> list[Obj]:
        """The objects of a kind."""
        resource = self.kinds[api_version, kind]
        inside = f"/namespaces/{namespace}" if namespace else ""
        return list(self.request("GET", f"{_root(api_version)}{inside}/{resource['name']}", **query)["items"])

    def objects(self, *, derived: bool = False) -> dict[str, Obj]:
        """The whole state for a comparison, by ``apiVersion/kind/namespace/name``: without server fields and status.

        Args:
            derived: whether what controllers made (pods of a Deployment, endpoints, events) is in it as well.
        """
        found = {}
        for version, kind in self.kinds:
            for obj in self.all(version, kind):
                metadata = {key: value for key, value in obj["metadata"].items() if key not in _SERVER}
                owned = any(one.get("controller") for one in metadata.get("ownerReferences") or [])
                if not derived and (owned or kind in _PASSING):
                    continue
                bare = {key: value for key, value in obj.items() if key not in ("status", "kind", "apiVersion")}
                at = "/".join((version, kind, metadata.get("namespace", ""), metadata["name"]))
                found[at] = {**bare, "metadata": metadata}
        return found

    def until(self, holds: Callable[[], Any], what: str, timeout_s: float = 20.0) -> Any:
        """What a question answers once it is true.

        Raises:
            AssertionError: it never is.
        """
        deadline = time.monotonic() + timeout_s
        while not (found := holds()):
            assert time.monotonic() < deadline, f"{what} did not come to be within {timeout_s} s"
            time.sleep(0.02)
        return found


def kubeconfig(path: Path, endpoint: str, token: str, name: str = "standin") -> Path:
    """Write a kubeconfig with one context."""
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": name,
        "clusters": [{"name": name, "cluster": {"server": endpoint}}],
        "users": [{"name": name, "user": {"token": token}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
    }
    path.write_text(yaml.safe_dump(document))
    path.chmod(0o600)
    return path


def _root(api_version: str) -> str:
    return f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
