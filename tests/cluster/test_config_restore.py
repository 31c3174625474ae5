"""Namespaces are lost and come back; what does not is found, told and put back."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from cluster import velero
from cluster.configured import SECRET, Obj, Place, application, drop, level, more, told
from cluster.velero import Velero

from ftchaos import planning
from ftchaos.actions import configuration
from ftchaos.platforms.kubernetes import sight

SEEN = sight.namespace("app")


def test_namespace_is_lost_comes_back_from_its_manifests_and_is_as_it_was(place: Place) -> None:
    before, uid = place.state(), place.uid()
    found = place.run()

    assert ("passed", []) == (found.verdict, found.reasons)
    assert uid != place.uid()
    assert before == place.state()
    assert found.witness.proven
    assert [("namespace app", "there"), ("namespace app", "it is not there"), ("namespace app", "there")] == [
        (one.target, one.saw) for one in found.witness.observations
    ]
    assert found.recovery.recovery_time_s
    assert ["lose", "fetch", "provision", "create", "become ready"] == [one.name for one in found.recovery.phases]
    assert [] == found.undo.differences
    assert "all workloads were as ready as before" in found.summary
    assert [] == list((place.folder / "state" / "runs").glob("*"))
    secret = SECRET.encode()
    assert not [one for one in (place.folder / "reports").rglob("*") if one.is_file() and secret in one.read_bytes()]
    assert_tells_of_a_configuration(place, "kept in the manifests in deploy")


def test_loss_that_the_witness_does_not_see_concludes_nothing_and_is_healed(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sight, "namespace", lambda _: {**SEEN, "name": "default"})
    monkeypatch.setattr(configuration, "PROOF_TIMEOUT_S", 0.2)
    before = place.state()
    found = place.run()

    assert ("inconclusive", False) == (found.verdict, found.witness.proven)
    assert "the loss was never seen: namespace app from outside" in told(found)
    assert "The comparison with what was there before did not complete." in found.reasons
    assert before == place.state()
    assert_tells_of_a_configuration(place, "Nothing was restored", "Calls to the API of the cluster")


def assert_tells_of_a_configuration(place: Place, *words: str) -> None:
    """The pages of the newest run, for people and for tickets, have these words and none of databases."""
    folder = max((place.folder / "reports").glob("*-config-restore-*"))
    pages = [(folder / name).read_text() for name in ("report.html", "report.md")]
    shown = [pages[0].partition("</style>")[2], pages[1]]
    of_databases = (
        "data loss",
        "RPO",
        "backup age",
        "restored data",
        "public address",
        "writes",
        "replay",
        "the service",
        "durability",
        "mysql_flavour",
    )

    assert [] == [one for page in shown for one in of_databases if one in page]
    assert [] == [one for one in words if one not in pages[1]]


PLANTED: dict[str, tuple[Callable[[list[Obj]], None], str, str]] = {
    "an object less": (drop("NetworkPolicy"), "NetworkPolicy app/api: is not there any more", "create networkpolicies"),
    "a budget less": (
        drop("PodDisruptionBudget"), "PodDisruptionBudget app/api: is not there any more",
        "create poddisruptionbudgets",
    ),
    "a changed ConfigMap": (level, "ConfigMap app/api: data.LEVEL is 'debug', and was 'info'", "update configmaps"),
    "a Secret less": (
        drop("Secret"), "Secret app/api: is not there any more: the configuration alone does not", "create secrets",
    ),
    "an object more": (more, "ConfigMap app/more: is there, and was not before", "delete configmaps"),
    "labels of the namespace": (
        drop("Namespace"), "metadata.labels.team is not there, and was 'files'", "patch namespaces",
    ),
}  # fmt: skip
"""What is done to the manifests, how it is told, and the call of the heal, which the drill itself does not make."""


@pytest.mark.parametrize("which", PLANTED)
def test_whatever_does_not_come_back_as_it_was_is_named_fails_the_drill_and_is_put_back(
    which: str, place: Place
) -> None:
    change, words, healing = PLANTED[which]
    whole = application()
    change(whole)
    place.write(whole)
    before = place.state()
    found = place.run()

    assert (1, "failed") == (found.exit_code, found.verdict), told(found)
    assert words in told(found)
    assert before == place.state()
    assert [] == found.undo.differences
    assert found.calls is not None
    assert f"kubernetes:{healing}" in {one.name for one in found.calls.operations}
    assert SECRET not in found.model_dump_json()


def _without_replicas(place: Place, least: int, before: int) -> None:
    """Manifests that leave them to the autoscaler, of which there are some more now."""
    whole = application()
    for one in whole:
        if one["kind"] == "HorizontalPodAutoscaler":
            one["spec"]["minReplicas"] = least
            place.cluster.request("PATCH", place.cluster.path(one), {"spec": one["spec"]})
        if one["kind"] == "Deployment":
            place.cluster.request("PATCH", place.cluster.path(one), {"spec": {"replicas": before}})
            del one["spec"]["replicas"]
    place.cluster.until(place.is_ready, "the replicas")
    place.write(whole)


def test_recovery_does_not_end_with_fewer_pods_than_the_autoscaler_has_at_the_least(place: Place) -> None:
    _without_replicas(place, least=3, before=4)
    place.cluster.settings(autoscale_s=1e6)
    before = place.state()
    found = place.run(warm_timeout="1s")

    assert "failed" == found.verdict
    assert "Deployment app/api has 1 of 3 ready" in found.model_dump_json()
    assert before == place.state()


def test_recovery_ends_once_the_autoscaler_has_looked_and_its_pods_are_ready(place: Place) -> None:
    _without_replicas(place, least=3, before=4)
    before = place.state()
    found = place.run()

    assert "passed" == found.verdict, told(found)
    assert "Deployment app/api has 3 ready, 4 before, as its autoscaler wants" in found.model_dump_json()
    assert before == place.state()


def test_preview_names_what_would_be_lost_and_made_and_touches_nothing(place: Place) -> None:
    whole = application()
    drop("Secret")(whole)
    place.write(whole)
    place.cluster.clear()
    preview = planning.preview(place.plan())

    assert "namespace app with 14 objects" in preview["targets"][0]
    assert "Secret app/api" in " ".join(preview["makes"])
    assert "drift of 1 before the loss" in " ".join(preview["makes"])
    assert {"selfsubjectaccessreviews"} == {one["resource"] for one in place.cluster.requests(writes=True)}


def test_namespace_comes_back_from_a_git_repository(place: Place) -> None:
    place.commit()
    place.config(git={"repository": ".", "folder": "deploy"})
    before = place.state()
    found = place.run(method="git")

    assert "passed" == found.verdict, told(found)
    assert found.backup is not None
    assert 40 == len(found.backup.id or "")
    assert before == place.state()


def test_namespace_comes_back_from_a_backup_of_velero(place: Place) -> None:
    place.config()
    before = place.state()
    with Velero(place.cluster, application()):
        found = place.run()

    assert "passed" == found.verdict, told(found)
    assert found.backup is not None
    assert (velero.NAME, "velero", velero.TAKEN_AT) == (found.backup.id, found.backup.method, found.backup.taken_at)
    assert before == velero.unlabelled(place.state())
    assert [] == place.cluster.all("velero.io/v1", "Restore")
    assert_tells_of_a_configuration(place, f"kept in the Velero backup {velero.NAME}")


def test_what_velero_does_not_bring_back_is_found_and_what_it_brought_is_removed(place: Place) -> None:
    place.config()
    backup = application()
    drop("NetworkPolicy")(backup)
    more(backup)
    before = place.state()
    with Velero(place.cluster, backup):
        found = place.run()
    reasons = told(found)

    assert "failed" == found.verdict
    assert "NetworkPolicy app/api: is not there any more" in reasons
    assert "ConfigMap app/more: is there, and was not before" in reasons
    assert before == velero.unlabelled(place.state())
    assert_tells_of_a_configuration(place, "2 objects are not as before")


def test_restore_of_velero_that_fails_concludes_nothing_and_all_is_put_back(place: Place) -> None:
    place.config()
    before = place.state()
    with Velero(place.cluster, application(), {"phase": "Failed", "failureReason": "no such bucket"}):
        found = place.run()

    assert "inconclusive" == found.verdict
    assert "Velero: Failed, 0 warnings, 0 errors no such bucket" in told(found)
    assert before == velero.unlabelled(place.state())
    assert [] == place.cluster.all("velero.io/v1", "Restore")
