"""Who leads, by the word of real servers in pods: of MySQL and of Redis, and those who are silent."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from cluster import real_stores
from cluster.manifests import node
from cluster.real_app import ALLOWED, DB
from cluster.real_stores import PASSWORD, address_of, told
from cluster.standin.server import Standin

from ftchaos.cloud import ClusterMysql, ClusterRedis
from ftchaos.errors import Refused
from ftchaos.mysql import session as sessions
from ftchaos.platforms.kubernetes import asking, survey
from ftchaos.platforms.kubernetes.access import Access, Place
from ftchaos.platforms.kubernetes.asking import MASTER, PRIMARY, REPLICA, SLAVE, UNCLEAR
from ftchaos.platforms.kubernetes.inventory import Pod
from ftchaos.platforms.kubernetes.servers import Servers

ACCOUNTS = {"writing": "ftchaos", "knowing": "replication"}
"""Of the database: one that may not know whether a server follows another, and one that may."""


@pytest.fixture(scope="module")
def stores(process: Standin) -> Iterator[Standin]:
    process.reset()
    process.settings(second_s=0.02)
    process.create(*(node(f"node-{zone}", f"zone-{zone}", **ALLOWED) for zone in "abc"))
    real_stores.space(process)
    password = real_stores.begin_mysql(process, "mysql", 2)
    for name, user in ACCOUNTS.items():
        real_stores.secret(process, name, username=user, password=password)
    for number in range(2):
        execute(process, f"mysql-{number}", "GRANT REPLICA MONITOR ON *.* TO 'replication'@'%'")
    real_stores.secret(process, "cache", password=PASSWORD)
    real_stores.secret(process, "wrong", password="of another")
    real_stores.begin_redis(process, "redis", 2)
    told(process, "redis-1", f"REPLICAOF {address_of(process, 'redis-0')} 6379")
    process.until(lambda: "state=online" in told(process, "redis-0", "INFO replication"), "redis-1 follows", 20)
    yield process
    process.reset()

    assert process.messages() == ""


def roles(cluster: Standin, account: str = "writing", redis: str = "", secret: str = "cache") -> dict[str, str]:
    """What all servers say, by the names of their pods."""
    access = Access(Place("staging", "standin", (DB,), str(cluster.kubeconfig)))
    cache = ClusterRedis(service=f"{DB}/{redis}", secret=f"{DB}/{secret}") if redis else None
    servers = Servers(access, ClusterMysql(service=f"{DB}/mysql", secret=f"{DB}/{account}"), cache)
    try:
        found = survey.take(access, ask=servers.roles).roles
    finally:
        servers.end()
    return {name.partition("/")[2]: role for name, role in found.items()}


def execute(cluster: Standin, name: str, *statements: str) -> None:
    """As root of a server's machine."""
    with sessions.connect(cluster.folder / "volumes" / f"{DB}_data-{name}" / "data") as session:
        sessions.execute(session, statements)


@pytest.mark.parametrize("account", ACCOUNTS)
def test_the_one_that_takes_writes_leads(stores: Standin, account: str) -> None:
    assert {"mysql-0": PRIMARY, "mysql-1": REPLICA} == roles(stores, account)


def test_one_that_takes_writes_and_follows_another_is_a_replica_where_the_account_may_know(stores: Standin) -> None:
    follow = f"CHANGE MASTER TO MASTER_HOST='{address_of(stores, 'mysql-0')}', MASTER_USER='nobody'"
    execute(stores, "mysql-1", follow, "START SLAVE", "SET GLOBAL read_only = 0")
    known, unknown = roles(stores, "knowing"), roles(stores, "writing")
    execute(stores, "mysql-1", "STOP SLAVE")
    stopped = roles(stores, "knowing")
    execute(stores, "mysql-1", "RESET SLAVE ALL", "SET GLOBAL read_only = 1")

    assert {"mysql-0": PRIMARY, "mysql-1": REPLICA} == known
    assert {"mysql-0": UNCLEAR, "mysql-1": UNCLEAR} == unknown
    assert {"mysql-0": PRIMARY, "mysql-1": PRIMARY} == stopped


def test_a_service_that_leads_to_replicas_too_is_no_way_to_a_master(stores: Standin) -> None:
    with pytest.raises(Refused, match=r"leads to .*/redis-1 too, and the master is .*/redis-0"):
        roles(stores, redis="redis")


def test_masters_and_replicas_of_redis_say_what_they_are(stores: Standin) -> None:
    where = {name: (address_of(stores, name), 6379) for name in ("redis-0", "redis-1")}
    access = Access(Place("staging", "standin", (DB,), str(stores.kubeconfig)))
    pods = survey.pods(access, [DB])
    found = asking.redis({f"{DB}/{name}": one for name, one in where.items()}, pods, asking.Manner(password=PASSWORD))

    assert {f"{DB}/redis-0": MASTER, f"{DB}/redis-1": SLAVE} == {name: one.role for name, one in found.items()}
    assert [(1, False), (0, False)] == [(one.replicas, one.clustered) for one in found.values()]


def test_who_is_not_let_in_is_told(stores: Standin) -> None:
    with pytest.raises(Refused, match=r"none of 2 servers of Redis behind .*/redis answers and lets us in"):
        roles(stores, redis="redis", secret="wrong")


def test_a_server_that_does_not_answer_is_left_out(stores: Standin) -> None:
    access = Access(Place("staging", "standin", (DB,), str(stores.kubeconfig)))
    pods = survey.pods(access, [DB])
    where = {f"{DB}/redis-0": (address_of(stores, "redis-0"), 1)}

    assert {} == asking.redis(where, pods, asking.Manner(password=PASSWORD))


@pytest.mark.parametrize(
    ("asker", "passes_on"),
    [
        ("10.1.2.3", True),
        ("10-1-2-3.web.app.svc.cluster.local", True),
        ("ip-10-1-2-3.ec2.internal", True),
        ("10.1.2.30", False),
        ("110.1.2.3", False),
        ("127.0.0.1", False),
        ("localhost", False),
    ],
)
def test_a_pod_that_asks_the_server_itself_only_passes_on(asker: str, passes_on: bool) -> None:
    pod = Pod("app", "web-0", "uid", "node", True, False, "StatefulSet/web", "web", {}, address="10.1.2.3")

    assert passes_on == asking._is_at(asker, pod)
