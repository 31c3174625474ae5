"""Where a cluster is, and what evidence keeps of a call to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from ftchaos.errors import Invalid

if TYPE_CHECKING:
    from ftchaos.config import Environment

Obj = dict[str, Any]

IN_CLUSTER = "in-cluster"
OWN_NODE = "FTCHAOS_NODE"  # the variable that tells a pod the name of its node, its ``spec.nodeName``


@dataclass(frozen=True)
class Place:
    """Where an environment is; an undo record carries it, so that another process can heal there.

    Attributes:
        context: of the kubeconfig; ``in-cluster`` for the service account of the pod that this runs in.
        kubeconfig: its file; empty for the usual ones.
        namespaces: those of the application.
        cluster: the uid of the namespace ``kube-system``; empty while nobody has looked.
    """

    environment: str
    context: str
    namespaces: tuple[str, ...]
    kubeconfig: str = ""
    cluster: str = ""

    @classmethod
    def of(cls, name: str, settings: Environment) -> Place:
        """The place of an environment of the configuration.

        Raises:
            Invalid: it does not say which cluster, or which namespaces are the application's.
        """
        given = settings.kubernetes
        if given is None or not given.namespaces:
            lacking = "namespaces" if given else "context"
            raise Invalid(
                f"the environment {name!r} does not say which {lacking} of Kubernetes it means",
                "add kubernetes: {context: NAME, namespaces: [NAME]}: without them any cluster might be meant",
            )
        kubeconfig = str(given.kubeconfig.expanduser().absolute()) if given.kubeconfig else ""
        return cls(name, given.context, tuple(given.namespaces), kubeconfig, given.cluster or "")

    def to_json(self) -> Obj:
        return {**asdict(self), "namespaces": list(self.namespaces)}

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> Place:
        """The place that a record kept.

        Raises:
            Invalid: the record has other keys.
        """
        try:
            return cls(**{**kept, "namespaces": tuple(kept["namespaces"])})
        except (TypeError, KeyError) as error:
            raise Invalid(f"no place on Kubernetes: {error}", "a newer ftchaos may have written it") from error


@dataclass(frozen=True)
class Call:
    """One API call as evidence keeps it: never its body.

    Attributes:
        at: when it began, in seconds on the monotonic clock.
        resource: with its subresource, like ``pods/eviction``.
        status: of HTTP; 0 where there was no answer.
        error: the server's word for what went wrong; empty where nothing did.
        request_id: by which the server's audit log knows it.
    """

    at: float
    verb: str
    resource: str
    namespace: str
    name: str
    status: int
    error: str = ""
    request_id: str = ""

    service = "kubernetes"
    region = ""
    retries = 0

    @property
    def operation(self) -> str:
        """As a role writes it, like ``list pods``."""
        return f"{self.verb} {self.resource}"
