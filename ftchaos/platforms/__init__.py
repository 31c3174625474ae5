"""Platforms by name. Each is imported only when it is used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ftchaos.errors import HealFailed, Invalid

if TYPE_CHECKING:  # every Python process of the lab imports this package, and needs none of these
    from collections.abc import Callable, Collection

    from ftchaos.config import Config
    from ftchaos.options import Options
    from ftchaos.platforms.aws.sweep import Swept
    from ftchaos.platforms.base import Platform
    from ftchaos.undo import Record


def make(config: Config, options: Options) -> Platform:
    """The platform of the environment that a run chose.

    Raises:
        Invalid: there is no such environment, this version has no such platform, or it knows no such method.
    """
    made = _made(config, options)
    if options.method and options.method not in made.methods:
        known = ", ".join(made.methods) or "none, as nothing is chosen there"
        raise Invalid(f"the method {options.method!r} is unknown in {options.environment!r}", f"it knows {known}")
    return made


def _made(config: Config, options: Options) -> Platform:
    settings = config.environment(options.environment)
    if options.restores == "configuration":
        from ftchaos.platforms.kubernetes.configuration.platform import ConfigurationPlatform

        return ConfigurationPlatform(config, options)
    if options.backup is not None:
        from ftchaos.platforms.bench import Bench

        return Bench(config, options)
    if settings.platform == "aws":
        from ftchaos.platforms.aws.platform import AwsPlatform

        return AwsPlatform(config, options)
    if settings.platform == "kubernetes":
        from ftchaos.platforms.kubernetes.platform import KubernetesPlatform

        return KubernetesPlatform(config, options)
    from ftchaos.platforms.lab.platform import LabPlatform

    return LabPlatform(options)


def heal(record: Record) -> str:
    """Heal one record of an undo log, whoever wrote it.

    Returns:
        What was done, in a few words.

    Raises:
        HealFailed: the platform is unknown, or the harm remains.
    """
    if record.platform == "lab":
        from ftchaos.platforms.lab import heals

        return heals.heal(record)
    if record.platform == "aws":
        from ftchaos.platforms.aws import heals as of_aws

        return of_aws.heal(record)
    if record.platform == "kubernetes":
        from ftchaos.platforms.kubernetes import heals as of_kubernetes

        return of_kubernetes.heal(record)
    if record.platform == "bench":
        from ftchaos.platforms import bench

        return bench.heal(record)
    raise HealFailed(f"no platform is called '{record.platform}'", "a newer ftchaos may have written this undo log")


def sweep(
    config: Config,
    name: str,
    *,
    alive: Collection[str],
    dead: Collection[str],
    dry_run: bool,
    progress: Callable[[str], None],
) -> Swept:
    """Take away what ftchaos ever made in an environment and nobody needs any more.

    Args:
        alive: what undo records of runs that are alive name, and those runs.
        dead: the same of runs that are not.
        dry_run: only look.

    Raises:
        Invalid: there is no such environment, or nothing outlives its runs there.
        Refused: these credentials are of another account.
    """
    settings = config.declared(name)
    if settings.platform != "aws":
        raise Invalid(
            f"on the platform {settings.platform} of {name!r} nothing is made that could outlive its undo",
            "`ftchaos recover` without --environment undoes what dead runs left",
        )
    from ftchaos.platforms.aws import sweep
    from ftchaos.platforms.aws.leftovers import Known

    return sweep.sweep(name, settings, Known(alive, dead), dry_run=dry_run, progress=progress)
