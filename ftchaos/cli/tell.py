"""``ftchaos tell``: tell the configured places of a run again, or try whether messages arrive."""

from __future__ import annotations

import json
import sys

import click

from ftchaos.cli.stored import as_json_option, find, reports_option

WAIT_S = 30.0


@click.command()
@click.argument("run", required=False)
@click.option("--to", "names", multiple=True, metavar="NAME", help="Only this place of the configuration; repeatable.")
@click.option("--test", "trial", is_flag=True, help="Send a test message instead of a run.")
@click.option("--config", metavar="FILE", help="Configuration; ./ftchaos.yaml if there is one.")
@reports_option
@as_json_option
def tell(run: str | None, names: tuple[str, ...], trial: bool, config: str | None, reports: str, as_json: bool) -> None:
    """Tell people and dashboards of a run, or test it.

    Every place of the configuration is told what it wants of the end and the verdict of a run, the newest by default.
    Exit code 1 when one of them was not reached.
    """
    from pathlib import Path

    from ftchaos import config as configuration
    from ftchaos import evidence, telling
    from ftchaos.telling import event

    if trial and run:
        raise click.UsageError("--test takes no run")
    loaded = configuration.load(Path(config) if config else None)
    whom = telling.chosen(telling.places(loaded), names)
    if trial:
        what = [event.test()]
    else:
        found = evidence.read(find(reports, run)[1])
        what = [event.end(found), event.verdict(found)]
    outcomes = telling.tell(whom, what, WAIT_S)
    if as_json:
        click.echo(json.dumps([vars(one) for one in outcomes]))
    else:
        for one in whom:
            sent = sum(outcome.deliveries for outcome in outcomes if outcome.place == one.name)
            missed = telling.problems([outcome for outcome in outcomes if outcome.place == one.name])
            click.echo("\n".join(missed) if missed else f"{one.name}: {_sent(sent)}")
    sys.exit(1 if any(one.problem for one in outcomes) else 0)


def _sent(count: int) -> str:
    return f"told, in {count} message{'' if count == 1 else 's'}" if count else "wants nothing of this"
