"""How many API calls a zone outage on AWS takes, its plan and its heal included: 10, 100 and 1,000 tagged servers.

PYTHONPATH=tests:tests/cloud:. python -m benchmarks.api_calls
"""

from __future__ import annotations

from fault_account import ALLOWED, AMI, ZONES, Calls, build, heal, inject, led_to, look
from standin.server import Standin

from ftchaos.platforms.aws import faults


def main() -> None:
    standin = Standin()
    try:
        for count in (10, 100, 1000):
            with led_to(standin):
                made = build(standin)
                tags = [{"ResourceType": "instance", "Tags": ALLOWED}]
                standin.client("ec2").run_instances(
                    ImageId=AMI, MinCount=count, MaxCount=count, SubnetId=made.subnets[ZONES[0]], TagSpecifications=tags
                )
                planned, injected, healed = Calls(), Calls(), Calls()
                harm = faults.find("fail_zone").plan(look(standin, planned), zone=ZONES[0])
                inject(standin, "fail_zone", harm, injected)
                heal(standin, "fail_zone", harm, healed)
            said = f"plan {len(planned.made)}, injection {len(injected.made)}, heal {len(healed.made)}"
            print(f"{count:5,} servers: {said} calls")
    finally:
        standin.end()


if __name__ == "__main__":
    main()
