"""Folders as people and their tools write them: the doctor and the drill take the same, and run nothing again."""

from __future__ import annotations

from pathlib import Path

import pytest
from cluster import manifests
from cluster.configured import ALLOWED, SPACE, Obj, Place, application, drop, told

from ftchaos import planning
from ftchaos.config import load
from ftchaos.platforms.findings import Finding
from ftchaos.platforms.kubernetes import examination, policy
from ftchaos.platforms.kubernetes.configuration import objects


def drifted(place: Place) -> Finding:
    """What the doctor says of the manifests."""
    findings = examination.examine(load(place.folder / "ftchaos.yaml"), "staging", lambda _: None)
    return next(one for one in findings if one.claim == "as its manifests say")


def _unlabel(place: Place) -> None:
    """Only what the cluster and ftchaos need is on the namespace."""
    place.cluster.request("PATCH", f"/api/v1/namespaces/{SPACE}", {"metadata": {"labels": {"team": None}}})


def _as_helm_template(whole: list[Obj]) -> None:
    drop("Namespace")(whole)
    for one in whole:
        del one["metadata"]["namespace"]


def _without_tag(whole: list[Obj]) -> None:
    del whole[0]["metadata"]["labels"]


FOLDERS = {"of all kinds": lambda whole: None, "of a template": _as_helm_template, "without the tag": _without_tag}


@pytest.mark.parametrize("which", FOLDERS)
def test_one_folder_satisfies_the_doctor_and_the_drill(which: str, place: Place) -> None:
    whole = application()
    whole[0]["metadata"]["labels"] = dict(ALLOWED)
    _unlabel(place)
    for one in policy.documents("read", [SPACE]):
        place.cluster.create(one)
    FOLDERS[which](whole)
    place.write(whole)
    before, first = place.state(), drifted(place)
    found = place.run()

    assert ("met", "all of it") == (first.status, first.seen)
    assert "passed" == found.verdict, told(found)
    assert "drift" not in " ".join(planning.preview(place.plan())["makes"])
    assert before == place.state()
    assert "met" == drifted(place).status


def test_repository_is_what_the_doctor_compares_with_where_there_is_no_folder(place: Place) -> None:
    commit = place.commit()[:12]
    place.config(git={"repository": ".", "folder": "deploy"})
    first = drifted(place)
    more = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "by-hand", "namespace": SPACE}}
    place.cluster.create(more)
    second = drifted(place)
    place.config(git={"repository": "no-such-place", "folder": "deploy"})
    third = drifted(place)

    assert ("met", f"all of it, by the manifests of . at HEAD ({commit})") == (first.status, first.seen)
    assert "not met" == second.status
    assert f"ConfigMap app/by-hand: it is there and nowhere written, by the manifests of . at HEAD ({commit})" == (
        second.seen
    )
    assert "unknown" == third.status
    assert "git fetch failed" in third.seen


def test_kustomization_of_a_repository_is_told_by_its_place_in_it(place: Place) -> None:
    kustomization = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "metadata": {"name": "a"},
    }
    place.write([kustomization])
    place.commit()
    place.config(git={"repository": ".", "folder": "deploy"})
    found = drifted(place)

    assert "unknown" == found.status
    assert found.seen.startswith(
        "deploy/app.yaml is to be rendered first; in the repository, whose manifests are taken"
    )
    assert found.seen.endswith("kubectl kustomize deploy > rendered.yaml")


def _run(kind: str, name: str, hook: str = "") -> Obj:
    """What runs once."""
    notes = {"helm.sh/hook": hook} if hook else None
    metadata: Obj = {"name": name, "namespace": SPACE, **({"annotations": notes} if notes else {})}
    template = manifests.template(name, restartPolicy="Never")
    spec = template["spec"] if kind == "Pod" else {"template": template}
    return {"apiVersion": "v1" if kind == "Pod" else "batch/v1", "kind": kind, "metadata": metadata, "spec": spec}


def test_what_has_run_is_not_run_again(place: Place) -> None:
    migration = _run("Job", "migrate")
    place.cluster.create(migration)
    place.cluster.until(
        lambda: (place.cluster.all("batch/v1", "Job", SPACE)[0].get("status") or {}).get("conditions"), "its end"
    )
    hooks = [_run("Job", "before", "pre-upgrade"), _run("Pod", "connects", "test")]
    gone = _run("Job", "gone")
    gone["spec"]["ttlSecondsAfterFinished"] = 60
    place.write([*application(), migration, *hooks, gone])
    first, preview = drifted(place), planning.preview(place.plan())
    place.cluster.clear()
    found = place.run()

    assert ("met", "all of it") == (first.status, first.seen)
    assert "passed" == found.verdict, told(found)
    assert [] == [one for one in place.cluster.requests(writes=True) if one["resource"] in ("jobs", "pods")]
    assert [] == place.cluster.all("batch/v1", "Job", SPACE)
    said = " ".join(preview["makes"])
    assert "nothing of Job app/migrate (a Job, which would run again); Job app/before (a hook" in said
    assert "drift" not in said


NOTES = {"meta.helm.sh/release-name": "app", "argocd.argoproj.io/tracking-id": "app:apps/Deployment:app/api"}
RESTARTED = "kubectl.kubernetes.io/restartedAt"


def test_notes_of_tools_are_no_difference_and_are_given_back(place: Place) -> None:
    for one in application()[1:]:
        change: Obj = {"metadata": {"annotations": NOTES, "labels": {"app.kubernetes.io/managed-by": "Helm"}}}
        if one["kind"] == "Deployment":
            change["spec"] = {"template": {"metadata": {"annotations": {RESTARTED: "2026-11-29T03:00:00Z"}}}}
        place.cluster.request("PATCH", place.cluster.path(one), change)
    place.cluster.until(place.is_ready, "the restart")
    before = place.state()
    found = place.run()

    assert "passed" == found.verdict, told(found)
    template = next(one for name, one in before.items() if "/Deployment/" in name)["spec"]["template"]["metadata"]
    assert RESTARTED in template.pop("annotations")  # given back, it would restart them all
    assert before == place.state()


def test_what_lets_ftchaos_in_is_no_part_of_the_application_and_is_given_back(place: Place) -> None:
    for role in policy.documents("faults", [SPACE]):
        place.cluster.create(role, policy.binding(role, "chaos", "default"))
    before, looked = place.state(), drifted(place)
    found = place.run()

    assert ("met", "all of it") == (looked.status, looked.seen)
    assert "passed" == found.verdict, told(found)
    assert before == place.state()


def test_quota_that_is_not_counted_yet_is_waited_for(place: Place) -> None:
    said = 'deployments.apps "api" is forbidden: status unknown for quota: all, resources: count/deployments.apps'
    place.cluster.fail_next("Forbidden", "create", "deployments", 2, message=said)
    place.cluster.fail_next("Conflict", "create", "services", message="the object has been modified")
    before, found = place.state(), place.run()
    made = [one["resource"] for one in place.cluster.requests(writes=True) if one["verb"] == "create"]
    made = [one for one in made if one in objects.ORDER.values()]

    assert "passed" == found.verdict, told(found)
    assert "resourcequotas" == made[-1]
    assert before == place.state()


def test_configuration_of_a_hook_comes_back_where_it_was(place: Place) -> None:
    notes = {"helm.sh/hook": "pre-install"}
    kept = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "kept", "namespace": SPACE}}
    kept["metadata"] = {**kept["metadata"], "annotations": notes}  # type: ignore[dict-item]
    removed = {**kept, "metadata": {**kept["metadata"], "name": "removed"}}  # type: ignore[dict-item]
    place.cluster.create(kept)
    place.write([*application(), kept, removed])
    before = place.state()
    found = place.run()

    assert "passed" == found.verdict, told(found)
    assert before == place.state()


def test_git_is_asked_as_the_system_is_configured(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system may hold the authorities and the credential helper that a repository needs."""
    config = tmp_path / "gitconfig"
    config.write_text(f'[url "{place.folder}"]\n\tinsteadOf = https://git.example.com/app\n')
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", str(config))
    place.commit()
    place.config(git={"repository": "https://git.example.com/app", "folder": "deploy"})

    assert "met" == drifted(place).status
