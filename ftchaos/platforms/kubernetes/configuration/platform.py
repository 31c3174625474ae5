"""Namespaces of a cluster as a platform: nothing but their configuration, to be lost and restored."""

from __future__ import annotations

import dataclasses
import hmac
import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ftchaos.config import Config
from ftchaos.errors import FtchaosError, Invalid, StepFailed
from ftchaos.options import Options
from ftchaos.platforms.base import Address, Event, Harm, Progress, Step, Traffic
from ftchaos.platforms.kubernetes import lease, sight
from ftchaos.platforms.kubernetes.access import Access, Place
from ftchaos.platforms.kubernetes.configuration import keep, making, objects
from ftchaos.platforms.kubernetes.configuration.recovery import ConfigurationRecovery
from ftchaos.platforms.kubernetes.configuration.sources import GIT, MANIFESTS, VELERO
from ftchaos.platforms.recorder import Recorder
from ftchaos.undo import UndoLog


class ConfigurationPlatform:
    """See :class:`ftchaos.platforms.base.Platform`.

    Raises:
        Invalid: the environment does not say which cluster, which namespaces, or where they come back from.
    """

    name = keep.PLATFORM
    takes: Sequence[str] = ()
    accepts_backup_age = False
    assumes_disaster = False

    def __init__(self, config: Config, options: Options) -> None:
        settings = config.environment(options.environment)
        if settings.platform != "kubernetes":
            raise Invalid(
                f"the environment {options.environment!r} is on the platform {settings.platform}",
                "a configuration is restored on Kubernetes: name another with --environment",
            )
        place = Place.of(options.environment, settings)
        given = settings.kubernetes
        assert given is not None
        chosen = [one.strip() for one in options.namespaces.split(",") if one.strip()]
        if unknown := set(chosen) - set(place.namespaces):
            raise Invalid(
                f"{', '.join(sorted(unknown))} is no namespace of {options.environment!r}",
                f"it has {', '.join(place.namespaces)}",
            )
        has = {MANIFESTS: given.manifests is not None, GIT: given.git is not None}
        self.methods: Sequence[str] = (*(one for one, there in has.items() if there), VELERO)
        self._options, self._every = options, place.namespaces
        lost = dataclasses.replace(place, namespaces=tuple(chosen) or place.namespaces)
        self._place, self._settings = lost, settings
        self._beside = config.path.absolute().parent if config.path else Path.cwd()
        self._made: ConfigurationRecovery | None = None
        self._key = secrets.token_bytes(16)
        self._lease_namespace = given.lease_namespace
        self._lease: lease.Lease | None = None

    @property
    def lock_name(self) -> str:
        return lease.lock_name(self.recovery().access)

    def recovery(self) -> ConfigurationRecovery:
        if self._made is None:
            method = self._options.method or self.methods[0]
            self._made = ConfigurationRecovery(
                Access(self._place), self._settings, self._every, method, self._beside, self._options.warm_timeout
            )
        return self._made

    def targets(self) -> list[str]:
        self.recovery().look()
        return self.recovery().targets()

    def makes(self) -> list[str]:
        return self.recovery().makes()

    def begin(self, run_id: str, undo: UndoLog, progress: Progress) -> None:
        """Take the lease and see once more what is there; nothing is lost yet. From here on the calls are recorded."""
        access, recorder = self.recovery().access, Recorder.of(run_id)
        if recorder is not None:
            for call in list(access.calls):
                recorder(call)
        access.on_call = recorder
        self._lease = lease.Lease(access, self._lease_namespace)
        self._lease.begin(run_id, undo, progress)
        for one in (*self.targets(), *self.makes()):
            progress(one)

    def prepare(self, undo: UndoLog, progress: Progress, *, backups: bool) -> None:
        """The cluster is as it is."""

    def traffic(self, zone: str = "") -> Traffic:
        """No clients: only what a witness is to see, which are the namespaces, and where."""
        recovery = self.recovery()
        watched = dict(zip(recovery.destroy_targets(), map(sight.namespace, recovery.lost), strict=True))
        return Traffic("", Address("", 0), watched, Path(), place=recovery.access.place.to_json())

    def client_argv(self, argv: Sequence[str], zone: str = "") -> list[str]:
        return list(argv)

    def writer_in_place(self) -> str:
        """Empty when every workload is as ready as it is to be, else what is not."""
        return "; ".join(self.recovery().not_ready())

    def backups_complete(self) -> str:
        """Empty when there is something to restore from, else what is wrong."""
        try:
            self.recovery().look()
        except FtchaosError as error:
            return str(error)
        return ""

    def harm(self, fault: str, arguments: Mapping[str, Any]) -> Harm:
        raise Invalid(f"a configuration has nothing that the fault {fault} could hit", "run it as an experiment")

    def inject(self, fault: str, harm: Harm, undo: UndoLog, begin: Callable[[], None]) -> str:
        raise _no_service("no fault")

    def events(self, since_at: float) -> list[Event]:
        """Nobody says anything."""
        return []

    def compare(self) -> Step:
        return self.recovery().verify_restored()

    def state(self) -> dict[str, str]:
        """A print of each object, with a key of this run alone, so that nobody can guess a Secret by it."""
        recovery = self.recovery()
        found = objects.compared(making.standing(recovery.access, recovery.lost))
        return {str(name): f"written as {self._print(obj)}" for name, obj in found.items()}

    def _print(self, obj: Mapping[str, Any]) -> str:
        return hmac.digest(self._key, json.dumps(obj, sort_keys=True).encode(), "sha256").hex()[:12]

    def survivors(self) -> Any:
        raise _no_service("no database")

    def describe(self) -> dict[str, Any]:
        recovery = self.recovery()
        told = [str(one) for one in recovery.drift]
        drift = f"{len(told)}: {'; '.join(told)}" if told else "none"
        return {
            "mode": recovery.method,
            "settings": {
                "context": self._place.context,
                "cluster": recovery.access.place.cluster,
                "namespaces": ", ".join(recovery.lost),
                "restored from": recovery.makes()[0],
                "drift before the loss": drift if recovery.written else "unknown, as no manifests are compared",
            },
        }

    def end(self) -> None:
        """Renew the lease no more; it goes with its undo."""
        if self._lease is not None:
            self._lease.end()


def _no_service(what: str) -> StepFailed:
    return StepFailed(f"a configuration has {what}", "see dr_drills/config-restore.yaml")
