"""``ftchaos report trend | site | export``: many runs at once, for people, browsers, programs and auditors."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ftchaos.cli.stored import as_json_option, filters, fitting, reports_option

if TYPE_CHECKING:
    from ftchaos.report.site import Reports
    from ftchaos.store import Store, Summary

_every = click.option("--every", metavar="PERIOD", help="How often it is to run, like 30d or 13w: says when it is due.")


@click.command()
@click.argument("name")
@click.option("--environment", metavar="NAME", help="Only of this environment.")
@click.option("--since", metavar="TIME", help="Not before: 2026-11-01, or 30d ago.")
@click.option("--html", "page", type=click.Path(path_type=Path), metavar="FILE", help="Write it as one page, too.")
@_every
@reports_option
@as_json_option
def trend(
    name: str,
    environment: str | None,
    since: str | None,
    page: Path | None,
    every: str | None,
    reports: str,
    as_json: bool,
) -> None:
    """Show a drill or experiment over time, each run against the median of those before it."""
    from datetime import UTC, datetime

    from ftchaos import atomic, store
    from ftchaos.report import trend as trends
    from ftchaos.store import history

    there, now = store.open(reports), datetime.now(UTC)
    runs = fitting(there, name=name, environment=environment, verdict=None, since=since)
    due = history.due(runs, history.period_s(every), now) if every else None
    points = history.points(runs)
    title = f"{name} in {environment}" if environment else name
    if page is not None:
        where = _linked(there, page.parent)
        hrefs = {run.run_id: href for run in runs if (href := where.href(run.run_id))}
        atomic.write(page, trends.page(title, points, due, hrefs, now))
        click.echo(str(page), err=True)
    if as_json:
        click.echo(json.dumps(trends.data(points, due), ensure_ascii=False))
    else:
        click.echo(trends.text(title, points, due))


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--copy", is_flag=True, help="Copy the reports into it, so that it can be served from anywhere.")
@_every
@reports_option
def site(folder: Path, copy: bool, every: str | None, reports: str) -> None:
    """Write a static site of all runs: an index, and a page for each drill and experiment over time."""
    from datetime import UTC, datetime

    from ftchaos import store
    from ftchaos.report import site as sites
    from ftchaos.store import history

    there, now = store.open(reports), datetime.now(UTC)
    runs = there.summaries()
    folder.mkdir(parents=True, exist_ok=True)
    where = _copied(there, runs, folder) if copy else _linked(there, folder)
    period_s = history.period_s(every) if every else None
    written = sites.write(
        folder, runs, where, now, lambda its: None if period_s is None else history.due(its, period_s, now)
    )
    click.echo(f"{written[0]}: {len(runs):,} runs, {len(written) - 1:,} pages over time")


@click.command()
@click.argument("format", type=click.Choice(["csv", "json", "fields", "bundle"]))
@click.option("--output", "-o", type=click.Path(path_type=Path), metavar="FILE", help="A bundle needs one.")
@filters
@reports_option
def export(format: str, output: Path | None, reports: str, **asked: Any) -> None:
    """Give runs to others: CSV, JSON, the fields that auditors ask for, or a bundle to verify offline."""
    from ftchaos import atomic, evidence, store
    from ftchaos.report import export as exports

    there = store.open(reports)
    runs = fitting(there, **asked)
    if format in ("csv", "json"):
        text = exports.as_csv(runs) if format == "csv" else exports.as_json(runs)
    else:
        whole = [run for run in runs if run.verdict != "unreadable"]
        said = {run.run_id: there.annotations(run.run_id) for run in whole}
        text = exports.as_fields((evidence.read(there.folder(run.run_id)), said[run.run_id]) for run in whole)
    if format == "bundle":
        if output is None:
            raise click.UsageError("a bundle needs --output FILE.zip")
        folders = [there.folder(run.run_id) for run in runs]
        folders += [there.folder(one.id) for annotations in said.values() for one in annotations]
        exports.bundle(output, there.location, folders, there.links(), text)
        click.echo(f"{output}: {len(runs):,} runs; SHA256SUMS and README.txt in it say how to verify them")
    elif output is None:
        click.echo(text, nl=False)
    else:
        atomic.write(output, text)


def _linked(there: Store, folder: Path) -> Reports:
    """Where the reports of a folder are, seen from another one; those in a bucket cannot be led to."""
    from urllib.parse import quote

    from ftchaos.report.site import Reports
    from ftchaos.store.folder import FolderStore

    if not isinstance(there, FolderStore):
        return Reports(None, "", {})
    relative = os.path.relpath(there.path.resolve(), folder.resolve())
    return Reports(quote(relative) + "/", "/report.html", {})


def _copied(there: Store, runs: list[Summary], folder: Path) -> Reports:
    """The reports of all runs, copied below a folder; those of annotated runs drawn again with what was added."""
    import shutil

    from ftchaos import atomic, evidence, manifest
    from ftchaos.report import html
    from ftchaos.report.site import Reports
    from ftchaos.store.annotation import annotated

    (folder / "runs").mkdir(exist_ok=True)
    said = there.annotated()
    for run in runs:
        page, its = folder / "runs" / f"{run.run_id}.html", there.folder(run.run_id)
        if run.run_id in said and run.verdict != "unreadable":
            found = annotated(evidence.read(its), there.annotations(run.run_id))
            atomic.write(page, html.render(found, manifest.read(its)["files"]))
        elif (its / "report.html").is_file() and not page.exists():
            shutil.copyfile(its / "report.html", page)
    return Reports("runs/", ".html", {})
