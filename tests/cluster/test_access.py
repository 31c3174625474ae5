"""The way to an API server as a pod: its account over TLS and the zone of its node; and which calls have failed."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml
from cluster import encrypted
from cluster.standin.server import Standin
from cluster.standin.staging import API, SPACES, Staging
from kubernetes.config import incluster_config

from ftchaos.errors import Invalid, Refused
from ftchaos.platforms.kubernetes import faults, survey
from ftchaos.platforms.kubernetes.access import Access, ApiFailed, Unanswered
from ftchaos.platforms.kubernetes.place import IN_CLUSTER, OWN_NODE, Place

PLACE = Place("staging", IN_CLUSTER, SPACES)
HERE, OTHER = "us-east-1a", "us-east-1b"


@pytest.fixture
def mounted(staged: Staging, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder that a pod finds its account in, which may do anything, and the variables beside it."""
    for kind in ("Node", "Namespace"):
        for one in staged.cluster.all("v1", kind):
            path = staged.cluster.path({"apiVersion": "v1", "kind": kind, "metadata": one["metadata"]})
            staged.cluster.request("PATCH", path, {"metadata": {"labels": {"ftchaos": "allowed"}}})
    (tmp_path / "token").write_text(_token(staged.cluster.kubeconfig))
    with encrypted.front(staged.cluster.endpoint, tmp_path) as front:
        (tmp_path / "ca.crt").write_bytes(front.ca.read_bytes())
        where = urlsplit(front.url)
        monkeypatch.setenv("KUBERNETES_SERVICE_HOST", str(where.hostname))
        monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(where.port))
        monkeypatch.setattr(incluster_config, "SERVICE_TOKEN_FILENAME", str(tmp_path / "token"))
        monkeypatch.setattr(incluster_config, "SERVICE_CERT_FILENAME", str(tmp_path / "ca.crt"))
        yield tmp_path


def _token(kubeconfig: Path) -> str:
    return str(yaml.safe_load(kubeconfig.read_text())["users"][0]["user"]["token"])


def _node_in(staged: Staging, zone: str) -> str:
    return staged.nodes[zone][0]


def test_a_pod_harms_another_zone_than_its_own(staged: Staging, mounted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(OWN_NODE, _node_in(staged, HERE))
    found = survey.take(Access(PLACE))
    other = faults.find("fail_zone").plan(found, OTHER, "outage")

    assert HERE == found.client_zone
    assert other.targets
    with pytest.raises(Refused, match=f"the clients of this run are in {HERE}"):
        faults.find("fail_zone").plan(found, HERE, "outage")


@pytest.mark.parametrize("node", ["", "no-node-of-this-cluster"])
def test_a_pod_that_does_not_know_its_zone_harms_none(
    mounted: Path, monkeypatch: pytest.MonkeyPatch, node: str
) -> None:
    monkeypatch.setenv(OWN_NODE, node)

    with pytest.raises(Refused, match="nobody knows in which zone") as refusal:
        faults.find("fail_zone").plan(survey.take(Access(PLACE)), OTHER, "outage")
    assert OWN_NODE in refusal.value.hint


def test_a_configured_zone_goes_before_that_of_the_node(
    staged: Staging, mounted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(OWN_NODE, _node_in(staged, HERE))

    assert OTHER == survey.take(Access(PLACE), client_zone=OTHER).client_zone


def test_a_variable_of_a_node_means_nothing_outside_of_a_cluster(
    staged: Staging, mounted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(OWN_NODE, _node_in(staged, HERE))
    outside = Access(Place("staging", "standin", SPACES, str(staged.cluster.kubeconfig)))

    assert "" == survey.take(outside).client_zone


def test_a_token_that_the_kubelet_replaced_is_read_again(
    cluster: Standin, mounted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    access = Access(PLACE)
    access.ensure_right_place()
    (mounted / "token").write_text(_token(cluster.read_only()))
    still = access.call("create", "selfsubjectaccessreviews", body=_may_delete_pods())["status"]["allowed"]

    class Later(datetime.datetime):
        @classmethod
        def now(cls, tz: datetime.tzinfo | None = None) -> Later:
            return super().now(tz) + datetime.timedelta(minutes=2)

    monkeypatch.setattr(incluster_config.datetime, "datetime", Later)
    later = access.call("create", "selfsubjectaccessreviews", body=_may_delete_pods())["status"]["allowed"]

    assert (True, False) == (still, later)


def _may_delete_pods() -> dict[str, object]:
    about = {"verb": "delete", "resource": "pods", "namespace": API}
    return {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": about}}  # fmt: skip


def test_a_server_with_another_certificate_is_told_nothing(
    cluster: Standin, mounted: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with encrypted.front(cluster.endpoint, tmp_path_factory.mktemp("other")) as other:
        (mounted / "ca.crt").write_bytes(other.ca.read_bytes())
        cluster.clear()

        with pytest.raises(Unanswered, match="certificate verify failed") as failure:
            Access(PLACE).ensure_right_place()
    assert "check the certificate authority of the context" == failure.value.hint
    assert [] == cluster.requests()


def test_a_process_outside_of_a_cluster_has_no_account_of_a_pod(mounted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST")

    with pytest.raises(Invalid, match="Service host/port is not set"):
        Access(PLACE)


def test_an_answer_that_something_is_not_there_is_no_failed_call(cluster: Standin) -> None:
    access = Access(Place("staging", "standin", ("default",), str(cluster.kubeconfig)))
    absent = access.get("configmaps", "default", "nothing")
    with pytest.raises(ApiFailed, match="NotFound"):
        access.call("delete", "pods", "default", "nothing")
    said = [(one.verb, one.status, one.error) for one in access.calls[1:]]

    assert absent is None
    assert [("get", 404, ""), ("delete", 404, "NotFound")] == said
