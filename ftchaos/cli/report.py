"""``ftchaos report``: read and check the evidence of earlier runs."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import click

from ftchaos.cli.records import annotate, keygen, publish
from ftchaos.cli.stored import as_json_option, filters, find, fitting, reports_option
from ftchaos.cli.trends import export, site, trend

if TYPE_CHECKING:
    from collections.abc import Iterable


@click.group()
def report() -> None:
    """Read and check the evidence of earlier runs."""


@report.command("list")
@filters
@reports_option
@as_json_option
def list_(reports: str, as_json: bool, **asked: Any) -> None:
    """Show the runs that fit, newest first."""
    from dataclasses import asdict

    from ftchaos import store

    runs = fitting(store.open(reports), **asked)
    if as_json:
        click.echo(json.dumps([asdict(run) for run in runs], ensure_ascii=False))
        return
    for run in runs:
        click.echo(f"{run.run_id}  {run.verdict:12} {run.environment:12} {run.reason or run.summary}")
    if not runs:
        click.echo(f"no runs in {reports}" + (" that fit" if any(asked.values()) else ""))


@report.command()
@click.argument("run", required=False)
@reports_option
@as_json_option
def show(run: str | None, reports: str, as_json: bool) -> None:
    """Show the summary of a run, the newest by default, with what was added to it."""
    from ftchaos import evidence
    from ftchaos.store.annotation import annotated

    there, folder = find(reports, run)
    said = there.annotations(folder.name) if there else []
    found = annotated(evidence.read(folder), said)
    if as_json:
        click.echo(found.model_dump_json())
        return
    from ftchaos.report import terminal

    terminal.show(found, folder, sys.stdout)
    for one in said:
        words = [*one.participants, *one.deviations, *one.lessons]
        words += [f"{action.what} ({action.owner}, {action.due}, {action.status})" for action in one.actions]
        click.echo(f"added {one.at[:10]} by {one.by}: {'; '.join(words)}")


@report.command("open")
@click.argument("run", required=False)
@reports_option
def open_(run: str | None, reports: str) -> None:
    """Open the report of a run in the browser, with what was added to it."""
    from ftchaos import evidence, manifest, state
    from ftchaos.atomic import write
    from ftchaos.report import html
    from ftchaos.store.annotation import annotated

    there, folder = find(reports, run)
    page = folder / "report.html"
    if there and (said := there.annotations(folder.name)):
        # The report in the run's folder is evidence, and stays as it is.
        page = state.cache() / "pages" / f"{folder.name}.html"
        page.parent.mkdir(parents=True, exist_ok=True)
        write(page, html.render(annotated(evidence.read(folder), said), manifest.read(folder)["files"]))
    click.echo(str(page))
    click.launch(str(page))


@report.command()
@click.argument("run", required=False)
@click.option("--all", "every", is_flag=True, help="Every run there is, and the chain of all of them.")
@click.option(
    "--trust", multiple=True, metavar="KEY", help="Public key file or key id that must have signed; repeatable."
)
@reports_option
@as_json_option
def verify(run: str | None, every: bool, trust: tuple[str, ...], reports: str, as_json: bool) -> None:
    """Hold runs against their manifests, signatures, chain and raw data.

    Every difference is named with its file and value, and the exit code is 1. The chain is held from the run on to
    the newest one; with --all, whole. Where there is no run at all nothing is verified, and the exit code is 3.
    """
    from ftchaos import signing, store, verification

    trusted = signing.trusted(trust)
    there, folder = (store.open(reports), None) if every else find(reports, run)
    if there is None:
        assert folder is not None
        found: Iterable[tuple[str, list[str]]] = [(folder.name, verification.verify(folder))]
    else:
        found = verification.examine(there, None if folder is None else folder.name, trusted)
    problems = {}
    for name, wrong in found:
        problems[name or "chain"] = wrong
        if not as_json:
            _say(name, wrong)
    if as_json:
        click.echo(json.dumps(problems))
    nothing = not problems.keys() - {"chain"}
    if nothing:
        click.echo(f"no runs in {reports}: nothing was verified", err=True)
    sys.exit(1 if any(problems.values()) else 3 if nothing else 0)


def _say(name: str, wrong: list[str]) -> None:
    good = "every file is as it was, and the raw data gives the same verdict" if name else "no run is missing"
    click.echo(f"{name or 'chain'}: {'' if wrong else good}".rstrip())
    for problem in wrong:
        click.echo(f"  {problem}")


for command in (annotate, export, keygen, publish, site, trend):
    report.add_command(command)
