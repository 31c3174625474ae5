"""``ftchaos gate``: does the evidence allow what comes next, and if not, what to run."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from ftchaos.gate.decide import Decision
    from ftchaos.gate.policy import Loaded

F = TypeVar("F", bound=Callable[..., Any])


def _asking(function: F) -> F:
    for option in (
        click.option("--json", "as_json", is_flag=True, help="Print exactly one JSON document."),
        click.option("--reports", default="reports", show_default=True, metavar="DIR", help="Where evidence is."),
        click.option("--image", default="", metavar="REF", help="Its container image, with the digest."),
        click.option("--commit", default="", metavar="SHA", help="What is to go on, with all digits."),
        click.option("--environment", metavar="NAME", help="Where it must have been proven."),
        click.option("--policy", default="gate.yaml", show_default=True, metavar="FILE", help="What must be proven."),
    ):
        function = option(function)
    return function


@click.group(invoke_without_command=True)
@_asking
@click.option("--junit", metavar="FILE", help="Write the decision for CI as well.")
@click.pass_context
def gate(context: click.Context, /, junit: str | None, as_json: bool, **given: Any) -> None:
    """Say whether the evidence allows what comes next.

    Exit code 0 only when all that the policy requires is met, 1 when it is not, 2 when the question is wrong.
    """
    if context.invoked_subcommand is not None:
        if any(context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE for name in context.params):
            raise click.UsageError(f"options stand after '{context.invoked_subcommand}'")
        return
    decision, loaded, location = _decide(**given)
    _publish(decision, loaded, junit)
    if as_json:
        from ftchaos.gate import document

        click.echo(document.dumps(document.document(decision, loaded, location)))
    else:
        _show(decision, loaded)
    sys.exit(0 if decision.is_yes else 1)


@gate.command()
@_asking
def explain(as_json: bool, **given: Any) -> None:
    """Say what to run to get to green, in order, as commands.

    It leaves with the exit code of the gate, so that it lets nothing through either.
    """
    import dataclasses
    import shlex

    from ftchaos.gate import document
    from ftchaos.gate import explain as explaining

    decision, _, location = _decide(**given)
    if as_json:
        todos = [dataclasses.asdict(one) for one in explaining.todos(decision, location)]
        click.echo(document.dumps({"decision": "yes" if decision.is_yes else "no", "todo": todos}))
    else:
        asked = [f"--{name} {shlex.quote(value)}" for name, value in given.items() if value]
        click.echo(explaining.script(decision, location, f"ftchaos gate {' '.join(asked)}"))
    sys.exit(0 if decision.is_yes else 1)


def _decide(
    policy: str, environment: str | None, commit: str, image: str, reports: str
) -> tuple[Decision, Loaded, str]:
    from datetime import UTC, datetime
    from pathlib import Path

    from ftchaos import store
    from ftchaos.gate import decide
    from ftchaos.gate import policy as policies
    from ftchaos.gate.question import Asked

    if not environment:
        raise click.UsageError("say where it must have been proven: --environment NAME")
    loaded = policies.load(Path(policy))
    asked = Asked(environment, commit.strip().lower(), image.strip())
    policies.ensure_answerable(loaded, asked.commit, asked.image)
    opened = store.open(reports)
    at, history = datetime.now(UTC), decide.History(loaded.policy, opened.summaries())
    problems = opened.verify(decide.relied_on(loaded.policy, asked, history, at))
    return decide.decide(loaded.policy, asked, history, problems, at), loaded, opened.location


def _show(decision: Decision, loaded: Loaded) -> None:
    """The table; where GitHub reads along, nothing in it is taken for a command."""
    import io

    from ftchaos.gate import github, table

    if not _in_github():
        table.show(decision, sys.stdout, loaded.policy.title)
        return
    text = io.StringIO()
    table.show(decision, text, loaded.policy.title)
    click.echo(github.quoted(text.getvalue()), nl=False)


def _publish(decision: Decision, loaded: Loaded, junit: str | None) -> None:
    import os

    if junit is not None:
        from ftchaos.gate import junit as documents

        _write(junit, "w", documents.render(decision))
    if _in_github():
        from ftchaos.gate import github

        for line in github.workflow_commands(decision):
            click.echo(line, err=True)
    if path := os.environ.get("GITHUB_STEP_SUMMARY"):
        from ftchaos.gate import github

        _write(path, "a", github.summary(decision, loaded.policy.title))


def _write(path: str, mode: str, text: str) -> None:
    from ftchaos.errors import Invalid

    try:
        with open(path, mode, encoding="utf-8") as stream:
            stream.write(text)
    except OSError as error:
        raise Invalid(f"{path} cannot be written: {error.strerror}", "name a file in a folder that is yours") from error


def _in_github() -> bool:
    import os

    return os.environ.get("GITHUB_ACTIONS") == "true"
