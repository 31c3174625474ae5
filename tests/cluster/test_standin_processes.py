"""The stand-in's pods that are processes: they are begun again, asked to stop, scaled, and served as real ones are."""

from __future__ import annotations

import json
import os
import signal
import socket
import struct
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cluster import encrypted
from cluster.manifests import node, service, workload
from cluster.standin.server import Standin

from ftchaos.platforms.kubernetes import forward
from ftchaos.platforms.kubernetes.access import Place
from ftchaos.process import alive

SPACE = "default"
SERVES = (
    "import socket, sys\n"
    "near = socket.create_server((sys.argv[1], int(sys.argv[2])))\n"
    "while True:\n"
    "    far, _ = near.accept(); far.sendall(b'here'); far.close()\n"
)
LISTENS = (
    "import pathlib, socket, sys\n"
    "near = socket.create_server((sys.argv[1], int(sys.argv[2])))\n"
    "while True:\n"
    "    far, _ = near.accept()\n"
    "    if far.recv(10):\n"  # not of a probe
    "        far.sendall(b'here')\n"
    "        far.recv(1)\n"
    "        pathlib.Path(sys.argv[3]).touch()\n"
    "    far.close()\n"
)
RESETS = struct.pack("ii", 1, 0)
PROBE = {"tcpSocket": {"port": 8080}, "periodSeconds": 1, "failureThreshold": 1}


@pytest.fixture
def zones(cluster: Standin) -> Iterator[Standin]:
    """Three nodes; what ran on them is dead afterwards."""
    cluster.create(*(node(f"node-{zone}1", zone) for zone in "abc"))
    yield cluster
    cluster.reset()


def begin(cluster: Standin, argv: list[str], replicas: int = 1, *, probe: bool = False) -> None:
    """A Deployment ``app`` of processes, which are ready."""
    made = workload("Deployment", "app", replicas, annotations={"standin/run": json.dumps(argv)})
    if probe:
        made["spec"]["template"]["spec"]["containers"][0]["readinessProbe"] = PROBE
    cluster.create(made)
    await_ready(cluster, replicas)


def await_ready(cluster: Standin, replicas: int) -> None:
    def ready() -> bool:
        status = cluster.apps.read_namespaced_deployment("app", SPACE).status
        return (status.ready_replicas or 0, status.replicas or 0) == (replicas, replicas)

    cluster.until(ready, f"{replicas} are ready")


def shell(script: str, *words: object) -> list[str]:
    return ["sh", "-c", script, "sh", *map(str, words)]


def pods(cluster: Standin) -> list[Any]:
    return list(cluster.core.list_namespaced_pod(SPACE, label_selector="app=app").items)


def pid_of(cluster: Standin, pod: Any) -> int:
    return int(cluster.command("process", namespace=SPACE, name=pod.metadata.name))


def test_a_process_that_crashed_is_begun_again_and_counted(zones: Standin) -> None:
    begin(zones, shell("exec sleep 1000"))
    (pod,) = pods(zones)
    before = pid_of(zones, pod)
    os.kill(before, signal.SIGKILL)
    zones.until(lambda: pid_of(zones, pod) not in (0, before), "another one runs")
    zones.until(lambda: pods(zones)[0].status.container_statuses[0].restart_count == 1, "it is counted")

    assert 0 == pod.status.container_statuses[0].restart_count
    assert [pod.metadata.uid] == [one.metadata.uid for one in pods(zones)]


def test_a_process_is_asked_to_stop_and_killed_when_its_grace_is_over(zones: Standin, tmp_path: Path) -> None:
    asked = tmp_path / "asked"
    begin(zones, shell('trap "date +%s > $1" TERM; echo > "$1.ready"; while :; do sleep 0.05; done', asked))
    zones.until(Path(f"{asked}.ready").exists, "it listens to signals")
    (pod,) = pods(zones)
    pid, begun_at = pid_of(zones, pod), time.monotonic()
    zones.core.delete_namespaced_pod(pod.metadata.name, SPACE, grace_period_seconds=4)
    zones.until(asked.exists, "it was asked")
    stayed = alive(pid)
    zones.until(lambda: not alive(pid), "it is killed")

    assert stayed
    assert time.monotonic() - begun_at >= 4
    zones.until(lambda: pod.metadata.name not in {one.metadata.name for one in pods(zones)}, "its pod is gone")


def test_without_grace_a_process_is_not_asked(zones: Standin, tmp_path: Path) -> None:
    asked = tmp_path / "asked"
    begin(zones, shell('trap "echo > $1" TERM; echo > "$1.ready"; while :; do sleep 0.05; done', asked))
    zones.until(Path(f"{asked}.ready").exists, "it listens to signals")
    (pod,) = pods(zones)
    pid = pid_of(zones, pod)
    zones.core.delete_namespaced_pod(pod.metadata.name, SPACE, grace_period_seconds=0)
    zones.until(lambda: not alive(pid), "it is killed")

    assert not asked.exists()


def test_an_emptydir_goes_with_its_pod_and_outlives_its_process(zones: Standin, tmp_path: Path) -> None:
    begin(zones, shell('echo "$1" >> "$2"; echo x >> lines; exec sleep 1000', "{volume}", tmp_path / "volumes"))
    (pod,) = pods(zones)
    volume = Path((tmp_path / "volumes").read_text().strip())
    os.kill(pid_of(zones, pod), signal.SIGKILL)
    zones.until(lambda: (volume / "lines").read_text() == "x\nx\n", "the next process has the same")
    zones.core.delete_namespaced_pod(pod.metadata.name, SPACE, grace_period_seconds=0)
    zones.until(lambda: not volume.exists(), "it is gone")
    zones.until(lambda: len((tmp_path / "volumes").read_text().splitlines()) == 3, "another pod is there")
    another = Path((tmp_path / "volumes").read_text().splitlines()[-1])
    zones.until(lambda: (another / "lines").exists(), "it has written")

    assert another != volume
    assert "x\n" == (another / "lines").read_text()


def said(address: tuple[str, int]) -> str:
    """What is answered there: ``here``, ``refused``, or nothing where a connection came to nothing."""
    try:
        with socket.create_connection(address, 5) as connection:
            return connection.recv(10).decode()
    except ConnectionRefusedError:
        return "refused"
    except OSError:
        return ""


def test_a_service_refuses_when_nobody_is_behind_it_and_leads_to_who_is_scaled_up(zones: Standin) -> None:
    made = service("app", 8080)
    made["metadata"]["annotations"] = {"standin/serve": "yes"}
    (found,) = zones.create(made)
    address = (found["spec"]["clusterIP"], 8080)
    before = said(address)
    begin(zones, [sys.executable, "-S", "-E", "-c", SERVES, "{address}", "{port}"], probe=True)
    zones.until(lambda: said(address) == "here", "it answers")
    zones.apps.patch_namespaced_deployment_scale("app", SPACE, {"spec": {"replicas": 3}})
    await_ready(zones, 3)
    pids = {pid_of(zones, one) for one in pods(zones)}
    zones.apps.patch_namespaced_deployment_scale("app", SPACE, {"spec": {"replicas": 0}})
    zones.until(lambda: not any(map(alive, pids)), "all of them are dead")
    zones.until(lambda: said(address) == "refused", "nobody is behind it")

    assert "refused" == before
    assert 3 == len(pids - {0})


def test_a_server_hears_of_a_client_that_died_and_had_not_read_its_answer(zones: Standin, tmp_path: Path) -> None:
    # Or a database would keep the transaction of a dead worker, and the rows that it locked.
    heard = tmp_path / "heard"
    made = service("app", 8080)
    made["metadata"]["annotations"] = {"standin/serve": "yes"}
    (found,) = zones.create(made)
    begin(zones, [sys.executable, "-S", "-E", "-c", LISTENS, "{address}", "{port}", str(heard)], probe=True)
    with socket.create_connection((found["spec"]["clusterIP"], 8080), 5) as client:
        client.sendall(b"asked")
        assert b"h" == client.recv(1)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESETS)
    zones.until(heard.exists, "the server has heard of it")


@pytest.mark.parametrize("proxied", [False, True])
def test_a_port_is_forwarded_through_tls_and_a_proxy(
    zones: Standin, tmp_path: Path, proxied: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")  # which is for the proxies that variables name
    zones.create(service("app", 8080))
    begin(zones, [sys.executable, "-S", "-E", "-c", SERVES, "{address}", "{port}"], probe=True)
    with encrypted.front(zones.endpoint, tmp_path) as before:
        leads = before.kubeconfig(zones.kubeconfig, tmp_path / "kubeconfig", proxied=proxied)
        forwards = forward.begin(Place("staging", "standin", (SPACE,), str(leads)), {"app": (SPACE, "app", 8080)})
        try:
            zones.clear()
            answer = said(forwards.address("app"))
        finally:
            forwards.end()

    assert "here" == answer
    assert "pods/portforward" in {f"{one['resource']}/{one['subresource']}" for one in zones.requests()}
    assert proxied == bool(before.tunnels)
    assert set(before.tunnels) <= {before.url.removeprefix("https://")}
