"""Whoever leads a database dies or is cut off: by the word of the servers, or by an operator's label."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

import pytest
from cluster.application import SPACE, build, hands, pods
from cluster.standin.server import Standin

from ftchaos.cloud import ClusterMysql
from ftchaos.errors import FtchaosError, Invalid, Refused
from ftchaos.platforms import heal
from ftchaos.platforms.base import Harm
from ftchaos.platforms.kubernetes import faults, survey
from ftchaos.platforms.kubernetes.access import Access, Place
from ftchaos.platforms.kubernetes.faults import settling
from ftchaos.platforms.kubernetes.inventory import Pod
from ftchaos.platforms.kubernetes.servers import Servers
from ftchaos.undo import Record

REDIS, MYSQL = "fail_redis_masters", "fail_mysql_primary"
LABELLED = {"mysql.oracle.com/cluster-role": "PRIMARY"}


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settling, "EVERY_S", 0.05)
    monkeypatch.setattr(settling, "SETTLED_S", 30.0)


@pytest.fixture
def app(cluster: Standin) -> Standin:
    build(cluster)
    return cluster


def reach(cluster: Standin) -> Access:
    return Access(Place("staging", "standin", (SPACE,), str(cluster.kubeconfig)))


def label(cluster: Standin, name: str, labels: Mapping[str, str]) -> None:
    cluster.request("PATCH", f"/api/v1/namespaces/{SPACE}/pods/{name}", {"metadata": {"labels": labels}})


def asked(every: Sequence[Pod]) -> dict[str, str]:
    """What servers say of which the first leads one database, and all of redis lead theirs."""
    found = {one.full_name: "redis-master" for one in every if one.name.startswith("redis")}
    return found | {f"{SPACE}/api-1-0": "mysql-primary", f"{SPACE}/api-1-1": "mysql-replica"}


def plan(access: Access, fault: str, **arguments: str) -> Harm:
    return faults.find(fault).plan(survey.take(access, ask=asked), **arguments)


def undo(harm: Harm, fault: str) -> str:
    return heal(Record(1, "kubernetes", f"fault:{fault}", json.loads(json.dumps(harm.undo)), harm.clause))


@pytest.mark.parametrize("manner", ["kill", "partition"])
@pytest.mark.parametrize("fault", [MYSQL, REDIS])
def test_whoever_leads_falls_and_all_is_as_before_after_a_heal_and_a_second_one(
    app: Standin, fault: str, manner: str
) -> None:
    derived = manner == "partition"
    before = app.objects(derived=derived)
    access = reach(app)
    harm = plan(access, fault, manner=manner)
    with hands(app):
        faults.ensure_allowed(access, harm)
        faults.find(fault).inject(access, harm)
        harmed = app.objects(derived=True)
        undo(harm, fault)
        undo(harm, fault)

    assert [f"{SPACE}/{'api-1-0' if fault == MYSQL else 'redis-0'}"] == [one.name for one in harm.targets]
    assert before != harmed
    assert before == app.objects(derived=derived)


@pytest.mark.parametrize("manner", ["kill", "partition"])
@pytest.mark.parametrize("effect", [False, True])
def test_death_at_each_write_is_healed(app: Standin, manner: str, effect: bool) -> None:
    before, number, died = app.objects(), 0, True
    while died:
        number += 1
        access = reach(app)
        harm = plan(access, REDIS, which="every-second", manner=manner)
        app.stop_at(number, effect=effect, hang_up=True, writes=True)
        with suppress(FtchaosError):
            faults.find(REDIS).inject(access, harm)
        died = app.stopped
        app.resume()
        with hands(app):
            undo(harm, REDIS)

        assert before == app.objects(), number

    assert number > 2


def test_masters_that_are_cut_off_do_not_reach_each_other(app: Standin) -> None:
    access = reach(app)
    harm = plan(access, REDIS, which="every-second", manner="partition")
    faults.find(REDIS).inject(access, harm)
    (policy,) = app.all("networking.k8s.io/v1", "NetworkPolicy", SPACE)
    spec = policy["spec"]

    assert ("the Redis Cluster", 2) == (harm.quorum_lost, len(harm.targets))
    assert (["Ingress", "Egress"], None, None) == (spec["policyTypes"], spec.get("ingress"), spec.get("egress"))


def test_label_of_an_operator_says_who_leads_and_the_servers_outrank_it(app: Standin) -> None:
    label(app, "redis-1", {"redis-role": "master", "role": "x"})
    access = reach(app)
    labelled = survey.take(access)
    by_label = faults.find(REDIS).plan(labelled)
    by_given = faults.find(REDIS).plan(labelled, label="role=x")
    by_word = plan(access, REDIS)
    names = [[one.name for one in harm.targets] for harm in (by_label, by_given, by_word)]

    assert [[f"{SPACE}/redis-1"], [f"{SPACE}/redis-1"], [f"{SPACE}/redis-0"]] == names
    assert [3, 3, 3] == [harm.targets[0].of for harm in (by_label, by_given, by_word)]


def test_nobody_who_leads_or_several_who_do_are_refused(app: Standin) -> None:
    nobody = survey.take(reach(app))
    for name in ("redis-0", "redis-1"):
        label(app, name, LABELLED)
    several = survey.take(reach(app))

    for fault in (MYSQL, REDIS):
        with pytest.raises(Refused, match="nobody is known to be"):
            faults.find(fault).plan(nobody)
    with pytest.raises(Refused, match="several lead MySQL"):
        faults.find(MYSQL).plan(several)
    with pytest.raises(Invalid, match="cannot fail in the manner 'polite'"):
        plan(reach(app), MYSQL, manner="polite")
    with pytest.raises(Invalid, match="is no label"):
        faults.find(MYSQL).plan(nobody, label="role")
    with pytest.raises(Invalid, match="is no master of Redis"):
        plan(reach(app), REDIS, which="redis-9")


def test_no_label_stands_in_for_servers_that_said_nobody_leads(app: Standin) -> None:
    label(app, "redis-0", LABELLED)
    unclear = survey.take(reach(app), ask=lambda _: {f"{SPACE}/redis-1": "mysql-unclear"})
    with pytest.raises(Refused, match="no ready pod is known to be mysql primary by the word of the servers"):
        faults.find(MYSQL).plan(unclear)


def test_a_master_that_clients_write_to_falls_first_and_no_other_one_does(app: Standin) -> None:
    known = survey.take(reach(app), ask=asked)
    written = replace(known, shards={f"{SPACE}/redis-2": "a", f"{SPACE}/redis-1": "b"})
    harm = faults.find(REDIS).plan(written)
    with pytest.raises(Invalid, match="clients of a run do not write to redis-0, so that no loss would be seen"):
        faults.find(REDIS).plan(written, which="redis-0")

    assert ([f"{SPACE}/redis-2"], ("cache-a", "websocket")) == ([one.name for one in harm.targets], harm.hits)


def test_pods_that_are_deleted_and_made_anew_leave_nothing_of_the_cut(app: Standin) -> None:
    access = reach(app)
    harm = plan(access, REDIS, manner="partition")
    faults.find(REDIS).inject(access, harm)
    app.core.delete_namespaced_pod("redis-0", SPACE, grace_period_seconds=0)
    with hands(app):
        undo(harm, REDIS)

    assert [] == app.all("networking.k8s.io/v1", "NetworkPolicy", SPACE)
    assert 3 == len(pods(app, "redis"))


@pytest.mark.parametrize("manner", ["outage", "partition"])
def test_a_zone_that_nobody_named_is_that_of_the_mysql_primary(app: Standin, manner: str) -> None:
    def leads(every: Sequence[Pod]) -> dict[str, str]:
        return {f"{SPACE}/redis-1": "mysql-primary", f"{SPACE}/redis-2": "mysql-replica"}

    found = survey.take(reach(app), ask=leads)
    harm = faults.find("fail_zone").plan(found, manner=manner)

    assert "b" == harm.undo["zone"]
    assert harm.clause.startswith(f"b, where the MySQL primary {SPACE}/redis-1 is, ")


def test_a_database_out_of_the_cluster_is_in_no_zone_and_no_pod_of_it_falls(app: Standin) -> None:
    spec = {"type": "ExternalName", "externalName": "db.example.com"}
    app.create({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "mysql", "namespace": SPACE}, "spec": spec})
    servers = Servers(reach(app), ClusterMysql(service=f"{SPACE}/mysql", secret=f"{SPACE}/account"), None)
    every = survey.take(reach(app)).pods

    assert {} == servers.mysql(every, needed=False)
    with pytest.raises(Invalid, match="selects no pods"):
        servers.mysql(every)


@pytest.mark.parametrize("leading", [[], ["redis-1", "redis-2"]])
def test_where_nobody_or_several_lead_the_clause_says_that_it_is_the_zone_with_most_pods(
    app: Standin, leading: list[str]
) -> None:
    found = survey.take(reach(app), ask=lambda every: {f"{SPACE}/{one}": "mysql-primary" for one in leading})

    assert faults.find("fail_zone").plan(found).clause.startswith("a, where most of the application's pods are, ")
    assert faults.find("fail_zone").plan(found, zone="c").clause.startswith("c lost its power")
