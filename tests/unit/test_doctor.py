"""The doctor: it runs what it finds, and its commands are those of the distribution at hand."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

from ftchaos import doctor
from ftchaos.doctor import Distribution

DEBIAN = Distribution("debian", "12", "Debian GNU/Linux 12 (bookworm)")


@pytest.fixture
def as_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)


@pytest.fixture
def as_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)


def _program(folder: Path, name: str, script: str) -> Path:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


@pytest.mark.usefixtures("as_root")
def test_command_for_root_is_plain() -> None:
    assert "apt-get install -y --no-install-recommends haproxy" == DEBIAN.install("haproxy")


@pytest.mark.usefixtures("as_user")
def test_command_for_an_ordinary_user_asks_for_rights() -> None:
    assert DEBIAN.install("haproxy").startswith("sudo apt-get install ")


@pytest.mark.usefixtures("as_root")
def test_packages_of_ubuntu_22_04_carry_their_version_in_the_name() -> None:
    jammy = Distribution("ubuntu", "22.04", "Ubuntu 22.04 LTS")

    assert jammy.install("mariadb-server-core", "mariadb-client", "mariadb-backup", "haproxy").endswith(
        " mariadb-server-core-10.6 mariadb-client-10.6 mariadb-backup haproxy"
    )


def test_distribution_without_apt_gets_words_instead_of_a_wrong_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")

    assert "install haproxy with the package manager of Some Linux" == Distribution("some", "1", "Some Linux").install(
        "haproxy"
    )


@pytest.mark.usefixtures("as_root")
def test_absent_program_is_missing_with_the_command_that_brings_it() -> None:
    finding = doctor._program(DEBIAN, "no-such-program", ("--version",), r"v=(\S+)", "some-package")

    assert "missing" == finding.status
    assert "apt-get install -y --no-install-recommends some-package" == finding.command


def test_program_that_does_not_run_is_missing_although_it_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _program(tmp_path, "redis-server", "echo cannot open shared object file; exit 127")
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

    finding = doctor._program(DEBIAN, "redis-server", ("--version",), r"v=(\S+)", "redis-server")

    assert "missing" == finding.status
    assert "cannot open shared object file" in finding.detail


def test_program_is_asked_for_its_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = _program(tmp_path, "redis-server", "echo Redis server v=7.0.15 sha=0")
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

    finding = doctor._program(DEBIAN, "redis-server", ("--version",), r"v=(\S+)", "redis-server")

    assert ("ok", f"7.0.15 ({path})", "") == (finding.status, finding.detail, finding.command)


def test_full_disk_is_missing_space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FTCHAOS_STATE", str(tmp_path / "state"))
    monkeypatch.setattr(doctor, "NEEDED_DISK_BYTES", 1 << 60)

    findings = {finding.name: finding for finding in doctor._room(DEBIAN)}

    assert "missing" == findings["disk for the lab"].status
    assert str(tmp_path / "state") in findings["disk for the lab"].detail


def test_python_that_is_too_old_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "OLDEST_PYTHON", (3, 99))

    assert "missing" == doctor._python(DEBIAN)[0].status


def test_absent_library_is_missing_with_the_command_for_this_very_python(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_libraries", lambda: ["click", "no-such-library"])

    finding = doctor._python(DEBIAN)[-1]

    assert ("missing", f"{sys.executable} -m pip install no-such-library") == (finding.status, finding.command)


def test_machine_without_namespaces_is_told_what_it_loses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ftchaos.platforms.lab.launch.obstacle", lambda mode: "Operation not permitted")

    (finding,) = doctor._mode(DEBIAN)

    assert "optional" == finding.status
    assert "no zone can be cut from the network" in finding.detail
    assert finding.command


def test_everything_found_can_be_written_as_json() -> None:
    findings = doctor.examine()

    assert {"python", "mariadb", "mysql", "redis-server", "haproxy", "lab mode"} <= {one.name for one in findings}
    assert {"ok", "missing", "optional"} >= {one.status for one in findings}
    assert all(one.command for one in findings if one.status != "ok")
    assert json.loads(json.dumps([asdict(one) for one in findings]))
