"""The Dockerfile, played without Docker: its commands make a tree from which an ordinary user runs ftchaos.

What it takes from a registry is not played: the base image, and the packages that ftchaos needs, which are those that
these tests run with.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import ordinary
import pytest

from ftchaos import __version__

ROOT = Path(__file__).parents[2]
VENV, DATA = "/opt/ftchaos", "/var/lib/ftchaos"


@dataclass
class Stage:
    """One stage: its base, and its instructions in order."""

    base: str
    name: str
    said: list[tuple[str, str]] = field(default_factory=list)

    def all(self, word: str) -> list[str]:
        return [text for one, text in self.said if one == word]

    @property
    def variables(self) -> dict[str, str]:
        return dict(text.split("=", 1) for text in self.all("ENV"))


def stages() -> tuple[dict[str, str], list[Stage]]:
    """The arguments before the first stage, and the stages."""
    text = re.sub(r"\\\n", " ", (ROOT / "Dockerfile").read_text())
    arguments: dict[str, str] = {}
    found: list[Stage] = []
    for line in text.splitlines():
        word, _, rest = line.strip().partition(" ")
        if not word or word.startswith("#"):
            continue
        if word == "FROM":
            base, _, name = rest.partition(" AS ")
            found.append(Stage(base, name))
        elif not found:
            assert word == "ARG", line
            arguments |= [rest.split("=", 1)]
        else:
            found[-1].said.append((word, rest))
    return arguments, found


@pytest.fixture(scope="module")
def tree() -> Iterator[Path]:
    """A folder that everybody reaches, with ``opt`` and ``data`` as the Dockerfile fills them."""
    folder = Path(tempfile.mkdtemp(prefix="ftchaos-image-"))
    folder.chmod(0o755)
    try:
        yield _played(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _played(folder: Path) -> Path:
    source, opt, builders = folder / "source", folder / "opt", folder / "builders"
    source.mkdir()
    builders.mkdir()
    libraries = Path(sysconfig.get_path("purelib"))
    for one in (*libraries.glob("setuptools*"), libraries / "_distutils_hack"):  # what pip would fetch to build with
        (builders / one.name).symlink_to(one)
    _, (build, _) = stages()
    for text in build.all("COPY"):
        *names, target = text.split()
        for name in names:
            if (ROOT / name).is_dir():
                shutil.copytree(
                    ROOT / name, source / target, symlinks=True, ignore=shutil.ignore_patterns("__pycache__")
                )
            else:
                shutil.copy(ROOT / name, source / target)
    without_network = {"PIP_NO_INDEX": "1", "PIP_NO_DEPS": "1", "PIP_NO_BUILD_ISOLATION": "0"}
    environment = {
        "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
        "PYTHONPATH": str(builders),
        **without_network,
    }
    for text in build.all("RUN"):
        done = subprocess.run(
            ["sh", "-c", text.replace(VENV, str(opt))], cwd=source, env=environment, capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
    (inside,) = opt.glob("lib/python3*/site-packages")
    (inside / "what-pip-would-fetch.pth").write_text(f"{libraries}\n")
    shutil.rmtree(source)
    return folder


def run(tree: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """ftchaos as its container runs it: an ordinary user, no home, one folder to write to."""
    _, (_, last) = stages()
    (tree / "data").mkdir(exist_ok=True)
    places = {VENV: str(tree / "opt"), DATA: str(tree / "data")}
    variables = {
        name: re.sub("|".join(places), lambda found: places[found.group()], value)
        for name, value in last.variables.items()
        if name != "HOME"
    }
    settings = [f"{name}={value}" for name, value in variables.items()]
    (entry,) = last.all("ENTRYPOINT")
    command = ["env", "--ignore-environment", f"--chdir={tree / 'data'}", *settings, *json.loads(entry), *arguments]
    return subprocess.run(ordinary.argv(command, tree / "data"), capture_output=True, text=True, check=False)


def test_image_runs_as_a_number_that_is_not_root_on_a_base_that_can_be_chosen() -> None:
    arguments, (build, last) = stages()
    variables = last.variables

    assert {"BASE": "python:3.13-slim"} == arguments
    assert ["${BASE}", "${BASE}"] == [build.base, last.base]
    assert ["10001:10001"] == last.all("USER")
    assert ['["ftchaos"]'] == last.all("ENTRYPOINT")
    assert [DATA] == last.all("VOLUME") == last.all("WORKDIR")
    assert all(variables[name].startswith(DATA) for name in ("HOME", "TMPDIR", "FTCHAOS_STATE", "FTCHAOS_CACHE"))
    assert [f"--from={build.name} {VENV} {VENV}"] == last.all("COPY")


def test_builder_is_given_all_that_is_copied_and_little_else() -> None:
    _, (build, _) = stages()
    copied = {name for text in build.all("COPY") for name in text.split()[:-1]}
    lines = (ROOT / ".dockerignore").read_text().splitlines()

    assert copied == {line[1:] for line in lines if line.startswith("!")}
    assert all((ROOT / name).exists() for name in copied)


def test_ordinary_user_without_a_home_runs_what_the_commands_built(tree: Path) -> None:
    version, experiments, drills = (
        run(tree, *words) for words in (["--version"], ["experiment", "list"], ["drill", "list"])
    )

    assert (0, f"ftchaos, version {__version__}") == (version.returncode, version.stdout.strip()), version.stderr
    assert (0, 0) == (experiments.returncode, drills.returncode), experiments.stderr + drills.stderr
    assert "zone-outage" in experiments.stdout
    assert "restore" in drills.stdout


def test_package_lies_in_the_image_itself_and_only_the_one_folder_was_written_to(tree: Path) -> None:
    before = {str(path) for path in (tree / "opt").rglob("*")}
    (config := tree / "data" / "ftchaos.yaml").write_text((ROOT / "deploy" / "base" / "ftchaos.yaml").read_text())
    asked = ["--environment", "staging", "--account", "ftchaos/ftchaos-read", "--config", str(config)]
    done = run(tree, "policy", "kubernetes", "--kind", "read", *asked)
    where = run(tree, "experiment", "list", "--json")

    assert (ROOT / "deploy" / "components" / "read" / "roles.yaml").read_text().endswith(done.stdout)
    assert str(tree / "opt") in where.stdout
    assert before == {str(path) for path in (tree / "opt").rglob("*")}
