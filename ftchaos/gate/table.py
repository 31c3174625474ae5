"""The decision for people: a table, plain words first, colour only where a terminal has it."""

from __future__ import annotations

from typing import TextIO

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ftchaos.gate import words
from ftchaos.gate.decide import Decision, Judged

WIDTH = 100
_COLOURS = {"met": "green", "not met": "bold red", "waived": "bold yellow"}


def show(decision: Decision, stream: TextIO, title: str = "") -> None:
    """Print it.

    Args:
        stream: usually standard output.
        title: of the policy.
    """
    console = Console(file=stream, highlight=False, markup=False, emoji=False, legacy_windows=False)
    if not console.is_terminal:
        console = Console(file=stream, highlight=False, markup=False, emoji=False, width=WIDTH, legacy_windows=False)
    fancy = console.encoding.lower().startswith("utf")
    table = Table(box=box.HORIZONTALS if fancy else box.ASCII2, show_lines=True, expand=False, pad_edge=False)
    table.add_column("", no_wrap=True)
    table.add_column("Requirement", overflow="fold")
    table.add_column("What the evidence says", overflow="fold", ratio=2)
    for one in decision.judged:
        table.add_row(Text(one.state, _COLOURS[one.state]), _required(one), _said(one))
    if title:
        console.print(Text(words.plain(title)))
    console.print(table)
    console.print(Text(words.headline(decision), "bold green" if decision.is_yes else "bold red"))


def _required(judged: Judged) -> Text:
    return Text.assemble((judged.name, "bold"), "\n", words.wants(judged))


def _said(judged: Judged) -> Text:
    lines = [Text(line) for line in words.why(judged)]
    if proven := words.proves(judged):
        lines.append(Text(f"Success rate proven at 95 %: {proven}", "dim"))
    if waived := words.waiver(judged):
        lines.append(Text(waived, "bold yellow"))
    return Text("\n").join(lines)
