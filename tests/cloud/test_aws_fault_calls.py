"""How many calls a zone outage takes: more resources make more pages, not more calls for each."""

from __future__ import annotations

from collections import Counter

import pytest
from fault_account import ALLOWED, AMI, ZONES, Calls, build, heal, inject, look
from standin.server import Standin

from ftchaos.platforms.aws import faults

PAGE = 100  # instances that one call stops


@pytest.mark.parametrize("count", [10, 250])
def test_calls_grow_by_page(aws: Standin, count: int) -> None:
    standin = aws
    made = build(standin)
    tags = [{"ResourceType": "instance", "Tags": ALLOWED}]
    standin.client("ec2").run_instances(
        ImageId=AMI, MinCount=count, MaxCount=count, SubnetId=made.subnets[ZONES[0]], TagSpecifications=tags
    )
    calls = Calls()
    before = look(standin, calls)
    harm = faults.find("fail_zone").plan(before, zone=ZONES[0])
    inject(standin, "fail_zone", harm, calls)
    stopped = sum(one.state == "stopped" for one in look(standin).instances)
    heal(standin, "fail_zone", harm, calls)
    by_name = Counter(calls.made)
    pages = -(-(count + 1) // PAGE)

    assert count + 2 == stopped  # those, the one that every account has, and the one that was stopped before
    assert (pages, pages) == (by_name["ec2:StopInstances"], by_name["ec2:StartInstances"])
    assert sum(by_name.values()) <= 30 + 6 * pages
    assert before == look(standin)
