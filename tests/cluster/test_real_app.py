"""The real application in the stand-in: what clients see when pods die, and what remains."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator

import aiohttp
import pymysql
import pytest
from app_stack import upload
from cluster import real_app
from cluster.real_app import API, DB, RealApp
from cluster.standin.server import Standin

from ftchaos.process import alive

KEYS = itertools.count(1)


@pytest.fixture(scope="module")
def app(process: Standin, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealApp]:
    process.reset()
    with real_app.begin(process, tmp_path_factory.mktemp("outside")) as made:
        yield made

    assert process.messages() == ""


def uploads(app: RealApp, count: int) -> list[int]:
    """The statuses of some uploads, each over a connection of its own; 0 where none came."""

    async def send() -> list[int]:
        found = []
        for _ in range(count):
            async with aiohttp.ClientSession() as session:
                found.append((await upload(session, app.public_url, next(KEYS)))[0])
        return found

    return asyncio.run(send())


def stored(app: RealApp) -> int:
    with (
        pymysql.connect(
            host=app.mysql[0], port=app.mysql[1], user="app", password=app.password, database="filetransfer"
        ) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute("SELECT COUNT(*) FROM files")
        return int(cursor.fetchall()[0][0])


def reached(app: RealApp) -> bool:
    """Whether MySQL answers at its address."""
    try:
        stored(app)
    except pymysql.OperationalError:
        return False
    return True


def delete(app: RealApp, pod: object) -> None:
    metadata = pod.metadata  # type: ignore[attr-defined]
    app.cluster.core.delete_namespaced_pod(metadata.name, metadata.namespace, grace_period_seconds=0)


def test_uploads_through_the_public_address_are_stored(app: RealApp) -> None:
    before = stored(app)

    assert [201] * 10 == uploads(app, 10)
    assert before + 10 == stored(app)


def test_a_pod_deleted_without_grace_is_dead_at_once_and_its_replacement_serves(app: RealApp) -> None:
    pod = app.ready(API, "api")[0]
    pid = app.process_of(pod)
    delete(app, pod)
    app.cluster.until(lambda: not alive(pid), "its process is dead")
    meanwhile = uploads(app, 10)
    app.cluster.until(lambda: len(app.ready(API, "api")) == 3, "its replacement is ready")
    others = [one for one in app.ready(API, "api") if one.metadata.name != pod.metadata.name]

    assert [201] * 10 == meanwhile
    assert 3 == len(others)
    assert [201] * 10 == uploads(app, 10)


def test_mysql_comes_back_on_its_volume_with_its_data(app: RealApp) -> None:
    before = stored(app)
    (pod,) = app.ready(DB, "mysql")
    pid = app.process_of(pod)
    delete(app, pod)
    app.cluster.until(lambda: not alive(pid), "its process is dead")
    app.cluster.until(lambda: app.ready(DB, "mysql"), "MySQL is back")
    app.cluster.until(lambda: reached(app), "its service leads to it")
    after = stored(app)
    app.cluster.until(lambda: [201] * 3 == uploads(app, 3), "the application has found it")

    assert pod.metadata.uid != app.ready(DB, "mysql")[0].metadata.uid
    assert before == after
    assert [201] * 3 == uploads(app, 3)


def test_a_policy_cuts_real_pods_off_with_the_connections_that_they_have_and_others_not(app: RealApp) -> None:
    (mysql,) = app.ready(DB, "mysql")
    held = pymysql.connect(host=app.mysql[0], port=app.mysql[1], user="app", password=app.password)
    before = uploads(app, 3)
    apart = {"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": [API]}
    peers: list[dict[str, object]] = [
        {"namespaceSelector": {"matchExpressions": [apart]}},
        {"ipBlock": {"cidr": "0.0.0.0/0", "except": [f"{one.status.pod_ip}/32" for one in app.pods(API, "api")]}},
    ]
    rules = {"ingress": [{"from": peers}], "egress": [{"to": peers}]}
    spec = {"podSelector": {}, "policyTypes": ["Ingress", "Egress"], **rules}
    metadata = {"name": "apart", "namespace": DB}
    policy = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": metadata, "spec": spec}
    app.cluster.create(policy)
    app.cluster.until(lambda: not app.ready(API, "api"), "the API misses its database")
    during = uploads(app, 3)
    ready = app.ready(DB, "mysql")
    held.ping(reconnect=False)  # a client outside of the cluster goes on, over the connection that it has
    app.cluster.request("DELETE", app.cluster.path(policy))
    app.cluster.until(lambda: len(app.ready(API, "api")) == 3, "the API has it again")
    app.cluster.until(lambda: [201] * 3 == uploads(app, 3), "uploads are taken")
    held.close()

    assert [201] * 3 == before
    assert 201 not in during
    assert [mysql.metadata.uid] == [one.metadata.uid for one in ready]
