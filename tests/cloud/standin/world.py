"""All that the stand-in knows beyond moto: the real servers, by the ARN of what they stand behind, and time."""

from __future__ import annotations

import datetime
import itertools
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from moto.ec2.models import ec2_backends
from moto.rds.models import RDSBackend, rds_backends

from standin import certificates, network, processes
from standin.database import Database
from standin.proxy import Proxy, Switchboard
from standin.settings import Settings

ACCOUNT = "123456789012"


def now() -> datetime.datetime:
    """The wall clock, aware of its zone."""
    return datetime.datetime.now(datetime.UTC)


@dataclass
class Place:
    """An address of a database or a cache, which outlives the server behind it.

    Attributes:
        proxy: the address.
        region: where it is.
        subnets: ids of the subnets that its owner may be in, by zone.
        zone: the zone that the server is in at present.
        cut_at: since when its subnet is cut off, on the monotonic clock; 0 while it is not.
        noticed_at: the last of these that the service has noticed.
    """

    proxy: Proxy
    region: str
    subnets: dict[str, str]
    zone: str
    cut_at: float = 0.0
    noticed_at: float = 0.0

    def notice(self) -> bool:
        """Whether it is cut off, and nobody has noticed that yet."""
        is_new = bool(self.cut_at) and self.cut_at != self.noticed_at
        self.noticed_at = self.cut_at
        return is_new


@dataclass
class Instance:
    """What is behind a database instance.

    Attributes:
        model: moto's.
        place: its address.
        database: its server, once it has one.
        earliest_at: before this nothing can be restored.
        busy: a background work changes it.
    """

    model: Any
    place: Place
    database: Database | None = None
    earliest_at: datetime.datetime = field(default_factory=now)
    gone: bool = False


class World:
    """The state of the stand-in.

    Args:
        folder: where the servers keep their files.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.settings = Settings()
        self.board = Switchboard()
        self.certificates = certificates.issue(folder)
        self.lock = threading.RLock()
        self.instances: dict[str, Instance] = {}
        self.images: dict[str, Path] = {}  # of snapshots, by ARN
        self.events: list[dict[str, Any]] = []
        self.other_places: list[Place] = []
        self.resets: list[Callable[[], None]] = []
        self._numbers = itertools.count(1)
        self.generation = 0

    def path(self, name: str) -> Path:
        """A name in the folder that nobody has used."""
        return self.folder / f"{next(self._numbers)}-{name}"

    def database(self, name: str, image: Path) -> Database:
        """A server that has not begun yet, on a copy of an image."""
        return Database(self.path(name), image, self.certificates.options)

    def instance(self, region: str, name: str) -> Instance | None:
        """The record of a database instance; None where there is none."""
        model = rds(region).databases.get(name)
        return self.instances.get(model.arn) if model is not None else None

    def event(self, region: str, kind: str, name: str, arn: str, message: str, *categories: str) -> None:
        """Let something be seen in ``describe_events``, late or never as the settings demand."""
        if self.settings.lose_events:
            return
        with self.lock:
            self.events.append(
                {
                    "region": region,
                    "SourceType": kind,
                    "SourceIdentifier": name,
                    "SourceArn": arn,
                    "Message": message,
                    "EventCategories": list(categories),
                    "Date": now(),
                    "seen_at": time.time() + self.settings.event_delay_s,
                }
            )

    def found_events(self, region: str, params: dict[str, Any], kinds: tuple[str, ...]) -> list[dict[str, Any]]:
        """The events that a ``DescribeEvents`` asks for."""
        begin = params.get("StartTime")
        if begin is None:
            begin = now() - datetime.timedelta(minutes=float(params.get("Duration", 60)))
        end = params.get("EndTime") or now() + datetime.timedelta(days=1)
        with self.lock:
            return [
                event
                for event in self.events
                if event["region"] == region
                and event["SourceType"] in kinds
                and params.get("SourceType") in (None, event["SourceType"])
                and params.get("SourceIdentifier") in (None, event["SourceIdentifier"])
                and event["seen_at"] <= time.time()
                and aware(begin) <= event["Date"] <= aware(end)
            ]

    def places(self) -> list[Place]:
        """All addresses."""
        with self.lock:
            return [record.place for record in self.instances.values()] + self.other_places

    def place_changed(self, place: Place) -> None:
        """Cut an address off, or let it through, as the network ACL of its subnet says."""
        subnet = place.subnets.get(place.zone)
        isolated = subnet is not None and network.is_isolated(ec2(place.region), subnet)
        place.cut_at = (place.cut_at or time.monotonic()) if isolated else 0.0
        place.proxy.cut(isolated)

    def reset(self) -> None:
        """Forget everything, and end all servers."""
        with self.lock:
            self.generation += 1
            for record in self.instances.values():
                record.gone = True
                record.place.proxy.end()
                if record.database:
                    record.database.forget()
            for image in self.images.values():
                shutil.rmtree(image, ignore_errors=True)
            for clear in self.resets:
                clear()
            self.instances.clear()
            self.images.clear()
            self.other_places.clear()
            self.events.clear()
            processes.release_ports()
            self.settings.__init__()  # type: ignore[misc]

    def last(self, name: str, begun: float | None = None, share: float = 1.0) -> None:
        """Return when a duration of the settings is over, which is read anew all the while: a test may end it.

        Args:
            begun: when it began, on the monotonic clock; now when None.
            share: of it that is to be over.
        """
        begun = time.monotonic() if begun is None else begun
        while (left_s := begun + share * getattr(self.settings, name) - time.monotonic()) > 0:
            time.sleep(min(left_s, 0.02))

    def beside(self, work: Callable[..., Any], *arguments: Any) -> None:
        """Run something beside the calls."""
        processes.later(work, *arguments)


def aware(at: datetime.datetime) -> datetime.datetime:
    """An instant with its zone; moto's are in UTC without saying so."""
    return at if at.tzinfo else at.replace(tzinfo=datetime.UTC)


def rds(region: str) -> RDSBackend:
    """moto's RDS of a region."""
    backend: RDSBackend = rds_backends[ACCOUNT][region]
    return backend


def ec2(region: str) -> Any:
    """moto's EC2 of a region."""
    return ec2_backends[ACCOUNT][region]
