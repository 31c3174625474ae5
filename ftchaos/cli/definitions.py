"""``ftchaos drill``: list, show and run drills; and what experiments have in common with them."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from ftchaos.cli.options import common, running
from ftchaos.errors import FtchaosError

if TYPE_CHECKING:
    from ftchaos.store import Summary


@click.group()
def drill() -> None:
    """Rehearse a recovery and measure it."""


def show_all(kind: str, reports: str, as_json: bool) -> None:
    """Print each definition with its newest verdict; one that is broken does not hide the others."""
    from ftchaos import definitions, store
    from ftchaos.errors import Invalid

    rows, runs = [], store.open(reports).summaries()
    for name in definitions.names(kind):
        path = definitions.find(kind, name)
        row: dict[str, Any] = {
            "name": name, "title": "", "platforms": [], "file": str(path), "problem": "", **_newest(runs, name),
        }  # fmt: skip
        try:
            loaded = definitions.load(path)
            row |= {"title": loaded.definition.title, "platforms": loaded.extension.platforms}
        except Invalid as error:
            row["problem"] = error.fact
        rows.append(row)
    if as_json:
        click.echo(json.dumps(rows, ensure_ascii=False))
        return
    for row in rows:
        title = row["title"] + _only(row["platforms"])
        click.echo(f"{row['name']:27} {row['verdict']:12} {row['age']:>8}  {row['problem'] or title}")
    if not rows:
        click.echo(f"no {kind} here yet")
    if any(row["problem"] for row in rows):
        sys.exit(2)


def _only(platforms: Sequence[str]) -> str:
    """Where a definition is for some platforms only, which."""
    from ftchaos.definitions import PLATFORMS

    return "" if len(platforms) in (0, len(PLATFORMS)) else f" (on {' and '.join(platforms)} only)"


def _newest(runs: Sequence[Summary], name: str) -> dict[str, str]:
    """The newest run of a definition in short; *never run* without any."""
    from datetime import UTC, datetime

    from ftchaos.store import history

    run = history.newest(runs, name)
    if run is None:
        return {"verdict": "never run", "age": "", "run_id": ""}
    # Of one that cannot be read it is not known when it ended.
    age = "" if run.verdict == "unreadable" else history.age(run, datetime.now(UTC))
    return {"verdict": run.verdict, "age": age, "run_id": run.run_id}


@drill.command("list")
@common
def drill_list(reports: str, as_json: bool, **_: Any) -> None:
    """Show the drills there are, each with its newest verdict and age."""
    show_all("drill", reports, as_json)


@drill.command("show")
@click.argument("name")
def drill_show(name: str) -> None:
    """Say in plain words what a drill would do."""
    show("drill", name)


def show(kind: str, name: str) -> None:
    """Print what a definition would do."""
    from ftchaos import definitions

    loaded = definitions.load(definitions.find(kind, name))
    definition = loaded.definition
    only = _only(loaded.extension.platforms)
    click.echo(f"{definition.title}{only}\n\n{definition.description}\n\nWhat must hold before and after:")
    for activity in definition.hypothesis.probes:
        click.echo(f"  - {activity.name}")
    click.echo("What is done, in this order:")
    for number, activity in enumerate(definition.method, start=1):
        click.echo(f"  {number}. {activity.name}")
    if manners := loaded.extension.manners:
        click.echo(f"By --manner, as far as the platform knows it: {', '.join(manners)}")
    click.echo("And always at the end:")
    for activity in definition.rollbacks:
        click.echo(f"  - {activity.name}")
    if promised := loaded.extension.promises.promises().words():
        click.echo("What it promises, beside the objectives:")
        for sentence in promised:
            click.echo(f"  - {sentence}")


@drill.command("run")
@click.argument("name")
@running
def drill_run(name: str, **options: Any) -> None:
    """Run a drill by its name or file."""
    play("drill", name, **options)


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
        play("drill", "restore", **options)
    else:
        if options["lab"] or options["size"] or options["method"]:
            raise click.UsageError("--lab, --size and --method do not go with --from")
        play("drill", "restore-backup", backup=backup, binlogs=binlogs, **options)


@drill.command("config-restore")
@click.option("--namespace", "namespaces", metavar="NAME", multiple=True, help="Lose only this; may be repeated.")
@running
def drill_config_restore(namespaces: tuple[str, ...], **options: Any) -> None:
    """Delete the namespaces of the application on Kubernetes and restore them.

    They come back from a folder (--method manifests), from a git repository (git), or from Velero (velero).
    """
    play("drill", "config-restore", namespaces=",".join(namespaces) or None, **options)


def play(kind: str, name: str, *, as_json: bool, dry_run: bool, verbose: bool, **options: Any) -> None:
    """Run a definition, or preview it, and leave with its exit code."""
    from ftchaos import engine, planning, store
    from ftchaos.report import progress, terminal

    reports = options["reports"]
    # What belongs into a bucket is written here first, and published whole.
    options["reports"] = str(store.staging(reports))
    plan = planning.plan(kind, name, options)
    if dry_run:
        preview = planning.preview(plan)
        click.echo(json.dumps(preview, ensure_ascii=False) if as_json else terminal.preview(preview))
        return
    store.ensure_takes(reports)
    result = engine.run(plan, progress.for_stream(sys.stderr), verbose=verbose)
    if as_json:
        click.echo(result.evidence.model_dump_json())
    else:
        terminal.show(result.evidence, result.folder, sys.stdout)
    try:
        store.publish(reports, result.folder, lambda said: click.echo(f"ftchaos: {said}", err=True))
    except FtchaosError as error:
        # What the run came to outranks it, but a run that nobody can see has not passed.
        click.echo(f"ftchaos: {error}", err=True)
        sys.exit(result.exit_code or error.exit_code)
    sys.exit(result.exit_code)
