"""What one run is to do, known and checked before it begins: a definition, the environment, the objectives.

Only this module, the engine and the control import chaoslib.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from ftchaos import conclusion, definitions, guard, platforms, promises
from ftchaos.clock import Clock
from ftchaos.config import Config, Environment, load
from ftchaos.errors import Invalid
from ftchaos.objectives import Objectives
from ftchaos.options import Options
from ftchaos.platforms.base import Harm, Platform
from ftchaos.record import RunRecord
from ftchaos.units import duration_s

FAULTS = "ftchaos.actions.faults"
NOT_AUDITED = {"name", "kind", "id", "harms", "workload", "beyond_quorum", "promises", "platforms", "manners"}
"""What of a definition's extension is no answer to an auditor: see :class:`ftchaos.evidence.record.Plan`."""


@dataclass(frozen=True)
class Plan:
    """All that one run needs to know before it begins, checked."""

    loaded: definitions.Loaded
    options: Options
    platform: Platform
    objectives: Objectives
    settings: Environment
    configuration: dict[str, Any]
    config: Config

    @property
    def extension(self) -> definitions.Extension:
        return self.loaded.extension

    @property
    def injects_fault(self) -> bool:
        """Whether something is harmed: not in a rehearsal, nor where a drill's disaster is only assumed."""
        assumed = self.extension.kind == "drill" and self.platform.assumes_disaster
        return self.extension.harms and not assumed

    @property
    def makes_something(self) -> bool:
        """Whether a run makes what was not there before: a copy, or what it destroyed anew."""
        return not self.injects_fault or self.options.restores == "configuration"

    @property
    def asked(self) -> tuple[promises.Promises, promises.Promises]:
        """What of the definition's promises this environment is judged by, and what it cannot be asked for."""
        return promises.asked(self.extension.promises.promises(), self.platform.takes)

    def permit(self) -> guard.Permit:
        """Leave to run in the environment.

        Raises:
            Refused: the environment is protected, and something of what it asks for is missing.
        """
        run = f"{self.extension.kind}/{self.extension.id}"
        return guard.ensure_allowed(self.options.environment, self.settings, run, confirm=self.options.confirm)

    def harms(self) -> list[Harm]:
        """What the definition's faults would hit now; touches nothing.

        Raises:
            Invalid: a fault cannot be had like that here.
        """
        from chaoslib import substitute

        found = []
        for activity in self.loaded.definition.method:
            provider = activity.provider
            if provider.module != FAULTS:
                continue
            given = substitute(dict(provider.arguments), self.configuration, {})
            module = import_module(FAULTS)
            arguments = inspect.signature(getattr(module, provider.func)).bind(**given)
            arguments.apply_defaults()
            found.append(self.platform.harm(provider.func, module.given(arguments.arguments)))
        return found


def plan(kind: str, name: str, given: Mapping[str, Any]) -> Plan:
    """What a command line asks for.

    Args:
        kind: ``drill`` or ``experiment``.
        name: of the definition, or its file.
        given: the options by name; those of None are left to their defaults.

    Raises:
        Invalid: the definition, the configuration or an option cannot be used.
    """
    from chaoslib.configuration import load_configuration
    from chaoslib.exceptions import ChaosException

    loaded = definitions.load(definitions.find(kind, name))
    explicit = {key: value for key, value in given.items() if value is not None}
    for key in ("zone", "manner"):
        if explicit.get(key) and key not in loaded.data.get("configuration", {}):
            raise Invalid(f"{loaded.name} takes no --{key}", f"see `ftchaos {kind} show {loaded.name}`")
    try:
        configured = load_configuration(loaded.data.get("configuration", {}), dict(explicit))
    except ChaosException as error:
        raise Invalid(f"{loaded.path}: {error}", "set what its configuration names, see --help") from error
    return of(loaded, {**configured, **explicit})


def of(loaded: definitions.Loaded, given: Mapping[str, Any]) -> Plan:
    options = Options.parse(given)
    config = load(options.config)
    objectives = config.promises(options.environment)
    _ensure_meant_for(loaded, options.environment, config.environment(options.environment).platform)
    if options.manner and options.manner not in (loaded.extension.manners or [options.manner]):
        raise Invalid(
            f"{loaded.name} is not done in the manner {options.manner!r}",
            f"choose {', '.join(loaded.extension.manners)}, or another experiment",
        )
    platform = platforms.make(config, options)
    if loaded.extension.kind == "drill" and loaded.extension.harms and not platform.methods:
        raise Invalid(
            f"the environment {options.environment!r} is on the platform {platform.name}, where there is nothing "
            f"that {loaded.name} could restore from",
            "run it in another environment; on Kubernetes there is `ftchaos drill config-restore`",
        )
    return Plan(
        loaded,
        options,
        platform,
        dataclasses.replace(
            objectives,
            rto_s=_objective_s(given.get("rto"), objectives.rto_s),
            rpo_s=_objective_s(given.get("rpo"), objectives.rpo_s),
        ),
        config.environment(options.environment),
        {key: given[key] for key in loaded.data.get("configuration", {}) if key in given},
        config,
    )


def _ensure_meant_for(loaded: definitions.Loaded, environment: str, platform: str) -> None:
    """Refuse a definition where what it harms does not exist."""
    if platform not in loaded.extension.platforms:
        meant = " and ".join(loaded.extension.platforms)
        raise Invalid(
            f"{loaded.name} is for {meant}, and the environment {environment!r} is on the platform {platform}",
            f"name an environment on {meant}: --environment NAME",
        )


def _objective_s(given: Any, promised_s: float) -> float:
    """What the user demands, where zero is a demand too, else what was promised."""
    return promised_s if given in (None, "") else duration_s(given)


def preview(plan: Plan) -> dict[str, Any]:
    """What a run would hit and do, as data; nothing is touched.

    Raises:
        Refused: the guard would refuse the run.
    """
    plan.permit()
    harms = plan.harms()
    for harm in harms:
        ensure_within(plan, harm)
    hit = [str(target) for harm in harms for target in harm.targets]
    return {
        "kind": plan.extension.kind,
        "name": plan.extension.id,
        "title": plan.loaded.definition.title,
        "environment": plan.options.environment,
        "platform": plan.platform.name,
        "faults": [harm.clause for harm in harms],
        "targets": hit or (plan.platform.targets() if plan.injects_fault else []),
        "makes": plan.platform.makes() if plan.makes_something else [],
        "promises": plan.asked[0].words(),
        "unasked": plan.asked[1].words(),
        "steps": [activity.name for activity in plan.loaded.definition.method],
        "objectives": dataclasses.asdict(plan.objectives),
    }


def ensure_within(plan: Plan, harm: Harm) -> None:
    """Refuse a fault that would hit more than is allowed."""
    beyond = plan.extension.beyond_quorum
    guard.ensure_within(
        plan.settings.blast_radius, harm.targets, quorum_lost=harm.quorum_lost, beyond_quorum=beyond,
        requests_per_s=harm.requests_per_s,
    )  # fmt: skip


def _arguments(plan: Plan) -> dict[str, Any]:
    """The options that the definition takes, and what else somebody chose."""
    taken, untouched = plan.loaded.data.get("configuration", {}), Options().as_configuration()
    given = plan.options.as_configuration()
    return {key: value for key, value in given.items() if key in taken or value != untouched.get(key)}


def record(plan: Plan, run_id: str) -> RunRecord:
    """The record of a run of this plan, before anything has happened."""
    definition, extension = plan.loaded.definition, plan.extension
    clock = Clock.anchored()
    return RunRecord(
        id=run_id,
        kind=extension.kind,
        name=extension.id,
        environment=plan.options.environment,
        platform=plan.platform.name,
        clock=clock,
        began_at=clock.monotonic_s,
        objectives=plan.objectives,
        definition={
            "path": plan.loaded.path.name,
            "sha256": plan.loaded.sha256,
            "title": definition.title,
            "description": definition.description,
            "tags": definition.tags,
        },
        plan=extension.model_dump(exclude=NOT_AUDITED),
        promises=dataclasses.asdict(plan.asked[0]),
        unasked=plan.asked[1].words(),
        arguments=_arguments(plan),
        machine=conclusion.this_machine(),
        planned_steps=[activity.name for activity in definition.method],
        injects_fault=plan.injects_fault,
        keeps_ledger=extension.workload,
        restores=plan.options.restores,
        accepts_backup_age=plan.platform.accepts_backup_age,
    )
