"""A zone that is cut off with clients inside: what its stale master acknowledges is lost, and exactly that is found."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis_clients import SHARDS, acknowledged, nodes_of, read, served
from small_labs import bring_up_bare
from trio import until
from writers import Workload

from ftchaos.audit import classify, self_test
from ftchaos.ledger import Ledger, Outcome
from ftchaos.platforms.lab import redis
from ftchaos.platforms.lab.lab import Lab

CUT_OFF = "zone-a"


@pytest.fixture
def lab(state: Path) -> Iterator[Lab]:
    """The Redis Cluster, in zones that can be cut off."""
    lab = bring_up_bare("partition")
    for spec in redis.prepare(lab.layout, lab.folder):
        if spec.name.startswith("redis-cluster"):
            lab.call("begin_service", spec=spec.to_json())
    yield lab
    lab.down()


def test_stale_master_loses_what_only_clients_inside_were_told(lab: Lab, tmp_path: Path) -> None:
    every = nodes_of(lab.layout)
    (inside_folder := tmp_path / "inside").mkdir()
    outside = Workload(tmp_path, argv=lab.client_argv, redis={"nodes": every, "shards": SHARDS})
    inside = Workload(
        inside_folder,
        argv=lambda argv: lab.client_argv(argv, CUT_OFF),
        first_writer=100,
        redis={
            "nodes": [one for one in every if one[0] == lab.layout.address(CUT_OFF)],
            "shards": {"a": SHARDS["a"]},
            "wait": False,
            "kind": "redis-inside",
        },
    )
    until(lambda: served(tmp_path, "redis-wait-a") and served(inside_folder, "redis-inside-a"), 15, "all serve")
    time.sleep(0.5)
    cut_at = lab.call("cut_zone", zone=CUT_OFF)["done_at"]
    until(lambda: any(at > cut_at for at in served(tmp_path, "redis-a")), 15, "another master serves outside")
    mended_at = time.monotonic()
    lab.call("mend_zone", zone=CUT_OFF)
    # A replica that is just being let in misses a WAIT; several in a row are held only once all follow.
    until(lambda: sum(at > mended_at for at in served(tmp_path, "redis-wait-a")) >= 5, 15, "the stale master follows")
    ledger = Ledger((*outside.end().writers, *inside.end().writers))

    found = read(lab.layout, tmp_path, [tmp_path / "ledger", inside_folder / "ledger"], lab.client_argv)
    audit = classify(ledger, found, cut_at)
    assert "" == self_test(ledger, found)
    (stale,) = ledger.of("redis-inside-a")
    lost = {seq for one in audit.lost_intervals if one.kind == stale.kind for seq in range(one.first, one.last + 1)}
    told_in_vain = {seq for seq in acknowledged(stale) if stale.sent_at(seq) > cut_at}
    assert len(told_in_vain) > 100  # for as long as it takes to see that it is alone
    assert told_in_vain <= lost
    assert all(stale.known_at(seq) > cut_at - 0.1 for seq in lost)
    assert stale.outcome(stale.attempted) is Outcome.FAILED
    assert 0 == sum(audit.stores[f"redis-wait-{shard}"].classes.lost for shard in "abc")
    assert 0 == audit.total.unexpected
    (confirmed,) = ledger.of("redis-wait-a")
    assert confirmed.outcome(confirmed.attempted) is Outcome.ACKNOWLEDGED
