"""The lease in the cluster: one run holds it, a dead one's is taken over, and each gives back its own alone."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from cluster.application import SPACE, namespace
from cluster.roles import HOME, bound
from cluster.standin.server import Standin

from ftchaos import notes
from ftchaos.errors import Inconclusive, Locked, Refused
from ftchaos.platforms import heal
from ftchaos.platforms.kubernetes import lease
from ftchaos.platforms.kubernetes.access import Access, Place
from ftchaos.platforms.kubernetes.calls import CALLS, Kind
from ftchaos.platforms.kubernetes.calls import LEASE_NAME as NAME
from ftchaos.platforms.kubernetes.lease import Lease
from ftchaos.undo import UndoLog, is_fault

Obj = dict[str, Any]


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Seconds for a renewal that comes each tenth of one; the duration in the record is whole seconds."""
    monkeypatch.setenv("FTCHAOS_STATE", str(tmp_path / "state"))
    notes.stop_file("first").parent.mkdir(parents=True)  # where the run has been announced
    for name, value in {"VALID_S": 4, "RENEW_S": 0.1, "GIVE_UP_S": 2.5, "LOOK_S": 0.05, "NOTED_S": 0.1}.items():
        monkeypatch.setattr(lease, name, value)


@pytest.fixture
def app(cluster: Standin) -> Iterator[Standin]:
    """A cluster with the application's namespace."""
    cluster.settings(controllers=False)
    namespace(cluster, SPACE)
    yield cluster

    called = {(one["verb"], one["resource"]) for one in cluster.requests() if one["agent"].startswith("ftchaos")}
    assert set() == called - {(one.verb, one.resource) for one in CALLS}


class Host:
    """A run on a host of its own."""

    def __init__(
        self, cluster: Standin, folder: Path, run_id: str, kubeconfig: Path | None = None, space: str = SPACE,
        home: str = HOME,
    ) -> None:  # fmt: skip
        self.run_id, self.said = run_id, list[str]()
        self.undo = UndoLog(folder / f"{run_id}.jsonl")
        access = Access(Place("staging", "standin", (space,), str(kubeconfig or cluster.kubeconfig)))
        self.lease = Lease(access, home)

    def begin(self) -> Host:
        self.lease.begin(self.run_id, self.undo, self.said.append)
        return self

    def die(self) -> Host:
        """As by kill -9: it renews no more, and gives nothing back."""
        self.lease.end()
        return self

    def heal(self) -> list[str]:
        healing = self.undo.heal(heal)

        assert [] == healing.failed
        return [one.detail for one in self.undo.records()]


def held(cluster: Standin) -> Obj:
    """What stands in the lease."""
    (found,) = cluster.all("coordination.k8s.io/v1", "Lease", HOME)

    assert NAME == found["metadata"]["name"]
    return dict(found["spec"])


def statuses(cluster: Standin) -> list[int]:
    return [one["status"] for one in cluster.requests() if one["verb"] == "patch"]


def holder(cluster: Standin) -> str:
    return str(held(cluster).get("holderIdentity", ""))


def test_lease_names_its_holder_is_renewed_and_is_free_after_the_heal(app: Standin, tmp_path: Path) -> None:
    run = Host(app, tmp_path, "first").begin()
    before = held(app)
    app.until(lambda: held(app)["renewTime"] != before["renewTime"], "the renewal")
    after = held(app)
    healed = run.heal()
    run.lease.end()

    assert f"first@{socket.gethostname()}" == before["holderIdentity"]
    assert {"renewTime": 0} | before == {"renewTime": 0} | after | {"renewTime": before["renewTime"]}
    assert [f"the lease {HOME}/{NAME} is not held by this run"] == healed
    assert "" == holder(app)
    assert "" == run.undo.stopped()
    assert not any(is_fault(one) for one in run.undo.records())


def test_second_run_is_refused_with_the_name_and_age_of_the_first(app: Standin, tmp_path: Path) -> None:
    first = Host(app, tmp_path, "first").begin()
    second = Host(app, tmp_path, "second")
    with pytest.raises(Locked, match=rf"is held by run first on {socket.gethostname()} \(for .*s\)"):
        second.begin()
    healed = second.heal()
    still = holder(app)
    first.die()

    assert f"first@{socket.gethostname()}" == still
    assert [f"the lease {HOME}/{NAME} is not held by this run"] == healed


def test_of_many_at_once_one_gets_it(app: Standin, tmp_path: Path) -> None:
    hosts = [Host(app, tmp_path, f"run-{number}") for number in range(5)]
    outcomes: list[str] = []

    def begin(host: Host) -> None:
        try:
            host.begin()
            outcomes.append(host.run_id)
        except Locked:
            outcomes.append("locked")

    threads = [threading.Thread(target=begin, args=(one,)) for one in hosts]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    for each in hosts:
        each.die()

    (winner,) = set(outcomes) - {"locked"}
    assert 4 == outcomes.count("locked")
    assert holder(app).startswith(f"{winner}@")


def test_lease_of_a_dead_run_is_taken_over_once_it_has_expired_and_not_given_back_by_its_recovery(
    app: Standin, tmp_path: Path
) -> None:
    first = Host(app, tmp_path, "first").begin().die()
    second = Host(app, tmp_path, "second").begin()
    first.heal()
    third = Host(app, tmp_path, "third")
    with pytest.raises(Locked, match="is held by run second"):
        third.begin()
    second.die()

    assert "is held by run first" in second.said[0]
    assert "was taken over from run first" in second.said[1]
    assert f"second@{socket.gethostname()}" == holder(app)
    assert 1 == held(app)["leaseTransitions"]


def test_recovery_of_a_dead_run_frees_its_lease_at_once(app: Standin, tmp_path: Path) -> None:
    Host(app, tmp_path, "first").begin().die().heal()
    app.clear()
    second = Host(app, tmp_path, "second").begin().die()

    assert [] == second.said
    assert 1 == sum(one["resource"] == "leases" and one["verb"] == "get" for one in app.requests())


@pytest.mark.parametrize("renewed_at", ["2001-01-01T00:00:00.000000Z", "2099-01-01T00:00:00.000000Z"])
def test_clock_of_another_host_decides_nothing(
    app: Standin, tmp_path: Path, renewed_at: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "_TIME", renewed_at.replace("000000Z", "%fZ"))
    first = Host(app, tmp_path, "first").begin()
    with pytest.raises(Locked, match="is held by run first"):
        Host(app, tmp_path, "second").begin()
    first.die()
    third = Host(app, tmp_path, "third").begin().die()

    assert "was taken over from run first" in third.said[-1]


def test_who_is_second_in_a_takeover_gets_409_and_is_refused(app: Standin, tmp_path: Path) -> None:
    Host(app, tmp_path, "first").begin().die()
    app.fail_next("Conflict", "patch", "leases")
    second = Host(app, tmp_path, "second").begin().die()

    assert holder(app).startswith("second@")
    assert [409, 200] == statuses(app)[-2:]
    assert "was taken over from run first" in second.said[-1]


def test_renewal_whose_answer_was_lost_is_no_loss(app: Standin, tmp_path: Path) -> None:
    run = Host(app, tmp_path, "first").begin()
    app.fail_next("HangUp", "patch", "leases", after=True)
    before = held(app)["renewTime"]

    def looked_again() -> bool:
        asked = [one["verb"] for one in app.requests() if one["resource"] == "leases" and one["agent"] == "ftchaos"]
        return ["patch", "get", "patch"] == asked[-3:]

    app.until(looked_again, "a renewal after the one whose answer was lost")
    run.die()

    assert "" == run.undo.stopped()
    assert before != held(app)["renewTime"]


def test_run_that_lost_its_lease_harms_nothing_more_and_is_asked_to_end(app: Standin, tmp_path: Path) -> None:
    run = Host(app, tmp_path, "first").begin()
    path = f"/apis/coordination.k8s.io/v1/namespaces/{HOME}/leases/{NAME}"
    app.request("PATCH", path, {"spec": {"holderIdentity": "other@elsewhere"}})
    app.until(lambda: notes.asked_to_stop("first"), "the stop")

    with pytest.raises(Refused, match="lost: it is held by run other on elsewhere"):
        run.undo.record("kubernetes", "fault:fail_zone", {}, "a zone")
    assert "other@elsewhere" == holder(app)


def test_run_that_cannot_renew_says_so_before_another_may_take_it(app: Standin, tmp_path: Path) -> None:
    run = Host(app, tmp_path, "first").begin()
    app.stop_at(1)  # held open, as by a server that is paused
    app.until(lambda: run.undo.stopped() and notes.asked_to_stop("first"), "the stop")
    app.resume()

    assert "could not be renewed for 2.5 s" in notes.asked_to_stop("first")


def test_renewal_that_comes_late_but_comes_keeps_the_lease(
    app: Standin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As where the machine stood still: the timer is due before the renewal is sent.
    monkeypatch.setattr(lease, "GIVE_UP_S", 0.0)
    monkeypatch.setattr(lease, "NOTED_S", 2.0)
    run = Host(app, tmp_path, "first").begin()
    begun_at = time.time()

    def goes_on() -> bool:
        return any(one["verb"] == "patch" and one["at"] > begun_at + 2 * lease.NOTED_S for one in app.requests())

    app.until(goes_on, "a renewal after the timer has looked")
    run.die()

    assert "" == run.undo.stopped()
    assert "" == notes.asked_to_stop("first")


def test_crash_at_each_call_leaves_a_lease_that_recovery_frees(app: Standin, tmp_path: Path) -> None:
    for effect in (False, True):
        number, crashed = 0, True
        while crashed:
            number += 1
            run = Host(app, tmp_path, f"run-{effect}-{number}")
            app.stop_at(number, effect=effect, hang_up=True, writes=True)
            with suppress(Inconclusive):
                run.begin()
            crashed = app.stopped
            app.resume()
            run.die().heal()
            left = app.all("coordination.k8s.io/v1", "Lease", HOME)

            assert [""] * len(left) == [one["spec"].get("holderIdentity", "") for one in left]

        assert number > 3


def test_environments_of_a_cluster_exclude_each_other_whatever_namespaces_they_list(
    app: Standin, tmp_path: Path
) -> None:
    namespace(app, "other")
    first = Host(app, tmp_path, "first").begin()
    with pytest.raises(Locked, match="is held by run first"):
        Host(app, tmp_path, "second", space="other").begin()
    first.die()


def test_missing_namespace_for_the_lease_is_refused_and_named(app: Standin, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="there is no namespace nowhere, which is to hold the lease"):
        Host(app, tmp_path, "first", home="nowhere").begin()


def test_role_for_reading_is_refused_before_a_lease_is_there(app: Standin, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="get leases ftchaos in default is not allowed"):
        Host(app, tmp_path, "reader", bound(app, "read", SPACE)).begin()
    assert [] == app.all("coordination.k8s.io/v1", "Lease", HOME)


@pytest.mark.parametrize("kind", ["faults", "configuration"])
def test_roles_of_whatever_harms_suffice_for_the_one_lease(app: Standin, tmp_path: Path, kind: Kind) -> None:
    Host(app, tmp_path, "harmer", bound(app, kind, SPACE)).begin().die().heal()

    assert "" == holder(app)
