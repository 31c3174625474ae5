"""Options that several commands share, and the values they take."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from ftchaos.errors import FtchaosError
from ftchaos.units import duration_s, size_bytes

F = TypeVar("F", bound=Callable[..., Any])


class _Parsed(click.ParamType):  # type: ignore[type-arg,unused-ignore]  # generic from click 8.4 on
    def __init__(self, name: str, parse: Callable[[str], Any]) -> None:
        self.name = name
        self.parse = parse

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return self.parse(value)
        except FtchaosError as error:
            self.fail(f"{error.fact}; {error.hint}", param, ctx)


DURATION = _Parsed("duration", duration_s)
SIZE = _Parsed("size", size_bytes)
FLAVOURS = click.Choice(["mariadb", "mysql"])


def _of_index(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
    """Let the list say the environment, before ``--environment`` falls back to its default."""
    if value is not None:
        from pathlib import Path

        from ftchaos.fleet import environment_of_index

        ctx.default_map = {**(ctx.default_map or {}), "environment": environment_of_index(Path(value))}


def _chosen_once(ctx: click.Context, param: click.Parameter, value: str) -> str:
    of_list = (ctx.default_map or {}).get("environment", value)
    if ctx.get_parameter_source("environment") is ParameterSource.COMMANDLINE and of_list != value:
        raise click.UsageError("--environment and --environment-of-index exclude each other")
    return value


def common(function: F) -> F:
    """``--environment``, ``--config``, ``--reports`` and ``--json``."""
    for option in (
        click.option("--json", "as_json", is_flag=True, help="Print exactly one JSON document."),
        click.option(
            "--reports",
            default="reports",
            show_default=True,
            metavar="DIR",
            help="Where evidence lands; or s3://BUCKET/PREFIX.",
        ),
        click.option("--config", metavar="FILE", help="Configuration; ./ftchaos.yaml if there is one."),
        click.option(
            "--environment",
            default="lab",
            show_default=True,
            metavar="NAME",
            callback=_chosen_once,
            help="Where to run.",
        ),
    ):
        function = option(function)
    return function


def running(function: F) -> F:
    """The options of everything that runs a definition."""
    for option in (
        click.option("--dry-run", is_flag=True, help="Show what would be hit and done, and do nothing."),
        click.option(
            "--environment-of-index",
            metavar="FILE",
            is_eager=True,
            expose_value=False,
            callback=_of_index,
            help="In an Indexed Job: the environment is the line of this pod's index.",
        ),
        click.option("--rto", type=DURATION, help="Recovery time objective, like 4h."),
        click.option("--rpo", type=DURATION, help="Recovery point objective, like 15m."),
        click.option("--to", metavar="TIME", help="Replay the log to this UTC time instead of to its last event."),
        click.option("--method", metavar="HOW", help="What is restored from: in the lab physical or logical."),
        click.option("--size", type=SIZE, help="Data in the lab's database, like 1GiB."),
        click.option("--mysql-flavour", type=FLAVOURS, help="The lab's database; the one that is found."),
        click.option("--warm-timeout", type=DURATION, help="How long to watch for the service to come back, like 2m."),
        click.option("--confirm", metavar="NAME", help="Of a protected environment: its name once more."),
        click.option("--lab", metavar="NAME", help="A lab that is up; else `default` if it is, else one for this run."),
        click.option("--image", metavar="REF", envvar="FTCHAOS_IMAGE", help="Its container image, with the digest."),
        click.option(
            "--commit", metavar="SHA", envvar="FTCHAOS_COMMIT", help="What the system under test was built of."
        ),
        click.option("-v", "--verbose", is_flag=True, help="Show the log of Chaos Toolkit as well."),
    ):
        function = option(function)
    return common(function)
