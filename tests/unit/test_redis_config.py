"""The files that the lab's Redis servers begin with."""

from __future__ import annotations

from pathlib import Path

from ftchaos.platforms.lab import redis
from ftchaos.platforms.lab.layout import ZONES, Layout

LAYOUT = Layout("root", "10.77.0")
NODES = redis.cluster_nodes(LAYOUT)


def test_each_zone_has_two_nodes_and_one_master() -> None:
    for zone in ZONES:
        masters = [node.master is None for node in NODES if node.place == zone]
        assert sorted(masters) == [False, True]


def test_no_replica_shares_a_zone_with_its_master() -> None:
    place = {node.name: node.place for node in NODES}

    assert all(place[node.master] != node.place for node in NODES if node.master)


def test_the_slots_are_all_served_once() -> None:
    ranges = [tuple(map(int, redis.slots(shard).split("-"))) for shard in range(3)]

    assert [slot for low, high in ranges for slot in range(low, high + 1)] == list(range(16384))


def test_a_node_knows_itself_and_its_peers() -> None:
    text = redis.nodes_conf(NODES, NODES[3])
    lines = text.splitlines()

    assert len(lines) == len(NODES) + 1
    assert [line for line in lines if "myself" in line] == [
        f"{NODES[3].node_id} 10.77.0.12:7002@17002 myself,slave {NODES[0].node_id} 0 0 1 connected"
    ]
    assert text.endswith("vars currentEpoch 3 lastVoteEpoch 0\n")


def test_node_ids_differ_and_stay_the_same() -> None:
    assert len({node.node_id for node in NODES}) == 6
    assert all(len(node.node_id) == 40 for node in NODES)
    assert redis.cluster_nodes(LAYOUT) == NODES


def test_a_sentinel_knows_both_replicas_and_both_peers() -> None:
    text = redis.sentinel_conf(LAYOUT, "zone-b")

    assert "sentinel monitor queue 10.77.0.11 7101 2\n" in text
    assert text.count("known-replica queue") == 2
    assert text.count("known-sentinel queue") == 2
    assert "known-sentinel queue 10.77.0.12" not in text


def test_clients_ask_the_nodes_of_their_own_zone_first() -> None:
    assert redis.cluster_addresses(LAYOUT, "zone-c")[:2] == [("10.77.0.13", 7001), ("10.77.0.13", 7002)]
    assert redis.sentinel_addresses(LAYOUT, "zone-b")[0] == ("10.77.0.12", 7201)
    assert len(redis.sentinel_addresses(LAYOUT, "zone-b")) == 3


def test_services_are_named_once_and_stand_where_they_are_told(tmp_path: Path) -> None:
    specs = redis.prepare(LAYOUT, tmp_path)

    assert len({spec.name for spec in specs}) == len(specs) == 12
    assert all(Path(spec.cwd) == tmp_path / spec.place / spec.name for spec in specs)
    assert (tmp_path / "zone-b/redis-queue-b/redis.conf").read_text().count("replicaof 10.77.0.11 7101") == 1
    assert "replicaof" not in (tmp_path / "zone-a/redis-queue-a/redis.conf").read_text()
