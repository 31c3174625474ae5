"""GTID positions of both flavours as data: which has more, and does one contain the other. No I/O.

MariaDB writes the last transaction of each domain, ``0-1-4711``: domain, server, sequence number; one more per server
in a binary log state. Oracle MySQL writes sets, ``3e11fa47-...:1-5:11-18``, with an optional tag after the UUID.
"""

from __future__ import annotations

from ftchaos.errors import Invalid


def mariadb_parts(position: str) -> dict[tuple[int, int], int]:
    """The highest sequence number of each pair of domain and server in a MariaDB position or binary log state.

    Raises:
        Invalid: the text is no such position.
    """
    parts: dict[tuple[int, int], int] = {}
    for gtid in filter(None, (part.strip() for part in position.split(","))):
        try:
            domain, server, sequence = map(int, gtid.split("-"))
        except ValueError:
            raise Invalid(f"{gtid!r} is no MariaDB GTID", "it looks like 0-1-4711") from None
        parts[domain, server] = max(sequence, parts.get((domain, server), 0))
    return parts


def mariadb_progress(position: str) -> int:
    """How far a MariaDB position is: the highest sequence number of each domain, summed."""
    highest: dict[int, int] = {}
    for (domain, _), sequence in mariadb_parts(position).items():
        highest[domain] = max(sequence, highest.get(domain, 0))
    return sum(highest.values())


def mariadb_contains(history: str, position: str) -> bool:
    """Whether each transaction that a position names also stands in a history.

    Args:
        history: ``gtid_binlog_state`` and ``gtid_slave_pos`` of one server, joined with a comma.
        position: ``gtid_current_pos`` of another.
    """
    known = mariadb_parts(history)
    return all(known.get(pair, 0) >= sequence for pair, sequence in mariadb_parts(position).items())


def oracle_intervals(gtid_set: str) -> dict[str, list[tuple[int, int]]]:
    """The merged intervals, both ends included, of each source (UUID, or UUID and tag) in a MySQL GTID set.

    Raises:
        Invalid: the text is no GTID set.
    """
    found: dict[str, list[tuple[int, int]]] = {}
    for part in filter(None, "".join(gtid_set.split()).lower().split(",")):
        uuid, *rest = part.split(":")
        source = uuid
        for item in rest:
            if not item[:1].isdigit():
                source = f"{uuid}:{item}"
                continue
            low, _, high = item.partition("-")
            try:
                found.setdefault(source, []).append((int(low), int(high or low)))
            except ValueError:
                raise Invalid(f"{part!r} is no MySQL GTID set", "it looks like UUID:1-5:7") from None
        if not rest:
            raise Invalid(f"{part!r} is no MySQL GTID set", "it looks like UUID:1-5:7")
    return {source: _merged(intervals) for source, intervals in found.items()}


def oracle_progress(gtid_set: str) -> int:
    """How many transactions a MySQL GTID set holds."""
    return sum(high - low + 1 for intervals in oracle_intervals(gtid_set).values() for low, high in intervals)


def oracle_contains(history: str, gtid_set: str) -> bool:
    """Whether each transaction of a MySQL GTID set also stands in another."""
    known = oracle_intervals(history)
    return all(
        any(begin <= low and high <= end for begin, end in known.get(source, ()))
        for source, intervals in oracle_intervals(gtid_set).items()
        for low, high in intervals
    )


def oracle_union(one: str, other: str) -> str:
    """The transactions of either MySQL GTID set, as one set in canonical writing."""
    merged = oracle_intervals(",".join(filter(None, (one.strip(), other.strip()))))
    return ",".join(
        ":".join([source, *(f"{low}-{high}" if high > low else str(low) for low, high in intervals)])
        for source, intervals in sorted(merged.items())
    )


def _merged(intervals: list[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for low, high in sorted(intervals):
        if merged and low <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
        else:
            merged.append((low, high))
    return merged
