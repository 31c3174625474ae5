"""What GitHub Actions shows of a decision: a summary of the step, and an annotation for each no and each waiver.

Source: GitHub's "Workflow commands for GitHub Actions". A text that came with evidence must not turn into a command.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator

from ftchaos.gate import words
from ftchaos.gate.decide import Decision, Judged
from ftchaos.report.markdown import safe

_MARKS = {"met": "✅ met", "not met": "❌ not met", "waived": "⚠️ **waived**"}


def summary(decision: Decision, title: str = "") -> str:
    """Markdown for ``GITHUB_STEP_SUMMARY``."""
    rows = [
        f"| {_MARKS[one.state]} | **{safe(one.name)}**<br>{safe(words.wants(one))} | {_said(one)} |"
        for one in decision.judged
    ]
    heading = f"### {'✅' if decision.is_yes else '❌'} Gate: {safe(words.headline(decision))}"
    parts = [heading, safe(words.plain(title)), "\n".join(["|  | Requirement | Evidence |", "|---|---|---|", *rows])]
    return "\n\n".join(part for part in parts if part) + "\n\n"


def workflow_commands(decision: Decision) -> Iterator[str]:
    """Workflow commands, one a line."""
    for one in decision.judged:
        if one.state == "not met":
            yield _command("error", f"Gate: {one.name}", " ".join([*words.why(one), words.waiver(one)]).strip())
        elif one.waiver is not None:
            yield _command("warning", f"Gate: {one.name}", " ".join([words.waiver(one), *words.why(one)]))


def quoted(text: str) -> str:
    """The text between two lines that keep the runner from taking any of it for a command."""
    token = secrets.token_hex(16)
    return f"::stop-commands::{token}\n{text.rstrip()}\n::{token}::\n"


def _said(judged: Judged) -> str:
    lines = [*words.why(judged), words.proves(judged), words.waiver(judged)]
    return "<br>".join(safe(line) for line in lines if line)


def _command(kind: str, title: str, message: str) -> str:
    escaped = title.replace("%", "%25").replace(":", "%3A").replace(",", "%2C")
    return f"::{kind} title={escaped}::{words.plain(message).replace('%', '%25')}"
