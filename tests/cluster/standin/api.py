"""The resources of the API: what each verb does."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

from cluster.standin import customs, failures, lists, patches, scaling
from cluster.standin.asked import Asked, ensure_served
from cluster.standin.escalation import ensure_held
from cluster.standin.eviction import Evictions
from cluster.standin.failures import Refused
from cluster.standin.kinds import Kind
from cluster.standin.lists import Lists
from cluster.standin.rbac import Authorizer, User, account
from cluster.standin.registry import Registry
from cluster.standin.times import stamp

Obj = dict[str, Any]
Answer = tuple[int, Any]  # status, and JSON as data or as bytes


class Api:
    """Answers requests for resources.

    Attributes:
        tokens: who has which token.
    """

    def __init__(self, registry: Registry, authorizer: Authorizer, evictions: Evictions) -> None:
        self.registry, self.lists = registry, Lists(registry.store)
        self._authorizer, self._evictions = authorizer, evictions
        self.tokens: dict[str, User] = {}
        self._verbs: dict[str, Callable[[Kind, Asked], Answer]] = {
            "get": self._get,
            "list": lambda kind, asked: (200, self.lists.answer(kind, asked)),
            "create": self._create,
            "update": self._update,
            "patch": self._patch,
            "delete": self._delete,
            "deletecollection": self._delete_collection,
        }

    def answer(self, asked: Asked) -> Answer:
        """The answer to a request that is allowed and no watch.

        Raises:
            Refused: it cannot be done.
        """
        kind = ensure_served(asked)
        if asked.verb not in self._verbs:
            raise Refused("MethodNotAllowed", "the server does not allow this method on the requested resource")
        return self._verbs[asked.verb](kind, asked)

    def _get(self, kind: Kind, asked: Asked) -> Answer:
        found = self.registry.need(kind, _namespace(kind, asked), asked.name)
        match asked.subresource:
            case "scale":
                return 200, scaling.read(kind, found)
            case "log":
                return 200, b""
        return 200, _in_version(kind, found)

    def _create(self, kind: Kind, asked: Asked) -> Answer:
        body = asked.body()
        if kind.plural.endswith("reviews") and not kind.custom:
            return 201, self._authorizer.review(kind, asked.user, body)
        match asked.subresource:
            case "eviction":
                return self._evictions.evict(asked, body)
            case "binding":
                self._bind(kind, asked, body)
                return 201, _success({})
            case "token":
                return 201, self._token(kind, asked, body)
        if asked.name:
            raise Refused("MethodNotAllowed", "the server does not allow this method on the requested resource")
        _ensure_kind(kind, body)
        namespace = _namespace(kind, asked)
        ensure_held(self._authorizer, kind, asked.user, namespace, body, None)
        made = self.registry.create(kind, namespace, _stored(kind, body), dry_run=asked.dry_run, manager=asked.manager)
        if kind.plural == "customresourcedefinitions" and not asked.dry_run:
            customs.serve(self.registry, made)
        return 201, _in_version(kind, made)

    def _update(self, kind: Kind, asked: Asked) -> Answer:
        return 200, self._replace(kind, asked, asked.body())

    def _replace(self, kind: Kind, asked: Asked, body: Obj) -> Obj:
        namespace, name = _namespace(kind, asked), asked.name
        if asked.subresource == "scale":
            have = self.registry.need(kind, namespace, name)
            new = scaling.written(kind, have, body)
            made = self.registry.update(kind, namespace, name, new, dry_run=asked.dry_run, manager=asked.manager)
            return scaling.read(kind, made)
        _ensure_kind(kind, body)
        ensure_held(self._authorizer, kind, asked.user, namespace, body, self.registry.need(kind, namespace, name))
        part = "" if asked.subresource == "finalize" else asked.subresource
        made = self.registry.update(
            kind, namespace, name, _stored(kind, body), subresource=part, dry_run=asked.dry_run, manager=asked.manager
        )
        if kind.plural == "customresourcedefinitions" and not asked.dry_run and not part:
            customs.serve(self.registry, made)
        return _in_version(kind, made)

    def _patch(self, kind: Kind, asked: Asked) -> Answer:
        allowed = (patches.JSON, patches.MERGE, *(() if kind.custom else (patches.STRATEGIC,)))
        if asked.content_type not in allowed:
            # Server-side apply is something that the real one takes.
            listed = ", ".join(allowed)
            fact = f"the body of the request was in an unknown format - accepted media types include: {listed}"
            raise Refused("UnsupportedMediaType", fact)
        patch = asked.body()
        have = self.registry.need(kind, _namespace(kind, asked), asked.name)
        old = scaling.read(kind, have) if asked.subresource == "scale" else _in_version(kind, have)
        return 200, self._replace(kind, asked, patches.apply(asked.content_type, old, patch))

    def _delete(self, kind: Kind, asked: Asked) -> Answer:
        namespace, options = _namespace(kind, asked), _options(asked)
        obj, gone = self.registry.delete(kind, namespace, asked.name, options)
        if kind.plural == "customresourcedefinitions" and gone:
            customs.withdraw(self.registry, obj)
        # A client that asked to wait for the dependants is told that this has only begun.
        status = 202 if not gone and options.get("propagationPolicy") == "Foreground" else 200
        if gone and not kind.returned:
            return status, _success({**failures.details(kind, asked.name), "uid": obj["metadata"]["uid"]})
        return status, _in_version(kind, obj)

    def _delete_collection(self, kind: Kind, asked: Asked) -> Answer:
        records = self.lists.select(kind, asked)
        options = _options(asked)
        for record in records:
            metadata = record.obj["metadata"]
            self.registry.delete(kind, metadata.get("namespace", ""), metadata["name"], options)
        return 200, lists.render(kind, records, {"resourceVersion": str(self.registry.store.version)})

    def _bind(self, kind: Kind, asked: Asked, body: Obj) -> None:
        pod = self.registry.need(kind, asked.namespace, asked.name)
        if pod["spec"].get("nodeName"):
            raise failures.conflict(kind, asked.name, f"pod {asked.name} is already assigned to node")
        node = body["target"]["name"]
        self.registry.change("pods", asked.namespace, asked.name, lambda new: new["spec"].update(nodeName=node))

    def _token(self, kind: Kind, asked: Asked, body: Obj) -> Obj:
        self.registry.need(kind, asked.namespace, asked.name)
        token = secrets.token_urlsafe(32)
        self.tokens[token] = account(asked.namespace, asked.name)
        lasts_s = (body.get("spec") or {}).get("expirationSeconds") or 3600
        status = {"token": token, "expirationTimestamp": stamp(lasts_s)}
        return {"kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1",
                "metadata": {"name": asked.name, "namespace": asked.namespace, "creationTimestamp": stamp()},
                "spec": {"audiences": [], **(body.get("spec") or {})}, "status": status}  # fmt: skip


def _namespace(kind: Kind, asked: Asked) -> str:
    return asked.namespace if kind.namespaced else ""


def _options(asked: Asked) -> Obj:
    """DeleteOptions, from the body and from the query."""
    options = asked.body() if asked.content else {}
    options = dict(options) if isinstance(options, dict) else {}
    for name in ("gracePeriodSeconds", "propagationPolicy", "orphanDependents"):
        if name in asked.query:
            value = asked.query[name]
            options[name] = int(value) if name.startswith("grace") else value
    if isinstance(options.get("orphanDependents"), str):
        options["orphanDependents"] = options["orphanDependents"] == "true"
    if asked.dry_run:
        options["dryRun"] = ["All"]
    return options


def _ensure_kind(kind: Kind, body: Any) -> None:
    if not isinstance(body, dict):
        raise failures.bad_request("the body is no object")
    said = (body.get("apiVersion", kind.api_version), body.get("kind", kind.kind))
    if said != (kind.api_version, kind.kind):
        data, expected = ", ".join(said), f"{kind.api_version}, {kind.kind}"
        fact = f"the API version in the data ({data}) does not match the expected API version ({expected})"
        raise failures.bad_request(fact)


def _stored(kind: Kind, body: Obj) -> Obj:
    return {**body, "apiVersion": kind.api_version, "kind": kind.kind}


def _in_version(kind: Kind, obj: Obj) -> Obj:
    return {**obj, "apiVersion": kind.api_version} if kind.custom else obj


def _success(details: Obj) -> Obj:
    status = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}
    return {**status, "details": details, "code": 200} if details else {**status, "code": 201}
