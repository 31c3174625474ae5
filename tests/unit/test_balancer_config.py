"""The files that HAProxy and the application begin with."""

from __future__ import annotations

import re
from pathlib import Path

from ftchaos.platforms.lab import balancer
from ftchaos.platforms.lab.app import services
from ftchaos.platforms.lab.app.config import AppConfig
from ftchaos.platforms.lab.layout import Layout

LAYOUT = Layout("root", "10.77.0")


def test_every_api_is_checked_and_every_address_is_the_edges() -> None:
    text = balancer.config(LAYOUT)

    assert re.findall(r"server api-(.) (\S+) check", text) == [
        ("a", "10.77.0.11:8080"),
        ("b", "10.77.0.12:8080"),
        ("c", "10.77.0.13:8080"),
    ]
    assert re.findall(r"bind (\S+)", text) == ["10.77.0.10:8000", "10.77.0.10:3307", "10.77.0.10:3306"]


def test_the_writer_is_the_first_zone_unless_told_otherwise(tmp_path: Path) -> None:
    balancer.prepare(LAYOUT, tmp_path)
    writer = balancer.home_of(tmp_path) / "writer.cfg"
    assert "server writer 10.77.0.11:3306\n" in writer.read_text()

    balancer.prepare(LAYOUT, tmp_path, writer=("10.77.0.13", 3399))
    assert "server writer 10.77.0.13:3399\n" in writer.read_text()


def test_the_control_socket_is_named_relative_to_the_folder(tmp_path: Path) -> None:
    (spec,) = balancer.prepare(LAYOUT, tmp_path)

    assert f"stats socket unix@{balancer.SOCKET} " in balancer.config(LAYOUT)
    assert spec.argv[spec.argv.index("-C") + 1] == spec.cwd


def test_the_application_is_told_what_it_can_read_back(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("word\n")
    specs = services.prepare(LAYOUT, tmp_path, tmp_path / "secret")

    assert {spec.name for spec in specs} == {"api-a", "api-b", "api-c", "worker-a", "worker-b", "worker-c"}
    for spec in specs:
        config = AppConfig.load(Path(spec.argv[-1]))
        assert config == services.config_of(LAYOUT, spec.place, tmp_path / "secret")
        assert config.mysql.secret() == "word"
        assert config.mysql.host == LAYOUT.address("edge")
