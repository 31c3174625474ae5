"""The command line: every command is there under its own words, and errors leave as the design promises."""

from __future__ import annotations

import json
import subprocess
import sys

import click
import pytest

from ftchaos import cli


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_the_list_of_commands_says_what_each_says_itself(name: str) -> None:
    context = click.Context(cli.cli)
    command = cli.cli.get_command(context, name)

    assert command is not None
    assert command.help is not None
    assert command.help.splitlines()[0] == cli.COMMANDS[name][1]


def test_help_imports_nothing_that_is_dear() -> None:
    dear = ["pydantic", "yaml", "rich", "jinja2", "pymysql", "chaoslib", "json", "ftchaos.cli.lab"]
    code = f"""
import sys
from ftchaos.__main__ import main
sys.argv = ["ftchaos", "--help"]
try:
    main()
finally:
    print([name for name in {dear} if name in sys.modules])
"""

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("arguments", "exit_code"),
    [(["--help"], 0), (["--version"], 0), (["nonsense"], 2), (["drill", "run"], 2), (["report", "show", "--json"], 2)],
)
def test_exit_codes(arguments: list[str], exit_code: int) -> None:
    done = subprocess.run([sys.executable, "-m", "ftchaos", *arguments], capture_output=True, text=True, check=False)

    assert done.returncode == exit_code


def test_an_error_is_one_json_document_when_json_is_asked_for() -> None:
    argv = [sys.executable, "-m", "ftchaos", "drill", "run", "absent", "--json"]

    done = subprocess.run(argv, capture_output=True, text=True, check=False)

    assert json.loads(done.stdout)["error"]["exit_code"] == done.returncode == 2
    assert "HINT: " in done.stderr
