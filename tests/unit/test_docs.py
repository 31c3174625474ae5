"""The documents: their links lead somewhere, the commands they name exist, and their YAML is accepted."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from ftchaos import config
from ftchaos.cli import cli

REPOSITORY = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted([*REPOSITORY.glob("*.md"), *REPOSITORY.glob("docs/*.md"), *REPOSITORY.glob("benchmarks/*.md")])
GUIDES = [path for path in DOCUMENTS if path.parent.name != "benchmarks"]  # those name options of other tools


def _commands(group: click.Command) -> dict[str, click.Command]:
    if not isinstance(group, click.Group):
        return {}
    context = click.Context(group)
    found = {name: group.get_command(context, name) for name in group.list_commands(context)}
    return {name: command for name, command in found.items() if command is not None}


def _options(command: click.Command) -> set[str]:
    return {spelling for parameter in command.params for spelling in (*parameter.opts, "--help")}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_to_files(document: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)", document.read_text())

    assert [] == [link for link in links if "://" not in link and not (document.parent / link).exists()]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_commands_exist(document: Path) -> None:
    blocks = "".join(re.findall(r"```\w*\n(.*?)```", document.read_text(), re.DOTALL))
    unknown = []
    for group, rest in re.findall(r"^(?:\$ )?ftchaos (\w+) ?(.*)", blocks, re.MULTILINE):
        inside = _commands(_commands(cli)[group])
        # `list | show NAME | run NAME     and what it means`: each part begins with a subcommand.
        words = [part.split()[0] for part in rest.split("   ")[0].split(" | ") if part.split()]
        unknown += [f"{group} {word}" for word in words if word.isalpha() and inside and word not in inside]

    assert [] == unknown


@pytest.mark.parametrize("document", GUIDES, ids=lambda path: path.name)
def test_options_exist(document: Path) -> None:
    known = {"--config-settings", "--editable", "--tests", "--mysql", "--benchmarks", "--strict"}
    for group in _commands(cli).values():
        for command in (group, *_commands(group).values()):
            known |= _options(command)

    assert set() == set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", document.read_text())) - known


def test_configuration_in_the_documents_is_accepted(tmp_path: Path) -> None:
    blocks = [block for path in DOCUMENTS for block in re.findall(r"```yaml\n(.*?)```", path.read_text(), re.DOTALL)]
    assert blocks
    for block in blocks:
        (tmp_path / "ftchaos.yaml").write_text(block)

        assert config.load(tmp_path / "ftchaos.yaml")


def test_exit_codes_in_the_readme_are_those_of_the_errors() -> None:
    from ftchaos import errors

    table = {int(code) for code in re.findall(r"^\| (\d+) \|", (REPOSITORY / "README.md").read_text(), re.MULTILINE)}
    codes = {one.exit_code for one in vars(errors).values() if isinstance(one, type) and hasattr(one, "exit_code")}

    assert codes | {0, 1} == table
