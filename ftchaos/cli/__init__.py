"""The command line: parse, call, print. Whatever is dear to import is imported in the command that needs it."""

from __future__ import annotations

import json
import os
import sys
import traceback
from datetime import UTC, datetime

import click

from ftchaos import __version__
from ftchaos.cli.definitions import drill, experiment
from ftchaos.cli.lab import lab
from ftchaos.cli.machine import doctor, recover
from ftchaos.cli.report import report
from ftchaos.errors import FtchaosError


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="ftchaos")
def cli() -> None:
    """Prove or refute the recovery promises of a file-transfer system.

    Begin with `ftchaos doctor`, then `ftchaos drill restore`.

    \b
    Exit codes: 0 passed, 1 failed, 2 usage or invalid definition, 3 inconclusive,
    4 a heal failed and the system is left harmed, 5 refused, 70 internal error,
    130 interrupted.
    """


for command in (drill, experiment, lab, report, recover, doctor):
    cli.add_command(command)


def main() -> None:
    """Run the command line and leave with the exit code that the design promises."""
    as_json = "--json" in sys.argv
    try:
        cli.main(prog_name="ftchaos", standalone_mode=False)
    except click.exceptions.Exit as leave:
        sys.exit(leave.exit_code)
    except click.ClickException as error:
        error.show()
        _leave(as_json, error.format_message(), "see --help", 2, shown=True)
    except FtchaosError as error:
        _leave(as_json, error.fact, error.hint, error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        _leave(as_json, "interrupted", "run `ftchaos recover` to see that nothing is left", 130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(70)
    except Exception as error:  # noqa: BLE001 - the last line of defence: log it, say where, exit 70
        fact = f"internal error: {type(error).__name__}: {error}"
        _leave(as_json, fact, f"the whole story is in {_write_log()}; run `ftchaos recover`", 70)


def _leave(as_json: bool, fact: str, hint: str, exit_code: int, shown: bool = False) -> None:
    if not shown:
        click.echo(f"ftchaos: {fact}" + (f"\nHINT: {hint}" if hint else ""), err=True)
    if as_json:
        click.echo(json.dumps({"error": {"fact": fact, "hint": hint, "exit_code": exit_code}}))
    sys.exit(exit_code)


def _write_log() -> str:
    from ftchaos import state

    path = state.root() / f"error-{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{os.getpid()}.log"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(traceback.format_exc())
    except OSError:
        traceback.print_exc()
        return "the lines above"
    return str(path)
