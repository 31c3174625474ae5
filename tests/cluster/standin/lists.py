"""Lists: selected, and page by page out of one snapshot."""

from __future__ import annotations

import json
import secrets

from cluster.standin import selectors
from cluster.standin.asked import Asked
from cluster.standin.failures import Refused, bad_request
from cluster.standin.kinds import Kind
from cluster.standin.store import Record, Store

_EXPIRED = (
    "The provided continue parameter is too old to display a consistent list result. You can start a new list without "
    "the continue parameter, or use the continue token in this response to retrieve the remainder of the results."
)


class Lists:
    """Answers to list requests.

    Pages after the first come from what was there at the first; :meth:`Store.compact` makes their tokens expire.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._rests: dict[str, tuple[int, list[Record]]] = {}

    def select(self, kind: Kind, asked: Asked) -> list[Record]:
        """The records that a request is about."""
        namespace = asked.namespace if kind.namespaced else ""
        found = self._store.records(kind.table, namespace)
        labels, fields = asked.query.get("labelSelector", ""), asked.query.get("fieldSelector", "")
        matches = selectors.both(kind, labels, fields)
        return found if matches is None else [record for record in found if matches(record.obj)]

    def answer(self, kind: Kind, asked: Asked) -> bytes:
        """A page as JSON.

        Raises:
            Refused: the continue token is no longer good, or none.
        """
        query = asked.query
        try:
            limit = int(query.get("limit") or 0)
        except ValueError as error:
            raise bad_request(f'strconv.ParseInt: parsing "{query["limit"]}": invalid syntax') from error
        self._ensure_version(query.get("resourceVersion", ""), query.get("resourceVersionMatch", ""))
        if token := query.get("continue"):
            version, found = self._rest(token)
        else:
            version, found = self._store.version, self.select(kind, asked)
        metadata: dict[str, object] = {"resourceVersion": str(version)}
        if 0 < limit < len(found):
            name = secrets.token_urlsafe(24)
            self._rests[name] = version, found[limit:]
            metadata["continue"] = name
            if not query.get("labelSelector") and not query.get("fieldSelector"):
                metadata["remainingItemCount"] = len(found) - limit
            found = found[:limit]
        return render(kind, found, metadata)

    def reset(self) -> None:
        self._rests.clear()

    def _rest(self, token: str) -> tuple[int, list[Record]]:
        if token not in self._rests:
            raise bad_request("continue key is not valid")
        version, found = self._rests[token]
        if version < self._store.oldest:
            raise Refused("Expired", _EXPIRED)
        return version, found

    def _ensure_version(self, version: str, match: str) -> None:
        if match and not version:
            raise bad_request(
                "resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided"
            )
        if not version or version == "0":
            return
        if not version.isdigit():
            raise bad_request(f'resourceVersion: Invalid value: "{version}"')
        if int(version) > self._store.version:
            fact = f"Too large resource version: {version}, current: {self._store.version}"
            causes = [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}]
            raise Refused("Timeout", fact, {"causes": causes}, retry_after_s=1)
        if match == "Exact" and int(version) != self._store.version:
            raise Refused("Expired", f"The resourceVersion for the provided list is too old: {version}")


def render(kind: Kind, records: list[Record], metadata: dict[str, object]) -> bytes:
    """A list as JSON; objects of built-in kinds carry no kind in it, as with the API server."""
    items = [of(kind, record) for record in records] if kind.custom else [record.item for record in records]
    head = json.dumps({"kind": f"{kind.kind}List", "apiVersion": kind.api_version, "metadata": metadata})
    return head[:-1].encode() + b',"items":[' + b",".join(items) + b"]}"


def of(kind: Kind, record: Record) -> bytes:
    """An object in the version that is asked for, as JSON."""
    if kind.custom and record.obj["apiVersion"] != kind.api_version:
        return json.dumps({**record.obj, "apiVersion": kind.api_version}).encode()
    return record.raw
