"""What RDS and ElastiCache said of themselves, on the run's clock; it corroborates what clients saw, no more.

Their events are best effort: late, out of order, and sometimes missing.

Source: RDS user guide, event messages; ElastiCache API reference, TestFailover.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from ftchaos.clock import Clock
from ftchaos.platforms.base import Event

if TYPE_CHECKING:
    from ftchaos.platforms.aws.access import Access

EARLIER = timedelta(seconds=2)
"""The services know whole seconds of what is asked for."""
_OF_DATABASES = (
    ("detected", re.compile(r"failover started|^Started .*failover", re.IGNORECASE)),
    ("promoted", re.compile(r"failover (to standby )?complete|^Completed failover", re.IGNORECASE)),
)
_OF_NODES = (
    ("promoted", re.compile(r"^Failover from primary node .+ completed")),
    ("replacing", re.compile(r"^Recovering cache nodes")),
    ("rejoined", re.compile(r"^Finished recovery for cache nodes")),
)


def read(access: Access, databases: Mapping[str, str], nodes: Mapping[str, str], since_at: float) -> list[Event]:
    """What was said since an instant, in order.

    Args:
        databases: the component that each instance and cluster is part of.
        nodes: the same of each node of a cache.
    """
    clock = Clock.anchored()
    since = clock.utc(since_at) - EARLIER
    found = [
        *_named(access.pages("rds", "describe_events", "Events", StartTime=since), databases, _OF_DATABASES, clock)
    ]
    if nodes:
        said = access.pages("elasticache", "describe_events", "Events", StartTime=since)
        found += _named(said, nodes, _OF_NODES, clock)
    return sorted((one for one in found if one.at >= since_at), key=lambda one: one.at)


def _named(
    said: Iterator[Mapping[str, Any]], component_of: Mapping[str, str], words: Any, clock: Clock
) -> Iterator[Event]:
    for one in said:
        source, message = str(one.get("SourceIdentifier", "")), str(one.get("Message", ""))
        name = next((name for name, pattern in words if pattern.search(message)), "")
        if name and source in component_of:
            yield Event(clock.at(one["Date"]), component_of[source], name, f"{source}: {message}")
