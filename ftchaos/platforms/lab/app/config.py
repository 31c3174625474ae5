"""What one API or worker process of the application stand-in is told: a JSON file, read once."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Database:
    """Where the application finds MySQL; the password stays in its own file."""

    host: str
    port: int
    user: str
    secret_file: str
    database: str

    def secret(self) -> str:
        return Path(self.secret_file).read_text().strip()


@dataclass(frozen=True)
class AppConfig:
    """One process of the application.

    Attributes:
        zone: the zone it lives in; its own Redis nodes are asked first.
        listen: address and port of the API (a worker ignores it).
        sentinels: (host, port) of the Sentinels that know the queue's master.
        queue: name of the BullMQ queue.
        redis_cluster: (host, port) of the Redis Cluster's nodes, the nearest first.
    """

    zone: str
    listen: tuple[str, int]
    mysql: Database
    sentinels: tuple[tuple[str, int], ...]
    queue: str
    redis_cluster: tuple[tuple[str, int], ...]

    @classmethod
    def load(cls, path: Path) -> AppConfig:
        raw = json.loads(path.read_text())
        return cls(
            zone=raw["zone"],
            listen=_address(raw["listen"]),
            mysql=Database(**raw["mysql"]),
            sentinels=tuple(_address(item) for item in raw["sentinels"]),
            queue=raw["queue"],
            redis_cluster=tuple(_address(item) for item in raw["redis_cluster"]),
        )

    def dump(self) -> str:
        return json.dumps(asdict(self), indent=1)


def _address(pair: list[object]) -> tuple[str, int]:
    host, port = pair
    return str(host), int(str(port))
