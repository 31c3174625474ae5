"""A request, taken apart as the API server does: which verb upon which resource."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cluster.standin.failures import Refused, bad_request
from cluster.standin.kinds import Kind, Kinds
from cluster.standin.rbac import ADMIN, Attributes, User

_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch"}


@dataclass
class Asked:
    """One request.

    Attributes:
        verb: as roles name it; for a path that is no resource the method in lower case.
        kind: of the resource; None for such a path, and for what is not served.
    """

    method: str
    path: str
    query: Mapping[str, str]
    verb: str = ""
    group: str = ""
    version: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    kind: Kind | None = None
    content: bytes = b""
    content_type: str = "application/json"
    agent: str = ""
    user: User = field(default=ADMIN)

    @property
    def writes(self) -> bool:
        return self.verb in ("create", "update", "patch", "delete", "deletecollection")

    @property
    def dry_run(self) -> bool:
        """Whether nothing is to be kept.

        Raises:
            Refused: it is neither ``All`` nor absent.
        """
        wanted = self.query.get("dryRun", "")
        if wanted not in ("", "All"):
            raise bad_request(f'dryRun: Unsupported value: "{wanted}": supported values: "All"')
        return wanted == "All"

    @property
    def attributes(self) -> Attributes:
        """What roles must allow."""
        if not self.resource:
            return Attributes(self.verb, path=self.path)
        return Attributes(self.verb, self.group, self.resource, self.subresource, self.namespace, self.name)

    @property
    def manager(self) -> str:
        return self.agent.partition("/")[0] or "unknown"

    def body(self) -> Any:
        """The body as JSON.

        Raises:
            Refused: it is none.
        """
        try:
            return json.loads(self.content)
        except ValueError as error:
            raise bad_request(f"couldn't get version/kind; json parse error: {error}") from error

    def described(self) -> dict[str, Any]:
        """For the record of requests."""
        names = ("method", "path", "verb", "group", "resource", "subresource", "namespace", "name", "agent")
        found = {name: getattr(self, name) for name in names}
        return {**found, "query": dict(self.query), "user": self.user.name}


def take_apart(asked: Asked, kinds: Kinds) -> None:
    """Fill in what the path and the query say."""
    parts = [part for part in asked.path.split("/") if part]
    rest: list[str] = []
    if parts[:1] == ["api"] and len(parts) > 2:
        asked.group, asked.version, rest = "", parts[1], parts[2:]
    elif parts[:1] == ["apis"] and len(parts) > 3:
        asked.group, asked.version, rest = parts[1], parts[2], parts[3:]
    if not rest:
        asked.verb = asked.method.lower()
        return
    if rest[0] == "namespaces" and len(rest) > 2 and rest[2] not in ("status", "finalize"):
        asked.namespace, rest = rest[1], rest[2:]
    asked.resource = rest[0]
    asked.name = rest[1] if len(rest) > 1 else ""
    asked.subresource = "/".join(rest[2:])
    asked.kind = kinds.at(asked.group, asked.version, asked.resource)
    if asked.resource == "namespaces" and asked.name:
        asked.namespace = asked.name  # as the API server does, so that a role in a namespace may read it
    if asked.method == "GET":
        watches = asked.query.get("watch", "").lower() in ("true", "1")
        asked.verb = "get" if asked.name else "watch" if watches else "list"
    elif asked.method == "DELETE":
        asked.verb = "delete" if asked.name else "deletecollection"
    else:
        asked.verb = _VERBS.get(asked.method, asked.method.lower())


def ensure_served(asked: Asked) -> Kind:
    """The kind of a request.

    Raises:
        Refused: nothing of that name is served.
    """
    kind = asked.kind
    if kind is None or (asked.subresource and asked.subresource not in kind.subresources):
        raise Refused("NotFound", "the server could not find the requested resource", {})
    return kind
