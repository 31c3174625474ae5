"""``ftchaos gameday``: run, next, schedule, and what people do meanwhile: note, approve, stop."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from ftchaos.gameday.calendar import Due
    from ftchaos.gameday.day import Day
    from ftchaos.gameday.hold import Asked
    from ftchaos.gameday.plan import Loaded

_json = click.option("--json", "as_json", is_flag=True, help="Print exactly one JSON document.")
_reports = click.option("--reports", default="reports", show_default=True, metavar="DIR", help="Where evidence lands.")
_config = click.option("--config", metavar="FILE", help="Configuration; ./ftchaos.yaml if there is one.")
_environment = click.option("--environment", metavar="NAME", help="Where to run; else where the plan says.")
_by = click.option("--by", default="", metavar="NAME", help="Who says so; you by default.")


@click.group()
def gameday() -> None:
    """People, experiments and drills in one plan."""


@gameday.command()
@click.argument("plan")
@click.option("--dry-run", is_flag=True, help="Walk through it, and do nothing.")
@click.option("--resume", is_flag=True, help="Go on with the day of this plan that died, where it was.")
@click.option("--lab", default="", metavar="NAME", help="A lab that is up, for every part.")
@click.option("--confirm", default="", metavar="NAME", help="Of a protected environment: its name once more.")
@click.option(
    "--image", default="", metavar="REF", envvar="FTCHAOS_IMAGE", help="Its container image, with the digest."
)
@click.option("--commit", default="", metavar="SHA", envvar="FTCHAOS_COMMIT", help="What is under test was built of.")
@click.option("--approvals", metavar="DIR", help="Where a file PART.json approves a manual part once.")
@_environment
@_config
@_reports
@_json
@click.option("-v", "--verbose", is_flag=True, help="Show the log of Chaos Toolkit as well.")
def run(plan: str, *, dry_run: bool, resume: bool, as_json: bool, **options: Any) -> None:
    """Hold a game day by its plan's name or file."""
    from ftchaos.gameday import plan as plans
    from ftchaos.gameday.hold import Asked

    if dry_run and resume:
        raise click.UsageError("--dry-run and --resume exclude each other")
    loaded = plans.load(plans.find(plan))
    plans.ensure_playable(loaded)
    paths = {key: Path(options[key]) if options[key] else None for key in ("config", "approvals")}
    asked = Asked(**{**options, **paths, "environment": options["environment"] or ""})
    if dry_run:
        _walk(loaded, asked, as_json)
    from ftchaos.gameday import hold

    day, note = (hold.resume if resume else hold.begin)(loaded, asked, _tell)
    _show(day, Path(note.folder), as_json)
    sys.exit(day.exit_code)


def _walk(loaded: Loaded, asked: Asked, as_json: bool) -> None:
    """Show each part as it would be, each definition by its own dry run."""
    from ftchaos.gameday import walk

    environment = asked.environment or loaded.plan.environment
    steps = walk.walk(loaded.plan, asked.common(environment, asked.reports, asked.commit, asked.image))
    if as_json:
        shown = [dataclasses.asdict(step) for step in steps]
        click.echo(json.dumps({"name": loaded.plan.name, "environment": environment, "parts": shown}))
    else:
        click.echo(walk.text(loaded.plan, environment, steps))
    sys.exit(max(step.exit_code for step in steps))


@gameday.command("next")
@click.argument("plans", nargs=-1, metavar="[PLAN]...")
@_environment
@_reports
@_json
def next_(plans: tuple[str, ...], environment: str | None, reports: str, as_json: bool) -> None:
    """Show the calendar, and what is overdue; all plans by default.

    Exit code 1 when a game day was missed.
    """
    from datetime import UTC, datetime

    from ftchaos import definitions, store
    from ftchaos.gameday import calendar
    from ftchaos.gameday import plan as loading

    runs, at = store.open(reports).summaries(), datetime.now(UTC)
    loaded = [loading.load(loading.find(name)) for name in plans or definitions.names("gameday")]
    dues = [calendar.overdue(one.plan, runs, at, environment or "") for one in loaded]
    if as_json:
        click.echo(json.dumps([_due(due) for due in dues]))
    else:
        for due in dues:
            click.echo(f"{due.name:27} {due.environment:12} {due.sentence}")
    sys.exit(1 if any(due.overdue for due in dues) else 0)


def _due(due: Due) -> dict[str, Any]:
    from ftchaos.clock import iso

    return {
        "name": due.name,
        "environment": due.environment,
        "next_at": due.next_at and iso(due.next_at),
        "due_at": due.due_at and iso(due.due_at),
        "last_run_id": due.last.run_id if due.last else None,
        "last_verdict": due.last.verdict if due.last else None,
        "overdue": due.overdue,
    }


@gameday.command()
@click.argument("plan")
@click.option("--to", required=True, type=click.Choice(["kubernetes", "systemd", "github"]), help="For whom.")
@click.option("--image", default="", metavar="REF", help="Of Kubernetes: a container image that has ftchaos.")
@click.option("--namespace", default="ftchaos", show_default=True, metavar="NAME", help="Of Kubernetes.")
@click.option(
    "--folder", default="/var/lib/ftchaos", show_default=True, metavar="DIR", help="Of systemd: where it runs."
)
@click.option("--user", default="ftchaos", show_default=True, metavar="NAME", help="Of systemd: as whom.")
@click.option("--output", metavar="DIR", help="Of systemd: write the units there.")
@_environment
@_config
def schedule(plan: str, to: str, environment: str | None, config: str | None, output: str | None, **given: str) -> None:
    """Print a plan for the scheduler that you have."""
    import shutil

    from ftchaos import config as configuration
    from ftchaos.gameday import plan as plans
    from ftchaos.gameday import schedule as schedules
    from ftchaos.gameday import systemd

    loaded = plans.load(plans.find(plan))
    plans.ensure_playable(loaded)
    where = environment or loaded.plan.environment
    configured = configuration.load(Path(config) if config else None)
    settings = configured.environment(where)
    wanted = schedules.Wanted(
        loaded,
        plan,
        where,
        settings.platform,
        configured.path.read_bytes() if configured.path else None,
        given["image"],
        given["namespace"],
        shutil.which("ftchaos") or "/usr/bin/ftchaos",
        Path(given["folder"]),
        given["user"],
        settings.kubernetes,
    )
    text = schedules.text(wanted, to)
    if output is None:
        click.echo(text, nl=False)
        return
    if to != "systemd":
        raise click.UsageError("--output goes with --to systemd, which has two files")
    for name, unit in systemd.files(wanted).items():
        _write(Path(output) / name, unit)


def _write(path: Path, text: str) -> None:
    from ftchaos import atomic
    from ftchaos.errors import Invalid

    try:
        atomic.write(path, text)
    except OSError as error:
        raise Invalid(f"{path} cannot be written: {error.strerror}", "name a folder of yours") from error
    click.echo(str(path))


@gameday.command()
@click.argument("text", nargs=-1, required=True)
@click.option("--lesson", is_flag=True, help="It is something that was learnt.")
@click.option("--action", is_flag=True, help="It is something to be done.")
@click.option("--owner", default="", metavar="NAME", help="Of an action.")
@click.option("--due", default="", metavar="DATE", help="Of an action, like 2026-12-14.")
@_by
def note(text: tuple[str, ...], lesson: bool, action: bool, owner: str, due: str, by: str) -> None:
    """Write into the game day that is under way."""
    if (lesson and action) or ((owner or due) and not action):
        raise click.UsageError("--lesson and --action exclude each other; --owner and --due belong to an action")
    from datetime import date

    from ftchaos.errors import Invalid

    try:
        date.fromisoformat(due or "2026-12-14")
    except ValueError as error:
        raise Invalid(f"{due!r} is not a date", "write it like 2026-12-14") from error
    what = "lesson" if lesson else "action" if action else "note"
    _say(what, by, "", text=" ".join(text), owner=owner, due=due)


@gameday.command()
@click.argument("part")
@click.option("--reject", is_flag=True, help="Say no; the part has failed then.")
@click.option("--reason", default="", metavar="TEXT", help="Why, or what was seen.")
@_by
def approve(part: str, reject: bool, reason: str, by: str) -> None:
    """Confirm a manual part that waits, or end a pause early."""
    _say("rejected" if reject else "approved", by, part, text=reason)


def _say(what: Any, by: str, part: str, **said: str) -> None:
    from ftchaos.errors import Refused
    from ftchaos.gameday import folder, live, people, steps
    from ftchaos.gameday.record import Record

    found = live.under_way()
    record = Record(Path(found.folder))
    if part:
        waiting = steps.under_way(record.entries())
        kind = folder.kept_plan(Path(found.folder)).plan.part(part).kind
        if waiting is None or waiting.part != part or kind not in ("manual", "pause"):
            now = f"{waiting.part} is under way" if waiting else "nothing is under way"
            raise Refused(f"{part} does not wait for anybody; {now}", "approve it when it asks")
    entry = record.append(what, by=by or people.person(), part=part, **said)
    click.echo(f"{found.run_id}: {entry.what} by {entry.by}{f': {entry.text}' if entry.text else ''}")


@gameday.command()
@click.option("--died", is_flag=True, help="Only one that died; the exit code is 0 where none had begun.")
@click.option("--reason", default="", metavar="TEXT", help="Why; it ends in the evidence.")
@_by
@_config
@_json
def stop(died: bool, reason: str, by: str, config: str | None, as_json: bool) -> None:
    """Stop all: the part under way heals and ends, and no other begins.

    A game day that died is ended as well: what it left is healed, and its evidence completed.
    """
    from ftchaos.gameday import hold, live, people, steps
    from ftchaos.gameday.record import Record

    found = live.unfinished()
    if died and (found is None or found.alive):
        click.echo(json.dumps({"run_id": None}) if as_json else "no game day died here")
        return
    if found is None or found.alive:
        found = live.under_way()
    said = {"by": by or people.person(), "text": reason or "`ftchaos gameday stop` was called"}
    day = None
    if found.alive:
        Record(Path(found.folder)).append("stopped", **said)
        text = f"{found.run_id} stops now; the part under way heals, and ends"
    else:
        day = hold.end(found, said["by"], said["text"], _tell, Path(config) if config else None)
        text = f"{found.run_id} had died; it is ended now: {day.verdict if day else 'nothing of it had begun'}"
    click.echo(json.dumps({"run_id": found.run_id}) if as_json else text)
    # Whoever asks for the dead alone is to know that there was one, whatever it came to.
    sys.exit((day.exit_code or steps.INTERRUPTED) if died and day else 0)


def _show(day: Day, where: Path, as_json: bool) -> None:
    if as_json:
        click.echo(day.model_dump_json())
        return
    from ftchaos import evidence
    from ftchaos.report import terminal

    terminal.show(evidence.read(where), Path(os.path.relpath(where)), sys.stdout)


def _tell(text: str) -> None:
    """One line on standard error, whatever is in it."""
    click.echo(" ".join("".join(letter if letter.isprintable() else " " for letter in text).split()), err=True)
