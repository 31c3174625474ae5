"""The way to a cluster: the only place that imports the Kubernetes client, and that knows what it raises.

Never the wrong cluster: the context is named, the current one of a kubeconfig is never taken, and the cluster is known
again by the uid of its namespace ``kube-system``, which is checked before the first call. Objects are plain data here,
not the models of the client, which lose fields that they do not know: an undo must not.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, TypeVar

import urllib3
from kubernetes import client as library  # type: ignore[import-untyped]
from kubernetes import config as configuration
from kubernetes.config import kube_config  # type: ignore[import-untyped]

from ftchaos import clock
from ftchaos.errors import Inconclusive, Invalid, Refused
from ftchaos.platforms.kubernetes import failures, upgrades
from ftchaos.platforms.kubernetes.calls import RESOURCES, Action, path_of
from ftchaos.platforms.kubernetes.failures import ApiFailed, Denied, Unanswered
from ftchaos.platforms.kubernetes.place import IN_CLUSTER, Call, Place

__all__ = ["IN_CLUSTER", "Access", "ApiFailed", "Call", "Denied", "Place", "Unanswered"]

T = TypeVar("T")
Obj = dict[str, Any]

CONNECT_S, READ_S = 5.0, 30.0
WATCH_S = 240.0
ATTEMPTS = 5
FIRST_WAIT_S, LONGEST_WAIT_S = 0.3, 10.0
CONNECTIONS = 16  # at once; a server that has enough says 429, which is waited for
PAGE = 500  # objects of one answer, as kubectl asks
AUDIT = "Audit-Id"
MERGE = "application/merge-patch+json"
_METHODS = {"get": "GET", "list": "GET", "create": "POST", "patch": "PATCH", "update": "PUT", "delete": "DELETE"}


@dataclass
class Access:
    """Calls to one cluster, from as many threads as one likes.

    Args:
        on_call: is told of each call when it has ended, on the thread that made it, of one at a time.

    Raises:
        Invalid: there is no such context, or its credentials cannot be used.
    """

    place: Place
    on_call: Callable[[Call], None] | None = None
    calls: list[Call] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._lock = threading.RLock()
        self._is_right = False
        made = type.__call__(library.Configuration)
        try:
            if self.place.context == IN_CLUSTER:
                configuration.load_incluster_config(client_configuration=made)
            else:
                configuration.load_kube_config(
                    config_file=self.place.kubeconfig or None, context=self.place.context, client_configuration=made,
                    persist_config=False,
                )  # fmt: skip
                if proxy := _proxy_of(self.place):
                    made.proxy, made.no_proxy = proxy, ""  # as kubectl, which then asks no variable
        except (configuration.ConfigException, OSError) as error:
            where = self.place.kubeconfig or "the kubeconfig"
            raise Invalid(
                f"the context {self.place.context!r} of {self.place.environment!r} cannot be used: {error}",
                f"see `kubectl config get-contexts` for {where}, or write {IN_CLUSTER!r} to use a pod's own account",
            ) from error
        made.connection_pool_maxsize = CONNECTIONS
        made.retries = False  # the client's own would repeat what must not be
        self._client = library.ApiClient(configuration=made)
        self._client.user_agent = "ftchaos"

    def ensure_right_place(self) -> str:
        """Ask the cluster which one it is, and keep to it from now on.

        Returns:
            The uid of its namespace ``kube-system``.

        Raises:
            Refused: it is another than was meant.
        """
        found = str(self._asked("get", "namespaces", "", "kube-system")["metadata"]["uid"])
        if self.place.cluster not in ("", found):
            raise Refused(
                f"the context {self.place.context!r} leads to the cluster {found}, and {self.place.cluster} was meant",
                "correct the context, or kubernetes.cluster in the configuration",
            )
        self.place = Place(**{**asdict(self.place), "namespaces": self.place.namespaces, "cluster": found})
        self._is_right = True
        return found

    def ensure_allowed(self, actions: list[Action]) -> None:
        """Ask the cluster whether these credentials may do all of it, before anything is touched.

        Raises:
            Denied: something of it they may not; the first is named.
        """
        for one in actions:
            resource, _, subresource = one.resource.partition("/")
            attributes = {
                "verb": one.verb, "group": RESOURCES[one.resource].group, "resource": resource,
                "subresource": subresource, "namespace": one.namespace, "name": one.name,
            }  # fmt: skip
            spec = {"resourceAttributes": {key: value for key, value in attributes.items() if value}}
            body = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "spec": spec}
            if not self.call("create", "selfsubjectaccessreviews", body=body)["status"].get("allowed"):
                raise Denied(str(one))

    def call(
        self, verb: str, resource: str, namespace: str = "", name: str = "", *, body: Any = None,
        query: Mapping[str, str] | None = None,
    ) -> Obj:  # fmt: skip
        """One call. Reads are tried again; a write only where the server says that it did not begin it.

        Raises:
            Refused: this is another cluster than was meant, or the permission is missing.
            ApiFailed: the server said no.
            Unanswered: nothing came back.
        """
        with self._lock:
            if not self._is_right:
                self.ensure_right_place()
        return self._asked(verb, resource, namespace, name, body, query)

    def upgrade(self, resource: str, namespace: str, name: str) -> upgrades.Upgrade:
        """How a websocket of a resource is opened, with the credentials as they are now.

        Raises:
            Refused: this is another cluster than was meant.
        """
        with self._lock:
            if not self._is_right:
                self.ensure_right_place()
        headers: dict[str, str] = {"User-Agent": "ftchaos"}
        self._client.update_params_for_auth(headers, [], ["BearerToken"])
        proxied = isinstance(self._client.rest_client.pool_manager, urllib3.ProxyManager)
        path = path_of(resource, namespace, name)
        return upgrades.of(self._client.configuration, path, headers, proxied=proxied)

    def get(self, resource: str, namespace: str, name: str) -> Obj | None:
        """An object as it is, or None where it is not."""
        try:
            return self.call("get", resource, namespace, name)
        except ApiFailed as error:
            if error.is_absent:
                return None
            raise

    def pages(self, resource: str, namespace: str = "", **query: str) -> Iterator[Obj]:
        """All objects of a kind, page by page; whoever asks anew after an expired page is given all once more.

        Args:
            namespace: empty for all namespaces.
            query: ``labelSelector`` or ``fieldSelector``.
        """
        return iter(self.listed(resource, namespace, **query)[0])

    def listed(self, resource: str, namespace: str = "", **query: str) -> tuple[list[Obj], str]:
        """The same, and the version of the list, from which it can be watched."""
        found: list[Obj] = []
        following, anew = "", 0
        while True:
            asked = {**query, "limit": str(PAGE), **({"continue": following} if following else {})}
            try:
                page = self.call("list", resource, namespace, query=asked)
            except ApiFailed as error:
                if error.status != 410 or not following or anew == ATTEMPTS:
                    raise
                found, following, anew = [], "", anew + 1
                continue
            found += page.get("items") or []
            following = str(page["metadata"].get("continue") or "")
            if not following:
                return found, str(page["metadata"].get("resourceVersion") or "")

    def watch(self, resource: str, namespace: str, version: str) -> Iterator[tuple[str, Obj]]:
        """What changes in a list from a version on, as it changes, until the server ends the watch.

        Yields:
            ``ADDED``, ``MODIFIED``, ``DELETED`` or ``BOOKMARK``, and the object.

        Raises:
            ApiFailed: the server said no; with the status 410 where it has forgotten that version.
            Unanswered: the connection broke, or said nothing for too long.
        """
        said = str(Action("watch", resource, namespace))
        query = {"watch": "true", "allowWatchBookmarks": "true", "resourceVersion": version,
                 "timeoutSeconds": str(int(WATCH_S))}  # fmt: skip
        answer = self._open(said, resource, namespace, query)
        try:
            for line in _lines(answer):
                event = json.loads(line)
                if event["type"] == "ERROR":
                    status = event["object"]
                    raise failures.of_answer(said, status.get("code", 0), status.get("reason", ""),
                                             status.get("message", ""))  # fmt: skip
                yield event["type"], event["object"]
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            raise Unanswered(said, f"{type(error).__name__}: {error}", False) from error
        finally:
            answer.release_conn()
            answer.close()

    def _open(self, said: str, resource: str, namespace: str, query: Mapping[str, str]) -> Any:
        """An answer that is read as it comes."""
        headers: dict[str, str] = {"Accept": "application/json", "User-Agent": "ftchaos"}
        asked = list(query.items())
        try:
            self._client.update_params_for_auth(headers, asked, ["BearerToken"])
            url = self._client.configuration.host + path_of(resource, namespace)
            return self._client.rest_client.request(
                "GET", url, query_params=asked, headers=headers, _preload_content=False,
                _request_timeout=(CONNECT_S, WATCH_S + READ_S),
            )  # fmt: skip
        except library.ApiException as error:
            if not error.status:
                raise Unanswered(said, str(error.reason), False) from error
            raise _refusal(said, error) from error
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise Unanswered(said, f"{type(error).__name__}: {error}", False) from error

    def patch(self, resource: str, namespace: str, name: str, change: Callable[[Obj], Obj | None]) -> bool:
        """Change an object as it is now, anew when somebody else was quicker.

        Args:
            change: from the object to a merge patch, or None where nothing is to be done.

        Returns:
            Whether it was there.
        """
        for attempt in range(ATTEMPTS):
            now = self.get(resource, namespace, name)
            wanted = change(now) if now is not None else None
            if now is None or wanted is None:
                return now is not None
            metadata = {**wanted.get("metadata", {}), "resourceVersion": now["metadata"]["resourceVersion"]}
            try:
                self.call("patch", resource, namespace, name, body={**wanted, "metadata": metadata})
                return True
            except ApiFailed as error:
                if error.is_absent:
                    return False
                if not error.is_conflict or attempt == ATTEMPTS - 1:
                    raise
        return True

    def delete(self, resource: str, namespace: str, name: str, *, uid: str = "", grace_s: int | None = None) -> bool:
        """Delete an object if it is still the one that was meant.

        Returns:
            Whether it was.
        """
        body: Obj = {"apiVersion": "v1", "kind": "DeleteOptions"}
        body |= {"preconditions": {"uid": uid}} if uid else {}
        body |= {"gracePeriodSeconds": grace_s} if grace_s is not None else {}
        try:
            self.call("delete", resource, namespace, name, body=body)
        except ApiFailed as error:
            if error.is_absent or (uid and error.is_conflict):
                return False
            raise
        return True

    def until(
        self, ask: Callable[[], T], done: Callable[[T], bool], deadline_s: float, what: Callable[[T | None], str],
        every_s: float = 1.0,
    ) -> T:  # fmt: skip
        """Ask until the answer will do, bearing with a server that is busy or silent for a while.

        Args:
            what: from the last answer to what was waited for in vain.

        Raises:
            Inconclusive: it did not, in this time.
        """
        last_at, trouble = clock.now() + deadline_s, ""
        answer: T | None = None
        while True:
            try:
                answer = ask()
            except (ApiFailed, Unanswered) as error:
                if isinstance(error, ApiFailed) and not error.is_passing:
                    raise
                trouble = f"; at last {error.fact}"
            else:
                if done(answer):
                    return answer
                trouble = ""
            left_s = last_at - clock.now()
            if left_s <= 0:
                raise Inconclusive(f"{what(answer)} not within {deadline_s:g} s{trouble}", "see `kubectl get events`")
            time.sleep(min(every_s, left_s))

    def _asked(
        self, verb: str, resource: str, namespace: str = "", name: str = "", body: Any = None,
        query: Mapping[str, str] | None = None,
    ) -> Obj:  # fmt: skip
        wait_s = FIRST_WAIT_S
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return self._sent(verb, resource, namespace, name, body, query)
            except Unanswered:
                if verb not in ("get", "list") or attempt == ATTEMPTS:
                    raise
            except ApiFailed as error:
                # Too many requests: nothing was begun. Of an eviction it is the budget that speaks: who evicts decides.
                busy = error.status == failures.BUSY and resource != "pods/eviction"
                if attempt == ATTEMPTS or not (busy or (verb in ("get", "list") and error.is_passing)):
                    raise
                wait_s = max(wait_s, min(error.retry_after_s, LONGEST_WAIT_S))
            time.sleep(wait_s)
            wait_s = min(wait_s * 2, LONGEST_WAIT_S)
        raise AssertionError("the last attempt ends in an answer or an error")

    def _sent(
        self, verb: str, resource: str, namespace: str, name: str, body: Any, query: Mapping[str, str] | None
    ) -> Obj:
        at, status, wrong, audit_id = clock.now(), 0, "", ""
        said = str(Action(verb, resource, namespace))
        headers: dict[str, str] = {"Accept": "application/json", "User-Agent": "ftchaos"}
        headers["Content-Type"] = MERGE if verb == "patch" else "application/json"
        asked = list((query or {}).items())
        try:
            with self._lock:  # a token that has expired is fetched anew, once
                self._client.update_params_for_auth(headers, asked, ["BearerToken"])
            url = self._client.configuration.host + path_of(resource, namespace, name)
            answer = self._client.rest_client.request(
                _METHODS[verb], url, query_params=asked, headers=headers, body=body,
                _request_timeout=(CONNECT_S, READ_S),
            )  # fmt: skip
            status, audit_id = answer.status, answer.getheader(AUDIT, "")
            return dict(json.loads(answer.data))
        except library.ApiException as error:
            status = error.status or 0
            if not status:
                wrong = "Unanswered"
                raise Unanswered(said, str(error.reason), verb not in ("get", "list")) from error
            refusal = _refusal(said, error)
            failed, audit_id = refusal if isinstance(refusal, ApiFailed) else None, _audit(error)
            if not (failed and failed.is_absent and verb == "get"):  # that something is not there is an answer
                wrong = (failed.reason if failed else "") or str(status)
            raise refusal from error
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            wrong = "Unanswered"
            raise Unanswered(said, f"{type(error).__name__}: {error}", verb not in ("get", "list")) from error
        finally:
            call = Call(at, verb, resource, namespace, name, status, wrong, audit_id)
            with self._lock:
                self.calls.append(call)
                if self.on_call is not None:
                    self.on_call(call)


def _proxy_of(place: Place) -> str:
    """The ``proxy-url`` of a context, which the client does not read; empty where there is none."""
    known = kube_config.KubeConfigMerger(place.kubeconfig or kube_config.KUBE_CONFIG_DEFAULT_LOCATION).config
    cluster = known["contexts"].get_with_name(place.context)["context"]["cluster"]
    return str(known["clusters"].get_with_name(cluster)["cluster"].value.get("proxy-url") or "")


def _lines(answer: Any) -> Iterator[bytes]:
    rest = b""
    for piece in answer.stream(amt=None, decode_content=False):
        *lines, rest = (rest + piece).split(b"\n")
        yield from filter(None, lines)


def _audit(error: Any) -> str:
    return str((error.headers or {}).get(AUDIT, ""))


def _refusal(call: str, error: Any) -> Exception:
    """What a Status says; a proxy in between may say something else."""
    try:
        about = dict(json.loads(error.body))
    except (TypeError, ValueError):
        about = {}
    details: Any = about.get("details") or {}
    causes = " ".join(str(one.get("message", "")) for one in details.get("causes") or [])
    message = f"{about.get('message') or error.reason} {causes}".strip()
    after = (error.headers or {}).get("Retry-After", details.get("retryAfterSeconds", 0))
    retry_after_s = float(after) if str(after).isdigit() else 0.0
    return failures.of_answer(call, error.status, str(about.get("reason") or ""), message, retry_after_s)
