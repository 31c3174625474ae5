"""What is shipped around the gate: the sample policy names runs that exist, and CI takes the files as they are."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import samples
import yaml
from test_gate_cli import POLICY, put

from ftchaos.gate import document, policy

REPOSITORY = Path(__file__).resolve().parents[2]
EXAMPLES = REPOSITORY / "docs" / "examples"
FOLDERS = {"drill": "dr_drills", "experiment": "experiments", "gameday": "gamedays"}
SCHEMAS = [
    (REPOSITORY / "action.yml", ["vendor.github-actions"]),
    (EXAMPLES / "github-deploy.yml", ["vendor.github-workflows"]),
    (EXAMPLES / "gitlab-ci.yml", ["vendor.gitlab-ci", "--data-transform", "gitlab-ci"]),
]


def schema_check(path: Path, schema: list[str]) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", *schema, str(path)]
    return subprocess.run(argv, capture_output=True, text=True, check=False)


def test_the_sample_policy_names_runs_that_exist() -> None:
    found = policy.load(EXAMPLES / "gate.yaml").policy

    for one in found.requirements:
        kind, _, name = one.run.partition("/")
        assert (REPOSITORY / FOLDERS[kind] / f"{name}.yaml").is_file(), one.run
    assert (found.objectives.rto, found.objectives.rpo) == (4 * 3600, 15 * 60)


@pytest.mark.parametrize(("path", "schema"), SCHEMAS, ids=lambda value: getattr(value, "name", ""))
def test_ci_takes_the_files_as_they_are(path: Path, schema: list[str], tmp_path: Path) -> None:
    done = schema_check(path, schema)
    assert done.returncode == 0, done.stdout + done.stderr

    wrong = tmp_path / path.name
    wrong.write_text(path.read_text() + "\nstages: {of: nonsense}\nruns: nonsense\njobs: nonsense\n")
    assert schema_check(wrong, schema).returncode != 0


def _needs(jobs: dict[str, Any], name: str) -> set[str]:
    before = jobs[name].get("needs", [])
    before = [before] if isinstance(before, str) else before
    return {one for direct in before for one in (direct, *_needs(jobs, direct))}


def test_nothing_reaches_production_around_the_gate() -> None:
    github = yaml.safe_load((EXAMPLES / "github-deploy.yml").read_text())["jobs"]
    gitlab = yaml.safe_load((EXAMPLES / "gitlab-ci.yml").read_text())

    assert _needs(github, "deploy-production") == {"recovery-gate", "prove-recovery", "deploy-staging"}
    assert not {"if", "continue-on-error"} & (github["deploy-production"].keys() | github["recovery-gate"].keys())
    order = [gitlab[job]["stage"] for job in ("deploy-staging", "prove-recovery", "recovery-gate", "deploy-production")]
    assert order == gitlab["stages"]
    assert not {"when", "needs", "allow_failure", "rules"} & (
        gitlab["deploy-production"].keys() | gitlab["recovery-gate"].keys()
    )


def test_the_commands_in_the_examples_are_understood() -> None:
    from click.testing import CliRunner

    from ftchaos.cli import cli

    texts = [path.read_text() for path in (EXAMPLES / "github-deploy.yml", EXAMPLES / "gitlab-ci.yml")]
    lines = [line.strip(" -").removeprefix("run: ") for text in texts for line in text.splitlines()]
    commands = [line.replace('"', "").split()[1:] for line in lines if line.startswith("ftchaos ")]
    assert len(commands) >= 4
    for command in commands:
        first = next(place for place, word in enumerate(command) if word.startswith("--"))
        known = [word for word in command if word.startswith("--")]
        shown = CliRunner().invoke(cli, [*command[:first], "--help"]).output
        assert all(word in shown for word in known), command


@pytest.fixture
def action(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The step of the action that decides, as a runner would run it."""
    step = next(one for one in yaml.safe_load((REPOSITORY / "action.yml").read_text())["runs"]["steps"] if "id" in one)
    (tmp_path / "ftchaos" / "bin").mkdir(parents=True)
    program = tmp_path / "ftchaos" / "bin" / "ftchaos"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m ftchaos "$@"\n')
    program.chmod(0o755)
    (tmp_path / "reports").mkdir()
    (tmp_path / "gate.yaml").write_text(POLICY)

    def run(**inputs: str) -> tuple[int, str, str]:
        given = {"ENVIRONMENT": "staging", "POLICY": "gate.yaml", "REPORTS": "reports", "COMMIT": "", "IMAGE": ""}
        environment = {**os.environ, **given, "JUNIT": "gate.xml", **inputs, "RUNNER_TEMP": str(tmp_path)}
        environment |= {"GITHUB_ACTIONS": "true", "FTCHAOS_CACHE": str(tmp_path / "cache")}
        environment |= {name: str(tmp_path / name) for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
        (tmp_path / "GITHUB_OUTPUT").write_text("")
        argv = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]]
        done = subprocess.run(argv, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
        return done.returncode, (tmp_path / "GITHUB_OUTPUT").read_text(), done.stdout

    return run


def test_the_action_says_no_and_what_to_run(action: Any, tmp_path: Path) -> None:
    code, output, said = action()

    assert (code, output) == (1, "decision=no\n")
    assert "\nftchaos drill run restore --environment staging --reports reports\n" in said
    assert "Gate: NO for staging" in (tmp_path / "GITHUB_STEP_SUMMARY").read_text()
    assert (tmp_path / "gate.xml").is_file()


def test_the_action_says_yes(action: Any, tmp_path: Path) -> None:
    put(tmp_path / "reports", samples.passed)

    assert action()[:2] == (0, "decision=yes\n")


@pytest.mark.parametrize(
    "inputs",
    [{"POLICY": "absent.yaml"}, {"ENVIRONMENT": ""}, {"COMMIT": '"; touch pwned; "'}, {"IMAGE": "$(touch pwned)"}],
)
def test_the_action_stops_where_it_cannot_decide(action: Any, tmp_path: Path, inputs: dict[str, str]) -> None:
    put(tmp_path / "reports", samples.passed)

    assert action(**inputs)[:2] == (2, "")
    assert not (tmp_path / "pwned").exists()


def test_the_policies_in_the_document_are_accepted(tmp_path: Path) -> None:
    blocks = re.findall(r"```yml\n(.*?)```", (REPOSITORY / "docs" / "gate.md").read_text(), re.DOTALL)
    assert blocks
    for block in blocks:
        (tmp_path / "gate.yaml").write_text(block)
        assert policy.load(tmp_path / "gate.yaml").policy.requirements


def test_the_document_names_every_key() -> None:
    text = (REPOSITORY / "docs" / "gate.md").read_text()
    keys = [*policy.Policy.model_fields, *policy.Requirement.model_fields, *policy.Waiver.model_fields]

    assert [key for key in keys if f"`{key}`" not in text] == []
    assert document.SCHEMA in text
