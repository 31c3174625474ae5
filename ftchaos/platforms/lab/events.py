"""What the lab's components said of themselves, on the run's clock; it corroborates what clients saw, no more.

The failover manager tells instants of the run's own clock. Redis, the Sentinels and HAProxy write the wall clock of the
machine, which is converted; a Redis log knows milliseconds.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from ftchaos.clock import Clock
from ftchaos.platforms.base import Event
from ftchaos.platforms.lab import balancer
from ftchaos.platforms.lab.decisions import Folder
from ftchaos.platforms.lab.lab import Lab
from ftchaos.platforms.lab.layout import ZONES
from ftchaos.platforms.lab.redis import QUEUE_MASTER, Node, cluster_nodes

# 4125:M 23 Nov 2026 19:14:34.610 * Marking node ... as failing (quorum reached).
_REDIS_LINE = re.compile(r"\d+:[A-Z] (\d+ \w+ \d+ [\d:.]+) [.*#-] (.*)")
_FAILING = re.compile(r"Marking node ([0-9a-f]{40}) as failing \(quorum reached\)")
_ELECTION = "Starting a failover election"
_WON = "Failover election won"
_TOOK_OVER = "Taking over the master"
# What a Sentinel says of the queue's master, or of a server that was it.
_SENTINEL = {
    "+sdown master": "suspected",
    "+odown master": "detected",
    "+elected-leader master": "elected",
    "+switch-master": "promoted",
    "+convert-to-slave slave": "rejoined",
}
# 2026-11-23T19:14:34.610123+00:00 Server api/api-a is DOWN, reason: ...
_HAPROXY_LINE = re.compile(r"(\d{4}-\S+T\S+) (?:\[\w+\] )?Server api/(\S+) is (UP|DOWN)")


def read(lab: Lab, since_at: float) -> list[Event]:
    """What was said since an instant, in order."""
    clock = Clock.anchored()  # a wall clock that was set in between would mislead, and so is asked as late as possible
    nodes = cluster_nodes(lab.layout)
    found = [
        *_database(lab, since_at),
        *(event for node in nodes for event in cluster(_log(lab, node.place, node.name), node, nodes, clock)),
        *(event for zone in ZONES for event in sentinel(_log(lab, zone, f"sentinel-{zone[-1]}"), zone, lab, clock)),
        *api(_text(balancer.home_of(lab.folder) / "haproxy.log"), clock),
    ]
    return sorted((event for event in found if event.at >= since_at), key=lambda event: event.at)


def _database(lab: Lab, since_at: float) -> Iterator[Event]:
    for said in Folder.of(lab.folder).events(since_at):
        yield Event(said["at"], "database", said["event"], str(said.get("server") or said.get("primary") or ""))


def cluster(log: str, node: Node, nodes: list[Node], clock: Clock) -> Iterator[Event]:
    """What a node of the Redis Cluster wrote: whom it found dead with a majority, and that it leads."""
    known = {one.node_id: one for one in nodes}
    mine = _component(node)
    for at, text in _redis_lines(log, clock):
        if (found := _FAILING.search(text)) and (dead := known.get(found[1])):
            yield Event(at, _component(dead), "detected", f"{dead.name}, by {node.name}")
        elif text.startswith(_ELECTION):
            yield Event(at, mine, "elected", node.name)
        elif text.startswith(_WON):
            yield Event(at, mine, "promoted", node.name)
        elif text.startswith(_TOOK_OVER):
            yield Event(at, mine, "promoted", f"{node.name}, by itself")


def sentinel(log: str, zone: str, lab: Lab, clock: Clock) -> Iterator[Event]:
    """What a Sentinel wrote of the queue's master."""
    by_address = {address: place for place, address in lab.layout.addresses().items()}
    for at, text in _redis_lines(log, clock):
        words = text.split()
        what = next((what for what in _SENTINEL if text.startswith(f"{what} ")), "")
        if not what or QUEUE_MASTER not in words:
            continue
        where = next((by_address[word] for word in reversed(words) if word in by_address), "")
        if what == "+convert-to-slave slave":  # it names the server first, and the master of now last
            where = by_address.get(words[3], where)
        yield Event(at, "queue", _SENTINEL[what], f"redis-queue-{where[-1:]}, by sentinel-{zone[-1]}")


def api(log: str, clock: Clock) -> Iterator[Event]:
    """What HAProxy wrote of the API's servers."""
    for line in log.splitlines():
        if found := _HAPROXY_LINE.search(line):
            at = clock.at(datetime.fromisoformat(found[1]))
            yield Event(at, "api", f"server {found[3].lower()}", found[2])


def _component(node: Node) -> str:
    return f"cache-{ZONES[node.shard][-1]}"


def _redis_lines(log: str, clock: Clock) -> Iterator[tuple[float, str]]:
    for line in log.splitlines():
        if found := _REDIS_LINE.match(line):
            yield clock.at(datetime.strptime(found[1], "%d %b %Y %H:%M:%S.%f").astimezone()), found[2]


def _log(lab: Lab, zone: str, server: str) -> str:
    return _text(lab.folder / zone / server / "redis.log")


def _text(path: Path) -> str:
    """A log; a line half written is not there yet."""
    try:
        text = path.read_text(errors="replace")
    except FileNotFoundError:
        return ""
    return text[: text.rfind("\n") + 1]
