"""The wheel works by itself: from an empty folder, in an environment that has never seen the repository."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
NOT_SOURCE = shutil.ignore_patterns(".*", "build", "dist", "*.egg-info", "__pycache__", "reports")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel of the tree as it is, built from a copy, so that no earlier build leaks into it."""
    folder = tmp_path_factory.mktemp("wheel")
    shutil.copytree(REPOSITORY, folder / "source", symlinks=True, ignore=NOT_SOURCE)
    _run(
        sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", folder, folder / "source"
    )
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of a new virtual environment with that wheel; libraries are borrowed from the running one."""
    folder = tmp_path_factory.mktemp("environment")
    _run(sys.executable, "-m", "venv", "--without-pip", folder)
    python = folder / "bin" / "python"
    (packages,) = folder.glob("lib/python*/site-packages")
    (packages / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    _run(sys.executable, "-m", "pip", "--python", python, "install", "-q", "--no-deps", "--no-index", wheel)
    return folder / "bin"


def _run(*words: str | Path, cwd: Path | None = None) -> str:
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "FTCHAOS_"))}
    done = subprocess.run(
        [str(word) for word in words],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert 0 == done.returncode, done.stdout + done.stderr
    return done.stdout


def test_every_file_of_the_package_travels(wheel: Path) -> None:
    package = REPOSITORY / "ftchaos"
    # Python 3.11 and 3.12 do not follow the links of definitions/ in rglob; these are named one by one.
    files = {path.relative_to(REPOSITORY) for path in package.rglob("*") if path.is_file()}
    files |= {path.relative_to(REPOSITORY) for path in package.glob("definitions/*/*.yaml")}
    expected = {str(path) for path in files if "__pycache__" not in path.parts}

    with zipfile.ZipFile(wheel) as archive:
        travelled = {name for name in archive.namelist() if ".dist-info/" not in name}

    assert expected == travelled


def test_every_definition_travels(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        travelled = {Path(name).name for name in archive.namelist() if name.startswith("ftchaos/definitions/")}

    assert {
        path.name
        for folder in ("dr_drills", "experiments", "gamedays")
        for path in (REPOSITORY / folder).glob("*.yaml")
    } == travelled


def test_drills_are_found_from_an_empty_folder(installed: Path, tmp_path: Path) -> None:
    listed = json.loads(_run(installed / "ftchaos", "drill", "list", "--json", cwd=tmp_path))

    (restore,) = [one for one in listed if one["name"] == "restore"]
    assert installed.parent in Path(restore["file"]).parents


def test_every_module_can_be_imported_from_the_wheel(installed: Path, tmp_path: Path) -> None:
    walk = (
        "import ftchaos, importlib, pkgutil\n"
        "for one in pkgutil.walk_packages(ftchaos.__path__, 'ftchaos.'):\n"
        "    if not one.name.endswith('__main__'): importlib.import_module(one.name)\n"
        "print(ftchaos.__file__)"
    )

    assert installed.parent in Path(_run(installed / "python", "-c", walk, cwd=tmp_path).strip()).parents


def test_doctor_runs_from_an_empty_folder(installed: Path, tmp_path: Path) -> None:
    findings = json.loads(_run(installed / "ftchaos", "doctor", "--json", cwd=tmp_path))

    assert "python" in {finding["name"] for finding in findings}
    assert [] == list(tmp_path.iterdir())
