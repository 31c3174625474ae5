"""The application's six processes as services of the lab: an API and a worker in every zone."""

from __future__ import annotations

import sys
from pathlib import Path

from ftchaos.platforms.lab.app.config import AppConfig, Database
from ftchaos.platforms.lab.layout import API_PORT, EDGE, WRITER_PORT, ZONES, Layout
from ftchaos.platforms.lab.redis import cluster_addresses, sentinel_addresses
from ftchaos.platforms.lab.service import ServiceSpec

QUEUE = "transfers"


def prepare(layout: Layout, folder: Path, secret_file: Path) -> list[ServiceSpec]:
    """Write the configurations below a lab's folder and say how to begin the processes, in any order.

    They may begin before their servers: the APIs listen at once and are healthy when MySQL and Redis are.

    Args:
        secret_file: holds the password of the account `app`.
    """
    specs = []
    for zone in ZONES:
        config = config_of(layout, zone, secret_file)
        for kind, port in (("api", API_PORT), ("worker", None)):
            name = f"{kind}-{zone[-1]}"
            home = folder / zone / name
            home.mkdir(parents=True, exist_ok=True)
            (home / "config.json").write_text(config.dump())
            argv = (sys.executable, "-m", f"ftchaos.platforms.lab.app.{kind}", "--config", str(home / "config.json"))
            specs.append(ServiceSpec(name, zone, argv, cwd=str(home), log=str(home / f"{kind}.log"), port=port))
    return specs


def config_of(layout: Layout, zone: str, secret_file: Path) -> AppConfig:
    """What the processes of a zone are told: everybody's writer address, and the zone's own Redis first."""
    return AppConfig(
        zone=zone,
        listen=(layout.address(zone), API_PORT),
        mysql=Database(layout.address(EDGE), WRITER_PORT, "app", str(secret_file.resolve()), "filetransfer"),
        sentinels=tuple(sentinel_addresses(layout, zone)),
        queue=QUEUE,
        redis_cluster=tuple(cluster_addresses(layout, zone)),
    )
