"""A service of the lab: one server program in one place, and how to tell that it is ready."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class ServiceSpec:
    """What it takes to begin a service, and to begin it again.

    Attributes:
        name: unique in the lab, for example ``mysql-a``.
        place: a zone or ``edge``.
        argv: the program and its arguments; the program may be found through PATH.
        cwd: absolute; the caller has created it.
        log: absolute; standard output and error are appended to it.
        env: added to the supervisor's environment.
        port: ready when this port of the place accepts; None: ready as soon as it runs.
        restart: begun again 0.2 s after it dies, unless its place is dead too.
        ready_timeout_s: how long it may take until it is ready.
    """

    name: str
    place: str
    argv: tuple[str, ...]
    cwd: str
    log: str
    env: Mapping[str, str] = field(default_factory=dict)
    port: int | None = None
    restart: bool = False
    ready_timeout_s: float = 30

    def to_json(self) -> dict[str, Any]:
        """The same as data that JSON can carry."""
        return asdict(self) | {"env": dict(self.env), "argv": list(self.argv)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> ServiceSpec:
        """A specification from what :meth:`to_json` gave."""
        return cls(**{**data, "argv": tuple(data["argv"])})
