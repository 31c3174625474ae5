"""The command line: parse, call, print. Whatever is dear to import is imported in the command that needs it."""

from __future__ import annotations

import sys
from importlib import import_module

import click

from ftchaos import __version__
from ftchaos.errors import FtchaosError

COMMANDS = {
    "doctor": ("machine", "Say what is missing on this machine, and how to get it."),
    "drill": ("definitions", "Rehearse a recovery and measure it."),
    "experiment": ("experiment", "Break something and see what stays true."),
    "gameday": ("gameday", "People, experiments and drills in one plan."),
    "gate": ("gate", "Say whether the evidence allows what comes next."),
    "lab": ("lab", "Three zones of real servers on this machine."),
    "policy": ("policy", "Print the permissions that ftchaos needs in a cloud."),
    "recover": ("machine", "Undo whatever an interrupted run left behind."),
    "report": ("report", "Read and check the evidence of earlier runs."),
    "stop": ("stop", "Have a run under way heal what it harmed, and end."),
    "tell": ("tell", "Tell people and dashboards of a run, or test it."),
}


class _Commands(click.Group):
    """Commands by name and first line; a command's module is imported when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command = getattr(import_module(f"ftchaos.cli.{COMMANDS[cmd_name][0]}"), cmd_name)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, first_line) for name, (_, first_line) in COMMANDS.items()])


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="ftchaos")
def cli() -> None:
    """Prove or refute the recovery promises of a file-transfer system.

    Begin with `ftchaos doctor`, then `ftchaos drill restore`.

    \b
    Exit codes: 0 passed, 1 failed, 2 usage or invalid definition, 3 inconclusive,
    4 a heal failed and the system is left harmed, 5 refused, 70 internal error,
    130 interrupted.
    """


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
        # Whoever read us has left: nothing more can be said, not even by the interpreter at its end.
        sys.stdout = None
        sys.exit(70)
    except Exception as error:  # noqa: BLE001 - the last line of defence: log it, say where, exit 70
        fact = f"internal error: {type(error).__name__}: {error}"
        _leave(as_json, fact, f"the whole story is in {_write_log()}; run `ftchaos recover`", 70)


def _leave(as_json: bool, fact: str, hint: str, exit_code: int, shown: bool = False) -> None:
    if not shown:
        click.echo(f"ftchaos: {fact}" + (f"\nHINT: {hint}" if hint else ""), err=True)
    if as_json:
        import json

        click.echo(json.dumps({"error": {"fact": fact, "hint": hint, "exit_code": exit_code}}))
    sys.exit(exit_code)


def _write_log() -> str:
    import os
    import traceback
    from datetime import UTC, datetime

    from ftchaos import state

    path = state.root() / f"error-{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{os.getpid()}.log"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(traceback.format_exc())
    except OSError:
        traceback.print_exc()
        return "the lines above"
    return str(path)
