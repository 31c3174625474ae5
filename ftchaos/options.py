"""What a person chose for one run, however it was said: on the command line or in a definition's configuration."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from ftchaos.errors import Invalid
from ftchaos.units import duration_s, size_bytes

COMMIT = re.compile(r"^[0-9a-f]{40}(?:[0-9a-f]{24})?\Z")
IMAGE = re.compile(r"^(?:[\x21-\x3f\x41-\x7e]+@)?sha256:[0-9a-f]{64}\Z")


def ensure_identity(commit: str, image: str) -> None:
    """Refuse a commit or an image that does not say which one it is; both may be left out.

    Raises:
        Invalid: the commit is shortened, or the image is only a tag.
    """
    if commit and not COMMIT.fullmatch(commit):
        raise Invalid(f"{commit!r} is not a whole commit", "give all its digits: git rev-parse HEAD")
    if image and not IMAGE.fullmatch(image):
        raise Invalid(f"{image!r} has no digest, and a tag can be moved", "give it like REF@sha256:...")


@dataclass(frozen=True)
class Options:
    """The choices of one run; everything has a default.

    Attributes:
        environment: name in the configuration.
        lab: name of a lab that is up; empty for one that lives as long as the run.
        reports: the folder that gets the run's folder.
        config: the configuration file, or None for the usual one.
        method: what is restored from; empty for the first that the platform knows, see ``methods`` there.
        to: ``last`` for the last archived event, or a UTC time to which the log is replayed.
        size: bytes of realistic data in a lab that is begun for the run.
        mysql_flavour: ``mariadb``, ``mysql`` or empty for the one that is found.
        backup: a backup that ftchaos did not make, to be restored in place of the lab's.
        binlogs: folder of binary logs that continue that backup.
        warm_timeout: seconds to wait for the service to meet its objectives again.
        zone: the zone that a fault takes, or ``primary`` for that of the MySQL primary.
        manner: how a fault is done; each experiment has its own default.
        confirm: the name of a protected environment, typed once more.
        commit, image: of the system under test; empty where they are not known.
        restores: ``data``, or ``configuration`` in a drill of the namespaces of a cluster; the definition says which.
        namespaces: those that such a drill loses, with commas between; empty for all of the environment.
        durability: ``configured``, or ``weaker``: asynchronous replication in place of semi-synchronous.
    """

    environment: str = "lab"
    lab: str = ""
    reports: Path = Path("reports")
    config: Path | None = None
    method: str = ""
    to: str = "last"
    size: int = 24 << 20
    mysql_flavour: str = ""
    backup: Path | None = None
    binlogs: Path | None = None
    warm_timeout: float = 120.0
    zone: str = "primary"
    manner: str = ""
    confirm: str = ""
    commit: str = ""
    image: str = ""
    durability: Literal["configured", "weaker"] = "configured"
    restores: Literal["data", "configuration"] = "data"
    namespaces: str = ""

    @classmethod
    def parse(cls, given: Mapping[str, Any]) -> Options:
        """Options from values as people write them; keys that are no options are passed over.

        Raises:
            Invalid: a value cannot be used.
        """
        known = {field.name for field in fields(cls)}
        values: dict[str, Any] = {
            key: value for key, value in given.items() if key in known and value not in (None, "")
        }
        for key, convert in _CONVERSIONS.items():
            if key in values:
                values[key] = convert(values[key])
        options = cls(**values)
        if options.durability not in ("configured", "weaker"):
            raise Invalid(f"the durability {options.durability!r} is unknown", "choose configured or weaker")
        if options.restores not in ("data", "configuration"):
            raise Invalid(f"a drill cannot restore {options.restores!r}", "choose data or configuration")
        if options.mysql_flavour not in ("", "mariadb", "mysql"):
            raise Invalid(f"the flavour {options.mysql_flavour!r} is unknown", "choose mariadb or mysql")
        ensure_identity(options.commit, options.image)
        options.target_time()
        return options

    def target_time(self) -> datetime | None:
        """The UTC time to which the log is replayed, or None for its last event.

        Raises:
            Invalid: ``to`` is neither ``last`` nor a time.
        """
        if self.to == "last":
            return None
        try:
            at = datetime.fromisoformat(self.to)
        except ValueError as error:
            raise Invalid(
                f"{self.to!r} is not a time to restore to", "write UTC like 2026-11-23T06:15:00Z, or last"
            ) from error
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)

    def as_configuration(self) -> dict[str, Any]:
        """The same as a definition's configuration takes it."""
        return {
            field.name: str(value) if isinstance(value, Path) else value
            for field in fields(self)
            if (value := getattr(self, field.name)) is not None
        }


_CONVERSIONS: Mapping[str, Callable[[Any], Any]] = {
    "reports": Path,
    "config": Path,
    "backup": Path,
    "binlogs": Path,
    "size": size_bytes,
    "warm_timeout": duration_s,
    "to": str,
}
