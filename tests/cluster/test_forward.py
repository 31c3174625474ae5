"""Port-forwards to the real MySQL in the stand-in: they follow a failover, and lead to no other cluster."""

from __future__ import annotations

import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pymysql
import pytest
from cluster import real_app
from cluster.real_app import API, DB, RealApp
from cluster.standin.server import Standin

from ftchaos.errors import Invalid, Refused
from ftchaos.platforms.kubernetes import calls, forward
from ftchaos.platforms.kubernetes.access import Place
from ftchaos.process import alive


@pytest.fixture(scope="module")
def app(process: Standin, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealApp]:
    process.reset()
    with real_app.begin(process, tmp_path_factory.mktemp("outside")) as made:
        yield made

    assert process.messages() == ""


@pytest.fixture(scope="module")
def forwards(app: RealApp) -> Iterator[forward.Forwards]:
    made = forward.begin(place(app), {"mysql": (DB, "mysql", 3306), "api": (API, "api", 8000)})
    yield made
    made.end()
    made.end()


def place(app: RealApp) -> Place:
    return Place("staging", "standin", (API, DB), str(app.kubeconfig))


def connect(app: RealApp, forwards: forward.Forwards) -> Any:
    host, port = forwards.address("mysql")
    return pymysql.connect(host=host, port=port, user="ftchaos", password=app.password, connect_timeout=10)


def asked(connection: Any, sql: str = "SELECT 1") -> Any:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchall()[0][0]


def connects(app: RealApp, forwards: forward.Forwards) -> bool:
    try:
        connect(app, forwards).close()
    except pymysql.MySQLError:
        return False
    return True


def test_mysql_answers_through_a_port_forward(app: RealApp, forwards: forward.Forwards) -> None:
    with connect(app, forwards) as connection:
        long = asked(connection, "SELECT REPEAT('x', 10000000)")

        assert 1 == asked(connection)
        assert 10_000_000 == len(long)


def test_a_named_port_of_the_api_answers_as_well(forwards: forward.Forwards) -> None:
    host, port = forwards.address("api")
    with urllib.request.urlopen(f"http://{host}:{port}/health", timeout=5) as answer:
        assert 200 == answer.status


def test_a_connection_ends_with_its_pod_and_the_next_reaches_the_replacement(
    app: RealApp, forwards: forward.Forwards
) -> None:
    connection = connect(app, forwards)
    (pod,) = app.ready(DB, "mysql")
    app.cluster.core.delete_namespaced_pod(pod.metadata.name, DB, grace_period_seconds=0)
    with pytest.raises(pymysql.MySQLError) as lost:
        asked(connection, "SELECT SLEEP(30)")
    app.cluster.until(lambda: connects(app, forwards), "the replacement answers")

    assert 2013 == lost.value.args[0]
    assert app.ready(DB, "mysql")[0].metadata.uid != pod.metadata.uid


def test_a_node_that_falls_silent_ends_the_connections_to_its_pods(app: RealApp, forwards: forward.Forwards) -> None:
    connection = connect(app, forwards)
    (pod,) = app.ready(DB, "mysql")
    app.cluster.kill_nodes(pod.spec.node_name)
    with pytest.raises(pymysql.MySQLError) as lost:
        asked(connection)
    app.cluster.revive_nodes(pod.spec.node_name)
    app.cluster.until(lambda: connects(app, forwards), "MySQL answers again")

    assert 2013 == lost.value.args[0]


def test_another_cluster_than_was_meant_is_refused(app: RealApp) -> None:
    with pytest.raises(Refused, match="leads to the cluster"):
        forward.begin(replace(place(app), cluster="another"), {"mysql": (DB, "mysql", 3306)})


def test_what_is_not_there_is_said(app: RealApp) -> None:
    with pytest.raises(Invalid, match="no service 'oracle'"):
        forward.begin(place(app), {"mysql": (DB, "oracle", 3306)})


def test_who_may_only_read_is_refused(app: RealApp) -> None:
    with pytest.raises(Refused, match="create pods/portforward in file-transfer-db is not allowed"):
        forward.begin(replace(place(app), kubeconfig=str(app.cluster.read_only())), {"mysql": (DB, "mysql", 3306)})


def test_it_dies_with_who_began_it(app: RealApp) -> None:
    program = (
        "import sys; from ftchaos.platforms.kubernetes import forward; from ftchaos.platforms.kubernetes.access"
        " import Place; made = forward.begin(Place('staging', 'standin', ('x',), sys.argv[1]),"
        f" {{'mysql': ({DB!r}, 'mysql', 3306)}}); print(made.process.pid, flush=True); sys.stdin.read()"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", program, str(app.kubeconfig)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        before = alive(pid)
        parent.kill()
    app.cluster.until(lambda: not alive(pid), "the port-forward is dead")

    assert before


def test_roles_allow_what_it_calls() -> None:
    made = {str(one) for one in calls.needed(calls.FORWARD, ["x"])}

    assert {"get pods/portforward in x", "create pods/portforward in x", "list pods in x", "list services in x"} <= made
