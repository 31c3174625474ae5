"""``ftchaos recover`` and ``ftchaos doctor``: this machine and what was left on it."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict

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
@click.option("--json", "as_json", is_flag=True, help="Print exactly one JSON document.")
def doctor(as_json: bool) -> None:
    """Say what is missing on this machine, and how to get it."""
    from ftchaos import doctor as examination

    findings = examination.examine()
    if as_json:
        click.echo(json.dumps([asdict(finding) for finding in findings]))
    else:
        for finding in findings:
            click.echo(f"{finding.status:9} {finding.name:22} {finding.detail}")
            if finding.command and finding.status != "ok":
                click.echo(f"{'':9} {'':22} $ {finding.command}")
    sys.exit(2 if any(finding.status == "missing" for finding in findings) else 0)
