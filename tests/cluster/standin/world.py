"""The parts of the cluster put together, and how it begins."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

from cluster.standin.api import Api
from cluster.standin.controllers.autoscaler import Autoscalers
from cluster.standin.controllers.budgets import Budgets
from cluster.standin.controllers.daemons import DaemonSets
from cluster.standin.controllers.deployments import Deployments
from cluster.standin.controllers.endpoints import EndpointLists
from cluster.standin.controllers.garbage import Garbage
from cluster.standin.controllers.jobs import CronJobs, Jobs
from cluster.standin.controllers.kubelets import Kubelets
from cluster.standin.controllers.loop import Loop
from cluster.standin.controllers.nodes import Nodes
from cluster.standin.controllers.replicas import ReplicaSets
from cluster.standin.controllers.scheduler import Scheduler
from cluster.standin.controllers.stateful import StatefulSets
from cluster.standin.eviction import Evictions
from cluster.standin.forwarding import Forwarding
from cluster.standin.gate import Gate, Mishap
from cluster.standin.kinds import Kinds, named
from cluster.standin.listeners import Listeners
from cluster.standin.policies import Policies
from cluster.standin.processes import Processes
from cluster.standin.rbac import ADMIN, Authorizer, User, account
from cluster.standin.registry import Registry
from cluster.standin.services import Services
from cluster.standin.settings import Settings
from cluster.standin.store import Store

NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")


class World:
    """One cluster.

    Args:
        folder: where what really runs in it has its files.
    """

    def __init__(self, token: str, folder: Path) -> None:
        self.store, self.kinds, self.settings, self.gate = Store(), Kinds(), Settings(), Gate()
        self.registry = Registry(self.store, self.kinds, self.settings)
        self.authorizer = Authorizer(self.registry)
        self.api = Api(self.registry, self.authorizer, Evictions(self.registry))
        self.loop = Loop(self.registry)
        self.kubelets, self.scheduler = Kubelets(self.loop), Scheduler(self.loop)
        self.nodes = Nodes(self.loop, self.kubelets)
        for controller in (ReplicaSets, Deployments, StatefulSets, DaemonSets, Budgets, EndpointLists, Garbage, Jobs):
            controller(self.loop)
        self.autoscalers, self.cronjobs = Autoscalers(self.loop), CronJobs(self.loop)
        policies = Policies(self.registry, self.settings)
        self.listeners = Listeners(self.loop, self.kubelets, policies)
        self.processes = Processes(self.loop, self.kubelets, policies, folder)
        self.autoscalers.meter.count = self.processes.requests
        self.forwarding = Forwarding(self.registry, self.kubelets, self.processes)
        self.services = Services(self.loop, self.processes)
        self._token = token
        self.reset()

    def reset(self) -> None:
        """An empty cluster with the usual settings; versions go on, so that old watches are told 410."""
        self.settings.__init__()  # type: ignore[misc]
        self.kinds.reset()
        self.store.tables.clear()
        self.store.compact()
        self.api.lists.reset()
        self.api.tokens = {self._token: ADMIN}
        self.gate.clear()
        real = (self.listeners, self.processes, self.services)
        for part in (self.loop, self.kubelets, self.scheduler, self.autoscalers, *real):
            part.reset()
        for name in NAMESPACES:
            self.registry.create(named("namespaces"), "", {"metadata": {"name": name}})
        self.authorizer.bootstrap()

    def token(self, name: str, groups: list[str] | None = None, namespace: str = "") -> str:
        """A token of a user, or where a namespace is given of a service account."""
        made = secrets.token_urlsafe(24)
        user = account(namespace, name) if namespace else User(name, (*(groups or ()), "system:authenticated"))
        self.api.tokens[made] = user
        return made

    def mishap(self, **values: Any) -> None:
        """Let something happen to the next requests; see :class:`cluster.standin.gate.Mishap`."""
        self.gate.mishaps.append(Mishap(**values))
