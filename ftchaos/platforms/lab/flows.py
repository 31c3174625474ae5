"""Streams of packets between places that can be made to vanish, and the packet filter's text that does it; pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ftchaos.errors import Invalid
from ftchaos.platforms.lab.layout import Layout

TABLE = "ftchaos"


@dataclass(frozen=True, order=True)
class Flow:
    """Packets on their way from one place to another.

    Attributes:
        source, destination: places; empty for any.
        source_port, destination_port: TCP ports; 0 for everything, also what is no TCP.
    """

    source: str = ""
    destination: str = ""
    source_port: int = 0
    destination_port: int = 0

    def __str__(self) -> str:
        return f"{_end(self.source, self.source_port)} -> {_end(self.destination, self.destination_port)}"

    def to_json(self) -> dict[str, Any]:
        """The same as data that JSON can carry; the class takes it as its arguments."""
        return asdict(self)

    def rule(self) -> str:
        """The packet filter's rule that drops it."""
        words = []
        if self.source:
            words.append(f'iifname "{self.source}"')
        if self.destination:
            words.append(f'oifname "{self.destination}"')
        if self.source_port:
            words.append(f"tcp sport {self.source_port}")
        if self.destination_port:
            words.append(f"tcp dport {self.destination_port}")
        return " ".join([*words, "drop"])


def from_json(data: Iterable[dict[str, Any]]) -> list[Flow]:
    """Flows from what :meth:`Flow.to_json` gave."""
    return [Flow(**one) for one in data]


def ensure_possible(layout: Layout) -> None:
    """Check that places of a lab can be cut from each other.

    Raises:
        Invalid: it runs on loopback addresses.
    """
    if layout.mode == "loopback":
        raise Invalid(
            "nothing can be cut in this lab: it runs on loopback addresses",
            "run as root, or allow unprivileged user namespaces; `ftchaos doctor` says how",
        )


def into(place: str) -> list[Flow]:
    """All that goes to a place."""
    return [Flow(destination=place)]


def out_of(place: str) -> list[Flow]:
    """All that comes from a place."""
    return [Flow(source=place)]


def served_by(place: str, ports: Sequence[int], peers: Sequence[str] = ("",)) -> list[Flow]:
    """Both directions between servers on these ports of a place and their clients elsewhere.

    Args:
        peers: the places of the clients; by default all others.
    """
    return [
        flow
        for peer in peers
        for port in ports
        for flow in (Flow(place, peer, source_port=port), Flow(peer, place, destination_port=port))
    ]


def used_by(place: str, ports: Sequence[int]) -> list[Flow]:
    """Both directions between clients in a place and servers on these ports elsewhere."""
    return [
        flow for port in ports for flow in (Flow(place, "", destination_port=port), Flow("", place, source_port=port))
    ]


def ruleset(flows: Collection[Flow]) -> str:
    """What the packet filter of the bridge is told to drop exactly these; without any there is no table at all."""
    lines = [f"table bridge {TABLE}", f"delete table bridge {TABLE}"]
    if flows:
        rules = [f"    {flow.rule()}" for flow in sorted(flows)]
        lines += [
            f"table bridge {TABLE} {{",
            "  chain cuts {",
            "    type filter hook forward priority 0; policy accept;",
        ]
        lines += [*rules, "  }", "}"]
    return "\n".join(lines) + "\n"


def _end(place: str, port: int) -> str:
    return f"{place or 'anywhere'}:{port}" if port else place or "anywhere"
