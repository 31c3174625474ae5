"""The stored help: exactly what click would say."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner

from ftchaos import __main__
from ftchaos.cli import cli


def test_stored_help_is_what_click_composes() -> None:
    composed = CliRunner().invoke(cli, ["--help"], prog_name="ftchaos", terminal_width=80).output

    assert composed == Path(__main__.HELP).read_text(), (
        "write it anew: python -c 'from ftchaos.cli import main; main()' --help"
    )
