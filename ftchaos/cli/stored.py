"""What commands that read stores have in common: their options, and how a run is named."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from collections.abc import Callable

    from ftchaos.store import Store, Summary

F = TypeVar("F", bound="Callable[..., Any]")

reports_option = click.option(
    "--reports", default="reports", show_default=True, metavar="DIR", help="Where evidence is; or s3://BUCKET/PREFIX."
)
as_json_option = click.option("--json", "as_json", is_flag=True, help="Print exactly one JSON document.")


def filters(function: F) -> F:
    """``--name``, ``--environment``, ``--verdict`` and ``--since``."""
    for option in (
        click.option("--since", metavar="TIME", help="Not before: 2026-11-01, or 30d ago."),
        click.option("--verdict", type=click.Choice(["passed", "failed", "inconclusive", "unreadable"])),
        click.option("--environment", metavar="NAME", help="Only of this environment."),
        click.option("--name", metavar="NAME", help="Only of this drill or experiment."),
    ):
        function = option(function)
    return function


def fitting(
    there: Store, *, name: str | None, environment: str | None, verdict: str | None, since: str | None
) -> list[Summary]:
    """The runs of a store that fit the options."""
    from datetime import UTC, datetime

    from ftchaos.store import history

    from_at = history.since(since, datetime.now(UTC)) if since else None
    return history.fitting(
        there.summaries(), name=name or "", environment=environment or "", verdict=verdict or "", since=from_at
    )


def find(reports: str, run: str | None) -> tuple[Store | None, Path]:
    """A run by its id, the begin of its id, or its folder; the newest by default.

    Returns:
        Its store, None for a folder of its own; and its folder.

    Raises:
        Invalid: there is none, or several fit.
    """
    from ftchaos import store
    from ftchaos.errors import Invalid

    if run and (Path(run) / "evidence.json").is_file():
        return None, Path(run)
    there = store.open(reports)
    ids = [one.run_id for one in there.summaries()]
    found = [run] if run in ids else [one for one in ids if one.startswith(run)] if run else ids[:1]
    if len(found) == 1:
        return there, there.folder(str(found[0]))
    if found:
        raise Invalid(f"{len(found)} runs in {reports} begin with {run!r}", f"one of them is {found[0]}")
    raise Invalid(
        f"no run {run!r} in {reports}" if run else f"no runs in {reports}",
        "`ftchaos report list` shows what there is; --reports DIR looks elsewhere",
    )
