"""What every step of a copy needs: the way to its region, its names, its tags, and the undo that goes first."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from ftchaos.clock import iso
from ftchaos.platforms.aws.calls import OWNER

if TYPE_CHECKING:
    from ftchaos.platforms.aws.access import Access, Place
    from ftchaos.undo import UndoLog

PREFIX = "ftchaos-"
EXPIRES = "ftchaos-expires"
LONGEST = 63
"""Characters of an identifier of RDS. Source: RDS API reference, RestoreDBInstanceToPointInTime."""

# What there is of each kind, and how its name ends.
SUFFIXES = {
    "security-group": "clients", "subnet-group": "subnets", "parameter-group": "parameters",
    "cluster-parameter-group": "cluster-parameters", "snapshot": "snapshot", "cluster-snapshot": "snapshot",
    "cluster": "cluster", "instance": "db", "password": "db",
}  # fmt: skip


def name_of(run_id: str, kind: str) -> str:
    """What a run calls its part of a kind: in small letters, as RDS takes it, and of this run alone.

    A run id that is too long keeps its two ends, the time and the random part.
    """
    plain = re.sub(r"[^a-z0-9]+", "-", run_id.lower()).strip("-")
    room = LONGEST - len(PREFIX) - len(SUFFIXES[kind]) - 1
    if len(plain) > room:
        begin, _, rest = plain.partition("-")
        end = rest.rpartition("-")[2]
        plain = f"{begin}-{end}"[-room:].strip("-")
    return f"{PREFIX}{plain}-{SUFFIXES[kind]}"


def pace_s(place: Place) -> float:
    """How long to wait between two looks: AWS counts them, a stand-in on this machine does not."""
    return 0.05 if place.endpoint else 10.0


@dataclass(frozen=True)
class Making:
    """Of one copy.

    Attributes:
        region: where it is made; another one than the access's for a copy far away.
        expires_at: after that instant, in UTC, nobody needs it any more.
    """

    access: Access
    undo: UndoLog
    run_id: str
    region: str
    expires_at: datetime

    def client(self, service: str, *, once: bool = False) -> Any:
        """See :meth:`ftchaos.platforms.aws.access.Access.client`."""
        return self.access.client(service, once=once, region=self.region)

    def pages(self, service: str, operation: str, key: str, **parameters: Any) -> Iterator[dict[str, Any]]:
        """See :meth:`ftchaos.platforms.aws.access.Access.pages`."""
        return self.access.pages(service, operation, key, region=self.region, **parameters)

    @property
    def pace_s(self) -> float:
        return pace_s(self.access.place)

    def name(self, kind: str) -> str:
        return name_of(self.run_id, kind)

    def tags(self, kind: str) -> list[dict[str, str]]:
        """What everything that is made carries: whose it is, and until when."""
        given = {OWNER: self.run_id, EXPIRES: iso(self.expires_at), "Name": self.name(kind)}
        return [{"Key": key, "Value": value} for key, value in given.items()]

    def announce(self, kind: str, **more: str) -> str:
        """Put the undo of one part on disk, and say how the part is to be called.

        Args:
            more: what its heal needs beside place and name.

        Raises:
            Refused: it cannot be written, so the part must not be made.
        """
        place = replace(self.access.place, region=self.region)
        name = self.name(kind)
        arguments = {
            "place": place.to_json(), "kind": kind, "name": name, "run_id": self.run_id,
            "expires_at": iso(self.expires_at), **more,
        }  # fmt: skip
        self.undo.record("aws", f"copy:{kind}", arguments, f"the {kind.replace('-', ' ')} {name} is made for a copy")
        return name
