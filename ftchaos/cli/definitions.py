"""``ftchaos drill`` and ``ftchaos experiment``: list, show, validate and run definitions."""

from __future__ import annotations

import json
import sys
from typing import Any

import click

from ftchaos.cli.options import running


@click.group()
def drill() -> None:
    """Rehearse a recovery and measure it."""


@click.group()
def experiment() -> None:
    """Break something and see what stays true."""


def _list(kind: str, as_json: bool) -> None:
    from ftchaos import definitions

    rows = []
    for name in definitions.names(kind):
        loaded = definitions.load(definitions.find(kind, name))
        rows.append({"name": name, "title": loaded.definition.title, "file": str(loaded.path)})
    if as_json:
        click.echo(json.dumps(rows, ensure_ascii=False))
        return
    for row in rows:
        click.echo(f"{row['name']:24} {row['title']}")
    if not rows:
        click.echo(f"no {kind} here yet")


@drill.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print exactly one JSON document.")
def drill_list(as_json: bool) -> None:
    """Show the drills there are."""
    _list("drill", as_json)


@experiment.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print exactly one JSON document.")
def experiment_list(as_json: bool) -> None:
    """Show the experiments there are."""
    _list("experiment", as_json)


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
    _show("experiment", name)


@drill.command("show")
@click.argument("name")
def drill_show(name: str) -> None:
    """Say in plain words what a drill would do."""
    _show("drill", name)


def _show(kind: str, name: str) -> None:
    from ftchaos import definitions

    loaded = definitions.load(definitions.find(kind, name))
    definition = loaded.definition
    click.echo(f"{definition.title}\n\n{definition.description}\n\nWhat must hold before and after:")
    for activity in definition.hypothesis.probes:
        click.echo(f"  - {activity.name}")
    click.echo("What is done, in this order:")
    for number, activity in enumerate(definition.method, start=1):
        click.echo(f"  {number}. {activity.name}")
    click.echo("And always at the end:")
    for activity in definition.rollbacks:
        click.echo(f"  - {activity.name}")


@experiment.command("run")
@click.argument("name")
@running
def experiment_run(name: str, **options: Any) -> None:
    """Run an experiment by its name or file."""
    _run("experiment", name, **options)


@drill.command("run")
@click.argument("name")
@running
def drill_run(name: str, **options: Any) -> None:
    """Run a drill by its name or file."""
    _run("drill", name, **options)


@drill.command("restore")
@click.option("--from", "backup", metavar="PATH", help="A backup of your own, in place of the lab's.")
@click.option("--binlogs", metavar="DIR", help="With --from: binary logs to replay on top of it.")
@running
def drill_restore(backup: str | None, binlogs: str | None, **options: Any) -> None:
    """Destroy the database tier under load and come back from backup.

    With --from, restore a backup of your own into a throw-away server instead; nothing is harmed.
    """
    if backup is None:
        if binlogs is not None:
            raise click.UsageError("--binlogs goes with --from")
        _run("drill", "restore", **options)
    else:
        if options["lab"] or options["size"] or options["method"]:
            raise click.UsageError("--lab, --size and --method do not go with --from")
        _run("drill", "restore-backup", backup=backup, binlogs=binlogs, **options)


def _run(kind: str, name: str, *, as_json: bool, dry_run: bool, verbose: bool, **options: Any) -> None:
    from ftchaos import engine
    from ftchaos.report import progress, terminal

    plan = engine.plan(kind, name, options)
    if dry_run:
        preview = engine.preview(plan)
        click.echo(json.dumps(preview, ensure_ascii=False) if as_json else terminal.preview(preview))
        return
    result = engine.run(plan, progress.for_stream(sys.stderr), verbose=verbose)
    if as_json:
        click.echo(result.evidence.model_dump_json())
    else:
        terminal.show(result.evidence, result.folder, sys.stdout)
    sys.exit(result.exit_code)
