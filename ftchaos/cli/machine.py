"""``ftchaos recover`` and ``ftchaos doctor``: this machine and what was left on it."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import NoReturn

import click


@click.command()
@click.option("--dry-run", is_flag=True, help="Only say what would be undone.")
@click.option("--json", "as_json", is_flag=True, help="Print exactly one JSON document.")
def recover(dry_run: bool, as_json: bool) -> None:
    """Undo whatever an interrupted run left behind.

    A second call finds nothing to do.
    """
    from ftchaos import recover as recovering
    from ftchaos import state

    found = recovering.recover(dry_run=dry_run, progress=lambda text: click.echo(text, err=True))
    if as_json:
        click.echo(json.dumps([asdict(one) for one in found]))
    elif not found:
        click.echo(f"nothing to recover in {state.root()}")
    else:
        for one in found:
            click.echo(one.sentence)
    sys.exit(4 if any(one.failed for one in found) else 0)


@click.command()
@click.option("--environment", default="lab", show_default=True, metavar="NAME", help="What to look at.")
@click.option("--config", metavar="FILE", help="Configuration; ./ftchaos.yaml if there is one.")
@click.option("--json", "as_json", is_flag=True, help="Print exactly one JSON document.")
def doctor(environment: str, config: str | None, as_json: bool) -> None:
    """Say what is missing on this machine, and how to get it.

    Of an environment in the cloud: whether what was documented of it is so. Nothing is harmed. Exit code 1 when a
    claim is not met, 3 when one is unknown.
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
