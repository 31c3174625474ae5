"""The printed roles against what a run calls."""

from __future__ import annotations

import pytest
from cluster.application import namespace
from cluster.roles import bound
from cluster.standin.server import Standin

from ftchaos import cloud
from ftchaos.errors import Refused
from ftchaos.platforms.kubernetes import account
from ftchaos.platforms.kubernetes.access import Access, Place
from ftchaos.platforms.kubernetes.servers import Servers

SPACE = "app"


def test_accounts_of_all_stores_may_be_read_and_no_other_secret(cluster: Standin) -> None:
    namespace(cluster, SPACE)
    for name in ("database", "cache", "other"):
        made = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": SPACE}}
        cluster.create({**made, "stringData": {"username": "client", "password": name}})
    given = cloud.Kubernetes(
        context="standin",
        namespaces=[SPACE],
        mysql=cloud.ClusterMysql(service=f"{SPACE}/mysql", secret=f"{SPACE}/database"),
        redis=cloud.ClusterRedis(service=f"{SPACE}/redis", secret=f"{SPACE}/cache"),
    )
    assert given.mysql
    kubeconfig = bound(cluster, "faults", SPACE, secrets=given.secrets)
    access = Access(Place("staging", "standin", (SPACE,), str(kubeconfig)))
    servers = Servers(access, given.mysql, given.redis)

    assert ("database", "cache") == (servers.account.password, getattr(servers.cache_account, "password", ""))
    with pytest.raises(Refused, match="get secrets in app"):
        account.read(access, f"{SPACE}/other")
