"""``ftchaos stop``: ask a run under way to heal and end."""

from __future__ import annotations

import json

import click


@click.command()
@click.argument("run", required=False)
@click.option("--reason", default="", metavar="TEXT", help="Why; it ends in the evidence.")
@click.option("--json", "as_json", is_flag=True, help="Print exactly one JSON document.")
def stop(run: str | None, reason: str, as_json: bool) -> None:
    """Have a run under way heal what it harmed, and end.

    RUN is its id, and may be left out where only one is under way.
    """
    from ftchaos import recover

    note = recover.stop(run, reason or "`ftchaos stop` was called")
    if as_json:
        click.echo(json.dumps({"run_id": note.run_id, "environment": note.environment}))
    else:
        click.echo(f"{note.run_id} in the environment '{note.environment}' heals now, and ends")
