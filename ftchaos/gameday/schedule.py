"""A plan for schedulers that people already have. We build none of our own.

Every one of them begins the day no earlier than its date, no later than its tolerance, never twice at a time, and ends
it some time after its time box: with SIGTERM, upon which the day heals.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ftchaos import cloud
from ftchaos.errors import Invalid
from ftchaos.gameday.plan import Loaded, Schedule

HEAL_S = 900
"""What a day is given beyond its time box, to heal and to write its evidence."""


@dataclass(frozen=True)
class Wanted:
    """What is to be scheduled.

    Attributes:
        given: the plan as it was named: a name, or a path.
        environment: where the parts run, with its platform.
        config: the content of the configuration; None for the defaults.
        image: container image that has ``ftchaos``.
        namespace: of Kubernetes, where the CronJob is.
        kubernetes: the cluster and the namespaces that the parts harm, where the environment is on Kubernetes.
        program: how the command is called on a machine.
        folder: working folder there: reports and state lie in it.
        user: who it runs as there.
    """

    loaded: Loaded
    given: str
    environment: str
    platform: str
    config: bytes | None = None
    image: str = ""
    namespace: str = "ftchaos"
    program: str = "ftchaos"
    folder: Path = Path("/var/lib/ftchaos")
    user: str = "ftchaos"
    kubernetes: cloud.Kubernetes | None = None

    @property
    def name(self) -> str:
        """What everything of it is called."""
        return f"ftchaos-{self.loaded.plan.name}"

    @property
    def schedule(self) -> Schedule:
        assert self.loaded.plan.schedule is not None
        return self.loaded.plan.schedule

    @property
    def late_s(self) -> int:
        return max(60, round(self.schedule.start_within))

    @property
    def longest_s(self) -> int:
        """When it is ended from outside."""
        return round(self.loaded.plan.time_box) + HEAL_S


def ensure_schedulable(wanted: Wanted) -> None:
    """Check that a plan has a schedule that can be kept.

    Raises:
        Invalid: it cannot be scheduled, with the line.
    """
    plan, file = wanted.loaded.plan, wanted.loaded.file
    if plan.schedule is None:
        raise file.problem((), f"{plan.name} has no schedule", "add schedule: {cron: '0 9 15 1,4,7,10 *'}")
    window = plan.schedule.window
    if window is not None and window.lasts_min * 60 < wanted.late_s and not window.lasts_min >= 1440:
        raise file.problem(
            ("schedule", "window"), "it is shorter than start_within", "widen it, or set a shorter start_within"
        )


def text(wanted: Wanted, to: str) -> str:
    """The plan for a scheduler: ``kubernetes``, ``systemd`` or ``github``.

    Raises:
        Invalid: it cannot be scheduled there.
    """
    ensure_schedulable(wanted)
    if to == "kubernetes":
        from ftchaos.gameday import kubernetes

        if not wanted.image:
            raise Invalid("a CronJob needs a container image", "name one that has ftchaos: --image REF")
        return kubernetes.manifests(wanted)
    if to == "systemd":
        from ftchaos.gameday import systemd

        return systemd.units(wanted)
    from ftchaos.gameday import github

    return github.workflow(wanted)
