"""An experiment on a lab with a planted weakness must not pass, and must say what it found."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest
from stages import wait_until
from trials import Trials, component, no_inject, weakened

from ftchaos.actions import service
from ftchaos.platforms.lab import balancer, redis, settling
from ftchaos.platforms.lab.decisions import Folder
from ftchaos.platforms.lab.lab import Lab

NEVER_S = 5.0  # how long to wait after the heal for workers that hang on


def reasons(result: object) -> str:
    return "\n".join(result.evidence.reasons)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("name", "fault"),
    [("zone-outage", "fail_zone"), ("redis-master-kill", "fail_redis_masters"), ("worker-kill", "kill_instance")],
)
def test_a_fault_that_does_not_bite_is_inconclusive(
    name: str, fault: str, trials: Trials, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_inject(monkeypatch, fault)
    result = trials.run(name)

    assert result.evidence.verdict == "inconclusive"
    assert "the fault was never seen" in reasons(result)
    trials.ensure_whole(result)


def test_without_the_failover_manager_the_killed_primary_fails_the_experiment(
    trials: Trials, monkeypatch: pytest.MonkeyPatch
) -> None:
    def pause(lab: Lab) -> None:
        assert Folder.of(lab.folder).pause()

    weakened(monkeypatch, "fail_mysql_primary", pause, lambda lab: Folder.of(lab.folder).resume(), before=True)
    result = trials.run("mysql-primary-kill", warm_timeout="6s", rto="5s")

    assert result.evidence.verdict == "failed"
    assert "The service was not restored within the RTO of 5 s." in reasons(result)
    assert component(result, "database").restored_at is None
    trials.ensure_whole(result)


def test_asynchronous_replication_where_none_is_promised_loses_acknowledged_writes(trials: Trials) -> None:
    result = trials.run("mysql-primary-kill", manner="lag", durability="weaker")

    assert result.evidence.verdict == "failed"
    assert "acknowledged writes of mysql were lost, where none is promised" in reasons(result)
    assert (result.evidence.data.lost or 0) > 10
    trials.ensure_whole(result)


def test_workers_that_hang_after_the_failover_of_their_queue_fail_the_experiment(
    trials: Trials, monkeypatch: pytest.MonkeyPatch
) -> None:
    workers = [f"worker-{letter}" for letter in "abc"]

    def send(lab: Lab, number: signal.Signals) -> None:
        for worker in workers:
            lab.call("kill_service", name=worker, signal=int(number))

    monkeypatch.setattr(service, "SETTLE_TIMEOUT_S", NEVER_S)
    weakened(monkeypatch, "fail_queue_master", lambda lab: send(lab, signal.SIGSTOP), lambda lab: None)
    result = trials.run("redis-sentinel-master-kill", warm_timeout="8s")
    send(trials.lab, signal.SIGCONT)

    assert result.evidence.verdict == "failed"
    assert component(result, "queue").restored_at is None
    assert result.evidence.jobs is not None
    assert result.evidence.jobs.pending > 0
    assert "acknowledged uploads was not done" in reasons(result)
    trials.ensure_whole(result)


def test_a_replica_beside_its_master_makes_the_loss_of_their_zone_fatal(trials: Trials) -> None:
    layout = trials.lab.layout
    nodes = {node.name: node for node in redis.cluster_nodes(layout)}
    settling.wait_cluster(trials.lab, 60)  # with each shard led by the master that it had at first
    # The replica of shard a goes to where its master is, that of shard c to where that one was.
    _replicate(trials.lab, "redis-cluster-a2", nodes["redis-cluster-a1"].node_id)
    _replicate(trials.lab, "redis-cluster-b2", nodes["redis-cluster-c1"].node_id)
    result = trials.run("zone-outage", zone="zone-a", warm_timeout="10s")
    _replicate(trials.lab, "redis-cluster-a2", nodes["redis-cluster-c1"].node_id)
    _replicate(trials.lab, "redis-cluster-b2", nodes["redis-cluster-a1"].node_id)

    assert result.evidence.verdict != "passed"
    assert (component(result, "cache-a").writable_at, component(result, "cache-a").restored_at) == (None, None)


def test_a_single_target_behind_the_balancer_fails_the_experiment(
    trials: Trials, monkeypatch: pytest.MonkeyPatch
) -> None:
    def set_others(lab: Lab, state: str) -> None:
        balancer.command(lab.folder, *(f"set server api/api-{letter} state {state}" for letter in "bc"))

    weakened(monkeypatch, "lose_target", lambda lab: set_others(lab, "maint"), lambda lab: set_others(lab, "ready"))
    result = trials.run("load-balancer-target-loss", warm_timeout="8s")

    assert result.evidence.verdict == "failed"
    assert component(result, "api").restored_at is None
    trials.ensure_whole(result)


def _replicate(lab: Lab, name: str, master: str) -> None:
    """Let one node of the cluster follow another master."""
    node = next(one for one in redis.cluster_nodes(lab.layout) if one.name == name)
    code = "import sys; from ftchaos.platforms.lab import redis; print(redis.ask(*sys.argv[1:3], sys.argv[3]))"
    argv = [sys.executable, "-c", code, node.address, str(node.port)]

    def obeyed() -> bool:
        done = subprocess.run(
            lab.client_argv([*argv, f"CLUSTER REPLICATE {master}"]), capture_output=True, text=True, check=True
        )
        return "+OK" in done.stdout

    assert wait_until(obeyed, timeout_s=60)
