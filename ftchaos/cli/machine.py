"""``ftchaos recover`` and ``ftchaos doctor``: this machine and what was left on it."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, NoReturn

import click

from ftchaos.errors import FtchaosError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ftchaos.recover import Recovered


@click.command()
@click.option("--dry-run", is_flag=True, help="Only say what would be undone.")
@click.option("--environment", metavar="NAME", help="Sweep this one too, for what any machine ever left in it.")
@click.option("--config", metavar="FILE", help="Configuration; ./ftchaos.yaml if there is one.")
@click.option("--json", "as_json", is_flag=True, help="Print exactly one JSON document.")
def recover(dry_run: bool, environment: str | None, config: str | None, as_json: bool) -> None:
    """Undo whatever an interrupted run left behind.

    A second call finds nothing to do. Exit code 4 when something remains, 3 when something could not be looked at.
    """
    from ftchaos import recover as recovering
    from ftchaos import state

    found = recovering.recover(dry_run=dry_run, progress=lambda text: click.echo(text, err=True))
    harmed = any(one.failed for one in found)
    if environment is not None:
        try:
            sys.exit(max(4 if harmed else 0, _sweep(found, environment, config, dry_run, as_json)))
        except FtchaosError as error:
            for one in found:  # what was healed before is said all the same, and what was not outranks the refusal
                click.echo(one.sentence, err=True)
            if not harmed:
                raise
            click.echo(str(error), err=True)
            sys.exit(4)
    if as_json:
        click.echo(json.dumps([asdict(one) for one in found]))
    elif not found:
        click.echo(f"nothing to recover in {state.root()}")
    else:
        for one in found:
            click.echo(one.sentence)
    sys.exit(4 if harmed else 0)


def _sweep(found: Sequence[Recovered], environment: str, config: str | None, dry_run: bool, as_json: bool) -> int:
    """Sweep an environment after the recovery of this machine's runs, and print both; the sweep's exit code."""
    from pathlib import Path

    from ftchaos import config as configuration
    from ftchaos import recover as recovering

    loaded = configuration.load(Path(config) if config else None)
    swept = recovering.sweep(loaded, environment, dry_run=dry_run, progress=lambda text: click.echo(text, err=True))
    if as_json:
        click.echo(json.dumps({"runs": [asdict(one) for one in found], "sweep": asdict(swept)}))
        return swept.exit_code
    lines = [one.sentence for one in found]
    went = "would go" if dry_run else "gone"
    for word, some in ((went, swept.gone), ("left alone", swept.left), ("NOT REMOVED", swept.failed)):
        lines += [f"{word:11} {one.words}" for one in some]
    lines += [f"{'not known':11} {problem}" for problem in swept.unread]
    click.echo("\n".join(lines) or f"nothing to recover here, and nothing that ftchaos made is left in {environment}")
    return swept.exit_code


@click.command()
@click.option("--environment", default="lab", show_default=True, metavar="NAME", help="What to look at.")
@click.option("--config", metavar="FILE", help="Configuration; ./ftchaos.yaml if there is one.")
@click.option("--json", "as_json", is_flag=True, help="Print exactly one JSON document.")
def doctor(environment: str, config: str | None, as_json: bool) -> None:
    """Say what is missing on this machine, and how to get it.

    Of an environment in the cloud: whether what was documented of it is so. Nothing is harmed. Exit code 1 when a
    claim is not met, 3 when one is unknown; what nobody configured to be asked is told and fails nothing.
    """
    from ftchaos import doctor as examination

    if environment != "lab":
        _doctor_of(environment, config, as_json)
    findings = examination.examine()
    if as_json:
        click.echo(json.dumps([asdict(finding) for finding in findings]))
    else:
        for finding in findings:
            click.echo(f"{finding.status:9} {finding.name:22} {finding.detail}")
            if finding.command and finding.status != "ok":
                click.echo(f"{'':9} {'':22} $ {finding.command}")
    sys.exit(2 if any(finding.status == "missing" for finding in findings) else 0)


def _doctor_of(environment: str, config: str | None, as_json: bool) -> NoReturn:
    from pathlib import Path

    from ftchaos import config as configuration
    from ftchaos import doctor as examination

    loaded = configuration.load(Path(config) if config else None)
    findings = examination.examine_environment(loaded, environment, lambda text: click.echo(text, err=True))
    if as_json:
        click.echo(json.dumps([asdict(finding) for finding in findings]))
    else:
        for finding in findings:
            click.echo(f"{finding.status:9} {finding.claim:30} {finding.seen}")
            if finding.hint:
                click.echo(f"{'':9} {'':30} HINT: {finding.hint}")
    found = {finding.status for finding in findings}
    sys.exit(1 if "not met" in found else 3 if "unknown" in found else 0)
