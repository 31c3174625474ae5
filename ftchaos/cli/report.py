"""``ftchaos report``: read and check the evidence of earlier runs."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

_reports = click.option("--reports", default="reports", show_default=True, metavar="DIR", help="Where evidence is.")
_json = click.option("--json", "as_json", is_flag=True, help="Print exactly one JSON document.")


@click.group()
def report() -> None:
    """Read and check the evidence of earlier runs."""


@report.command("list")
@_reports
@_json
def list_(reports: str, as_json: bool) -> None:
    """Show all runs, newest first."""
    from ftchaos import evidence

    runs = evidence.runs(Path(reports))
    if as_json:
        click.echo(json.dumps(runs))
        return
    for run in runs:
        click.echo(f"{run['run_id']}  {run['verdict']:12} {run['environment']:12} {run['sentence']}")
    if not runs:
        click.echo(f"no runs in {reports}")


@report.command()
@click.argument("run", required=False)
@_reports
@_json
def show(run: str | None, reports: str, as_json: bool) -> None:
    """Show the summary of a run, the newest by default."""
    from ftchaos import evidence

    folder = evidence.find(Path(reports), run)
    found = evidence.read(folder)
    if as_json:
        click.echo(found.model_dump_json())
        return
    from ftchaos.report import terminal

    terminal.show(found, folder, sys.stdout)


@report.command("open")
@click.argument("run", required=False)
@_reports
def open_(run: str | None, reports: str) -> None:
    """Open the report of a run in the browser."""
    from ftchaos import evidence

    page = evidence.find(Path(reports), run) / "report.html"
    click.echo(str(page))
    click.launch(str(page))


@report.command()
@click.argument("run", required=False)
@click.option("--all", "every", is_flag=True, help="Every run there is.")
@_reports
@_json
def verify(run: str | None, every: bool, reports: str, as_json: bool) -> None:
    """Hold a run's files against its manifest, and its evidence against its raw data."""
    from ftchaos import evidence, verification

    if every:
        folders = [evidence.find(Path(reports), one["run_id"]) for one in evidence.runs(Path(reports))]
    else:
        folders = [evidence.find(Path(reports), run)]
    problems = {folder.name: verification.verify(folder) for folder in folders}
    if as_json:
        click.echo(json.dumps(problems))
    else:
        for name, found in problems.items():
            click.echo(
                f"{name}: " + ("every file is as it was, and the raw data gives the same verdict" if not found else "")
            )
            for problem in found:
                click.echo(f"  {problem}")
    sys.exit(1 if any(problems.values()) else 0)
