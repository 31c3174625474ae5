"""``ftchaos lab``: the embedded three-zone lab."""

from __future__ import annotations

import json
import os

import click

from ftchaos.cli.options import FLAVOURS, SIZE

_name = click.option("--name", default="default", show_default=True, help="Labs of different names live side by side.")
_json = click.option("--json", "as_json", is_flag=True, help="Print exactly one JSON document.")


@click.group()
def lab() -> None:
    """Three zones of real servers on this machine."""


@lab.command()
@_name
@click.option("--mysql-flavour", type=FLAVOURS, help="The one that is found.")
@click.option("--size", type=SIZE, default="24MiB", show_default=True, help="Realistic rows to begin with.")
@_json
def up(name: str, mysql_flavour: str | None, size: int, as_json: bool) -> None:
    """Bring a lab up and leave it running."""
    from ftchaos.clock import now
    from ftchaos.platforms.lab.lab import Lab
    from ftchaos.units import human_duration

    began_at = now()
    lab = Lab.up(
        name, flavour=mysql_flavour, size_bytes=size, ephemeral=False, progress=lambda text: click.echo(text, err=True)
    )
    if as_json:
        click.echo(json.dumps(lab.status()))
        return
    click.echo(f"lab '{name}' is up after {human_duration(now() - began_at)}; `ftchaos lab status` shows it")


@lab.command()
@_name
def down(name: str) -> None:
    """Take a lab down; nothing of it remains."""
    from ftchaos.platforms.lab.lab import Lab

    gone = Lab.take_down(name)
    click.echo(f"lab '{name}' is down" if gone else f"no lab '{name}' was up")


@lab.command()
@_name
@_json
def status(name: str, as_json: bool) -> None:
    """Show a lab's zones, servers and what cannot be had on this machine."""
    from ftchaos.platforms.lab.lab import Lab

    found = Lab.attach(name).status()
    if as_json:
        click.echo(json.dumps(found))
        return
    from ftchaos.report import terminal

    click.echo(terminal.lab_status(found))


@lab.command(context_settings={"ignore_unknown_options": True})
@click.argument("place")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
@_name
def shell(place: str, command: tuple[str, ...], name: str) -> None:
    """Open a shell in a zone (zone-a, zone-b, zone-c), at the edge or as a client, or run COMMAND there."""
    from ftchaos.platforms.lab.lab import Lab

    argv = Lab.attach(name).shell_argv(place)
    if command:
        argv = [*argv[:-1], *command] if argv else list(command)
    os.execvp(argv[0], argv)
