"""Where things stand in the lab: places, addresses and ports; pure."""

from __future__ import annotations

from dataclasses import dataclass
from zlib import crc32

from ftchaos.errors import Invalid

ZONES = ("zone-a", "zone-b", "zone-c")
EDGE = "edge"
CLIENT = "client"
PLACES = (*ZONES, EDGE, CLIENT)

MYSQL_PORT = 3306
REDIS_CLUSTER_PORTS = (7001, 7002)
QUEUE_REDIS_PORT = 7101
SENTINEL_PORT = 7201
API_PORT = 8080
PUBLIC_PORT = 8000
WRITER_PORT = 3306
READER_PORT = 3307

_HOSTS = {"edge": 10, "zone-a": 11, "zone-b": 12, "zone-c": 13, "client": 20}


@dataclass(frozen=True)
class Layout:
    """The addresses of one lab.

    Attributes:
        mode: ``root``, ``user`` or ``loopback``.
        base: the first three numbers of every address; private to the lab where it has network
            namespaces, otherwise a slice of 127/8 of its own.
    """

    mode: str
    base: str

    @classmethod
    def of(cls, mode: str, key: str, attempt: int = 0) -> Layout:
        """The layout of a lab; among those on loopback addresses ``key`` and ``attempt`` choose the slice."""
        if mode != "loopback":
            return cls(mode, "10.77.0")
        # 127.0 and 127.1 are left to everybody else.
        return cls(mode, f"127.{2 + (crc32(key.encode()) + attempt) % 252}.0")

    @property
    def hub(self) -> str:
        """The supervisor's own address."""
        return f"{self.base}.1"

    def address(self, place: str) -> str:
        """The address of a place.

        Raises:
            Invalid: there is no such place.
        """
        try:
            return f"{self.base}.{_HOSTS[place]}"
        except KeyError:
            raise Invalid(f"the lab has no place {place!r}", f"the places are {', '.join(PLACES)}") from None

    def addresses(self) -> dict[str, str]:
        """The address of every place."""
        return {place: self.address(place) for place in PLACES}


def ensure_zone(zone: str) -> str:
    """The zone itself.

    Raises:
        Invalid: it is no zone of the lab.
    """
    if zone not in ZONES:
        raise Invalid(f"the lab has no zone {zone!r}", f"the zones are {', '.join(ZONES)}")
    return zone
