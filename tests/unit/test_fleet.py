"""A pod of an Indexed Job takes the environment of its index, and a run id that no other pod of the Job has."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from ftchaos import fleet, run
from ftchaos.cli.definitions import drill
from ftchaos.errors import Invalid

LIST = "# by region\nlab\n\norders-eu\n  invoices-us  \n"


@pytest.fixture
def names(tmp_path: Path) -> Path:
    path = tmp_path / "environments.txt"
    path.write_text(LIST)
    return path


@pytest.mark.parametrize(("index", "name"), [("0", "lab"), ("1", "orders-eu"), ("2", "invoices-us")])
def test_each_index_has_its_line(names: Path, monkeypatch: pytest.MonkeyPatch, index: str, name: str) -> None:
    monkeypatch.setenv(fleet.INDEX, index)

    assert name == fleet.environment_of_index(names)


@pytest.mark.parametrize(
    ("index", "text", "fact"),
    [
        ("3", LIST, "has 3 environments, and none for the index 3"),
        ("", LIST, "is not set"),
        ("-1", LIST, "no index"),
        ("0", LIST + "lab\n", "'lab' stands twice"),
        ("0", None, "cannot be read"),
    ],
)
def test_list_that_does_not_say_it_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, index: str, text: str | None, fact: str
) -> None:
    monkeypatch.setenv(fleet.INDEX, index)
    if text is not None:
        (tmp_path / "list").write_text(text)

    with pytest.raises(Invalid, match=fact):
        fleet.environment_of_index(tmp_path / "list")


def test_command_line_runs_in_the_environment_of_the_index_and_takes_no_other(
    names: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(fleet.INDEX, "0")
    monkeypatch.setenv("FTCHAOS_STATE", str(tmp_path))
    asked = ["restore", "--dry-run", "--json", "--environment-of-index", str(names)]
    previewed = CliRunner().invoke(drill, asked, catch_exceptions=False)
    both = CliRunner().invoke(drill, [*asked, "--environment", "orders-eu"])
    monkeypatch.setenv(fleet.INDEX, "1")
    unknown = CliRunner().invoke(drill, asked)

    assert "lab" == json.loads(previewed.output)["environment"]
    assert "exclude each other" in both.output
    assert "no environment is called 'orders-eu'" in str(unknown.exception)


def test_run_ids_of_a_fleet_never_collide(monkeypatch: pytest.MonkeyPatch) -> None:
    found = set()
    for index in range(3000):
        monkeypatch.setenv(fleet.INDEX, str(index))
        monkeypatch.setattr(fleet.socket, "gethostname", lambda index=index: f"fleet-{index}")
        found.add(fleet.suffix())

    assert 3000 == len(found)
    assert re.fullmatch(r"\d{8}T\d{6}Z-restore-[0-9a-f]{4}", run.new_id("restore"))
