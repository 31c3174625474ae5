"""``ftchaos experiment``: list, show, validate and run, alone or in series."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from ftchaos.cli.definitions import play, show, show_all
from ftchaos.cli.options import common, running

POLITE = "mysql-primary-failover"


@click.group()
def experiment() -> None:
    """Break something and see what stays true."""


@experiment.command("list")
@common
def experiment_list(reports: str, as_json: bool, **_: Any) -> None:
    """Show the experiments there are, each with its newest verdict and age."""
    show_all("experiment", reports, as_json)


@experiment.command("validate")
@click.argument("name")
def experiment_validate(name: str) -> None:
    """Check a definition by its name or file, and run nothing."""
    from ftchaos import definitions

    loaded = definitions.load(definitions.find("experiment", name))
    click.echo(f"{loaded.path}: valid, {len(loaded.definition.method)} activities")


@experiment.command("show")
@click.argument("name")
def experiment_show(name: str) -> None:
    """Say in plain words what a definition would do."""
    show("experiment", name)


@experiment.command("run")
@click.argument("name", required=False)
@click.option("--all", "everything", is_flag=True, help="Run every experiment, one after the other.")
@click.option("--matrix", is_flag=True, help="Run it as kill, lag and partition, as configured and weaker.")
@click.option("--pair", is_flag=True, help="Run the managed failover as well, and report the difference.")
@click.option(
    "--zone", metavar="ZONE", help="The zone to take; else that of the MySQL primary, where one is known; see `show`."
)
@click.option("--manner", metavar="MANNER", help="How the fault is done: kill, lag, partition, ...; see `show`.")
@click.option(
    "--durability",
    type=click.Choice(["configured", "weaker"]),
    help="weaker: asynchronous replication in place of semi-synchronous.",
)
@running
def experiment_run(
    name: str | None, *, everything: bool, matrix: bool, pair: bool, as_json: bool, verbose: bool, **options: Any
) -> None:
    """Run an experiment by its name or file."""
    if sum((everything, matrix, pair)) > 1:
        raise click.UsageError("--all, --matrix and --pair exclude each other")
    if everything == (name is not None):
        raise click.UsageError("name one experiment, or say --all")
    if everything or matrix or pair:
        _ensure_chosen_by_series(everything, matrix, options)
    if not (everything or matrix or pair):
        play("experiment", str(name), as_json=as_json, verbose=verbose, **options)
        return
    if options.pop("dry_run"):
        raise click.UsageError("--dry-run goes with one run")
    _series(str(name), everything, matrix, as_json, verbose, options)


def _ensure_chosen_by_series(everything: bool, matrix: bool, options: dict[str, Any]) -> None:
    """Refuse what would make every run of a series the same."""
    own = ["manner"] + ["durability"] * matrix + ["zone"] * everything
    for name in own:
        if options.get(name):
            raise click.UsageError(f"--{name} goes with one run: a series chooses it itself")


def _series(name: str, everything: bool, matrix: bool, as_json: bool, verbose: bool, options: dict[str, Any]) -> None:
    from ftchaos import config, definitions, series
    from ftchaos.report import series as tables

    if everything:
        known = config.load(Path(options["config"]) if options["config"] else None)
        platform = known.environment(options["environment"]).platform
        fit = definitions.names_for("experiment", platform)
        if others := [one for one in definitions.names("experiment") if one not in fit]:
            click.echo(f"not for the platform {platform}, so left out: {', '.join(others)}", err=True)
        choices = [series.Choice(one) for one in fit]
    elif matrix:
        choices = series.matrix(name)
    else:
        choices = series.pair(name, POLITE)
    common_arguments = [
        f"--{key.replace('_', '-')}={value}{'s' if isinstance(value, float) else ''}"
        for key, value in options.items()
        if value not in (None, "", False)
    ]
    outcomes = series.run(choices, common_arguments, lambda text: click.echo(text, err=True), verbose=verbose)
    rows = [tables.row(one.evidence, {"name": one.choice.name, **one.choice.options}, one.error) for one in outcomes]
    code = series.exit_code(outcomes)
    if matrix:
        found = tables.matrix(rows)
        code = code if code in (4, 70, 130, 2, 5) else found.exit_code
        text, data = found.text, found.data
    elif everything:
        text, data = tables.table(rows), tables.data(rows)
    else:
        text, data = tables.pair(*rows) if len(rows) == 2 else (tables.table(rows), tables.data(rows))
    click.echo(json.dumps(data, ensure_ascii=False) if as_json else text)
    sys.exit(code)
