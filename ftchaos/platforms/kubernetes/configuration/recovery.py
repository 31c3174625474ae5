"""The recovery of namespaces that were deleted, step by step; see :class:`ftchaos.platforms.base.Recovery`."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ftchaos.clock import now
from ftchaos.errors import Inconclusive, StepFailed
from ftchaos.guard import Target, ensure_within
from ftchaos.platforms.base import Step
from ftchaos.platforms.kubernetes import drift, survey
from ftchaos.platforms.kubernetes.configuration import checks, keep, loss, making, objects, sources, velero
from ftchaos.platforms.kubernetes.configuration.keep import Kept
from ftchaos.platforms.kubernetes.configuration.loss import Loss
from ftchaos.platforms.kubernetes.configuration.sources import GIT, VELERO, Written
from ftchaos.platforms.kubernetes.drift import Difference
from ftchaos.platforms.kubernetes.manifests import Name
from ftchaos.platforms.recorder import RUN
from ftchaos.undo import UndoLog
from ftchaos.units import human_duration

if TYPE_CHECKING:
    from ftchaos.config import Environment
    from ftchaos.platforms.kubernetes.access import Access

EVERY_S = 0.5
NAMED = 8


class ConfigurationRecovery:
    """What is lost, where it comes back from, and how far it came.

    Args:
        every: all namespaces of the application; those of the access are lost.
        beside: the folder of the configuration, which paths are relative to.
        ready_s: how long to wait for workloads to be Ready.
    """

    def __init__(
        self, access: Access, settings: Environment, every: Sequence[str], method: str, beside: Path, ready_s: float
    ) -> None:
        assert settings.kubernetes is not None
        self.access, self.method = access, method
        self._settings, self._given, self._every = settings, settings.kubernetes, tuple(every)
        self._beside, self._ready_s = beside, ready_s
        self.loss: Loss | None = None
        self.written: Written | None = None
        self.drift: list[Difference] = []
        self._backup = ""
        self._restore: dict[str, str] = {}
        self._is_lost = False

    @property
    def lost(self) -> tuple[str, ...]:
        return self.access.place.namespaces

    # Before -----------------------------------------------------------------------------------------------------

    def look(self) -> Loss:
        """See what would be lost and what would bring it back; touches nothing.

        Raises:
            Invalid, Refused: it must not be lost, or nothing would bring it back.
        """
        if self._is_lost and self.loss is not None:
            return self.loss  # what is there now is no measure any more
        loss.ensure_keeps(self.lost, self._given.lease_namespace)
        self._ensure_within()
        self.access.ensure_right_place()
        if self.loss is None:
            loss.ensure_allowed(self.access, velero=self.method == VELERO)
        self.loss = found = loss.take(self.access, self._settings.tag)
        checks.ensure_comparable(found.objects)
        if self.method == VELERO:
            newest = velero.newest(velero.backups(self.access, self._given.velero), self.lost)
            self._backup = str(newest["metadata"]["name"])
        else:
            self.written = self._fetched(found)
            written = {one.name for one in self.written.manifests}
            held = {name: obj for name, obj in found.objects.items() if name in written or name.kind != "Namespace"}
            self.drift = drift.compare(self.written.manifests, held, "")
        return found

    def _ensure_within(self) -> None:
        """Hold the drill to a share of the namespaces, where the configuration has one of its own.

        The share that holds where none is written would forbid it of an application with one namespace.

        Raises:
            Refused: more of them would be lost.
        """
        radius = self._settings.blast_radius
        if radius is not None and "share" in radius.model_fields_set:
            lost = [Target(one, "namespace", "", len(self._every)) for one in self.lost]
            ensure_within(radius, lost)

    def _fetched(self, found: Loss) -> Written:
        if self.method == GIT:
            assert self._given.git is not None
            fetched = sources.from_git(self._given.git, self._beside)
        else:
            assert self._given.manifests is not None
            fetched = sources.from_folder(self._beside / self._given.manifests.expanduser())
        return sources.chosen(fetched, self.lost, self._every, found.objects)

    def destroy_targets(self) -> Sequence[str]:
        """The namespaces by name; for what else goes with them see :meth:`targets`."""
        return [f"namespace {one}" for one in self.lost]

    def targets(self) -> list[str]:
        """What would be lost, in words."""
        found = self.loss or self.look()
        said = []
        for space in found.namespaces:
            names = found.of(space)
            pods = sum(found.ready[owner] for owner in found.ready if f" {space}/" in owner)
            said.append(f"namespace {space} with {len(names)} objects ({_counted(names)}) and {pods} ready pods")
        if set(self.lost) == set(self._every):
            said.append(
                f"that is all of {len(said)}: only a share of the blast radius that is written holds this drill back, "
                "and --namespace names fewer"
            )
        return [*said, *found.notes]

    def makes(self) -> list[str]:
        """What would be made, and what would not come back, in words."""
        found = self.loss or self.look()
        if self.written is None:
            return [f"a Restore of the Velero backup {self._backup}, and all that it holds of {', '.join(self.lost)}"]
        made = self.written.objects
        said = [f"{len(made)} objects from {self.written.words}: {_counted(made)}"]
        absent = [str(one) for one in found.objects if one.kind == "Secret" and one not in made]
        if absent:
            said.append(
                f"nothing of {_listed(absent)}: no manifest holds it, so whoever makes it must, or the undo does"
            )
        if self.written.left_out:
            said.append(f"nothing of {_listed(self.written.left_out)}")
        if self.drift:
            told = _listed([str(one) for one in self.drift])
            said.append(f"drift of {len(self.drift)} before the loss, which would be lost with the namespace: {told}")
        return said

    def not_ready(self) -> list[str]:
        """What of the workloads is not ready, in words: before the loss what they are to have, then what they had."""
        found = self.loss or self.look()
        short = loss.not_ready(self.access, found)
        lacking = [owner for owner, count in found.wanted.items() if found.ready.get(owner, 0) < count]
        return [*short, *(f"{owner} was not ready before" for owner in lacking)]

    # The loss ---------------------------------------------------------------------------------------------------

    def destroy(self, undo: UndoLog, run_id: str, begin: Callable[[], None]) -> Step:
        """Delete the namespaces, after all that they hold is on disk."""
        found = self.look()
        kept = Kept(found.uids, found.objects, tuple(self.written.objects) if self.written else ())
        file = keep.write(kept, run_id, undo)
        if self.method == VELERO:
            self._restore = {"namespace": self._given.velero, "name": f"ftchaos-{secrets.token_hex(4)}"}
        arguments = {
            "place": {**found.place, "namespaces": list(self.lost)}, "file": str(file), "velero": self._restore,
            "ready": dict(found.ready), "namespaces": dict(found.uids), RUN: run_id,
        }  # fmt: skip
        undo.record(keep.PLATFORM, keep.LOST, arguments, f"{' and '.join(self.destroy_targets())} deleted")
        self._is_lost = True
        begin()
        for space, uid in found.uids.items():
            if not self.access.delete("namespaces", "", space, uid=uid):
                raise StepFailed(f"the namespace {space} is another than was planned", "run again")
        return Step(f"{', '.join(self.lost)} deleted: {len(found.objects)} objects")

    def detect(self, fault_at: float) -> Step:
        """Wait until the namespaces and all their pods are gone."""
        found, gone = self._known(), dict[str, float]()

        def left() -> list[str]:
            for space in found.namespaces:
                there = self.access.get("namespaces", "", space)
                pods = [] if there is None else [one.uid for one in survey.pods(self.access, [space])]
                old = there is not None and there["metadata"]["uid"] == found.uids[space]
                if not old and not found.pods.intersection(pods):
                    gone.setdefault(space, now())
            return [space for space in found.namespaces if space not in gone]

        self.access.until(
            left, lambda spaces: not spaces, making.GONE_S,
            lambda spaces: f"the namespaces {', '.join(spaces or found.namespaces)} were gone:", EVERY_S,
        )  # fmt: skip
        gone_at = max(gone.values())
        words = f"{', '.join(found.namespaces)} gone {human_duration(gone_at - fault_at)} after the first call"
        return Step(words, facts={"gone_at": gone_at})

    # The way back -----------------------------------------------------------------------------------------------

    def decide(self, to: str) -> Step:
        """Fetch what is to be restored as after a real loss: anew."""
        known, told = self.written, ""
        if self.method == VELERO:
            kept = velero.backups(self.access, self._given.velero)
            # A backup of the time since the loss holds nothing of what was lost.
            newest = velero.newest([one for one in kept if one["metadata"]["name"] == self._backup], self.lost)
            taken_at = str(newest["status"].get("completionTimestamp") or "")
            facts: dict[str, Any] = {"backup": {"id": self._backup, "method": VELERO, "taken_at": taken_at or None}}
            if taken_at:
                age_s = (datetime.now(UTC) - datetime.fromisoformat(taken_at)).total_seconds()
                facts["backup_age_s"] = max(0.0, age_s)
            return Step(f"the Velero backup {self._backup}", facts=facts)
        assert known is not None
        self.written = found = self._fetched(self._known())
        if found.objects != known.objects:
            raise StepFailed("the manifests have changed since the drill began", "run again")
        if self.drift:
            told = f"; drift of {len(self.drift)} from before is lost with the namespace"
        if found.left_out:
            told += f"; {len(found.left_out)} not applied: {_listed(found.left_out)}"
        facts = {"backup": found.as_fact(self.method), "drift": [str(one) for one in self.drift]}
        return Step(f"{found.words}{told}", facts=facts)

    def provision(self) -> Step:
        """Create the namespaces, as their manifests say where they have one, and as ours: with the tag."""
        if self.method == VELERO:
            return Step("Velero creates the namespaces itself")
        made = self._written().objects
        for space in self.lost:
            name = Name("Namespace", "", space)
            bare = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": space}}
            body = objects.tagged(made.get(name, bare), self._known().objects[name], self._settings.tag)
            making.open_namespace(self.access, body)
        return Step(f"{', '.join(self.lost)} created")

    def restore(self, progress: Callable[[int, int], None]) -> Step:
        """Create the objects, those first that others refer to."""
        if self.method == VELERO:
            words = velero.restore(self.access, self._restore, self._backup, self.lost)
            return Step(words, facts={"created_at": now()})
        made = {name: obj for name, obj in self._written().objects.items() if name.kind != "Namespace"}
        for number, name in enumerate(objects.in_order(made), 1):
            making.create(self.access, name, made[name])
            progress(number, len(made))
        return Step(f"{len(made)} objects created", facts={"created_at": now()})

    def cut_over(self) -> Step:
        """Wait until the workloads are as ready as before; that they are not in time is a result, not a failed step."""
        found = self._known()
        try:
            self.access.until(
                lambda: loss.not_ready(self.access, found), lambda short: not short, self._ready_s,
                lambda short: f"{'; '.join(short or ['the workloads'])}: as ready as before", EVERY_S,
            )  # fmt: skip
        except Inconclusive as error:
            return Step(error.fact, facts={"ready_at": None})
        ready_at = now()
        words = [f"{len(found.ready)} workloads are as ready as before", *loss.fewer(self.access, found)]
        return Step("; ".join(words), facts={"ready_at": ready_at})

    def verify_restored(self) -> Step:
        """Hold every object against what was there before."""
        found = self._known()
        after = making.standing(self.access, found.namespaces)
        for name in [one for one in after if one.kind == "Namespace"]:  # an older backup is without the tag
            after[name] = objects.tagged(after[name], found.objects[name], self._settings.tag)
        made = checks.checks(found.objects, after, self.drift, self.written is not None)
        failed = [one for one in made if one["passed"] is False]
        words = f"{len(found.objects)} objects are as before"
        if failed:
            words = f"{len(failed)} are not as before: {failed[0]['name']}: {failed[0]['actual']}"
        return Step(words, facts={"checks": made, "objects": len(found.objects)})

    def replay(self, progress: Callable[[int, int], None]) -> Step:
        raise StepFailed("a configuration has no log", "see dr_drills/config-restore.yaml")

    def verify_replayed(self) -> Step:
        raise StepFailed("a configuration has no log", "see dr_drills/config-restore.yaml")

    def _known(self) -> Loss:
        if self.loss is None:
            raise StepFailed("nobody looked what was there before", "see the step that loses it")
        return self.loss

    def _written(self) -> Written:
        if self.written is None:
            raise StepFailed("nobody fetched the manifests", "see the step that fetches them")
        return self.written


def _counted(names: Sequence[Name] | dict[Name, Any]) -> str:
    """How many there are of each kind, in words."""
    kinds: dict[str, int] = {}
    for name in objects.in_order(names):
        kinds[name.kind] = kinds.get(name.kind, 0) + 1
    return ", ".join(f"{count} {kind}" for kind, count in kinds.items())


def _listed(items: Sequence[str]) -> str:
    return "; ".join(items[:NAMED]) + (f"; and {len(items) - NAMED} more" if len(items) > NAMED else "")
