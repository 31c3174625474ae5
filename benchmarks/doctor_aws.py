"""How the doctor of an environment grows with the servers in it: seconds and API calls, against moto on this machine.

python -m benchmarks.doctor_aws
"""

from __future__ import annotations

import os
import time

os.environ |= {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_EC2_METADATA_DISABLED": "true"}

import boto3
from moto.server import ThreadedMotoServer

from ftchaos import config
from ftchaos.platforms.aws import examination
from ftchaos.platforms.aws.access import Access, Call

ACCOUNT, REGION = "123456789012", "us-east-1"
TAGS = [{"ResourceType": "instance", "Tags": [{"Key": "ftchaos", "Value": "allowed"}]}]


def main() -> None:
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    settings = config.Config.model_validate(
        {
            "environments": {
                "staging": {"platform": "aws", "account": ACCOUNT, "region": REGION, "endpoint": endpoint,
                            "mysql": {"instance": "a", "secret": "a"}, "redis": {"replication_group": "a"}},
            }
        }
    )  # fmt: skip
    made: list[Call] = []
    note = Access._note
    Access._note = lambda self, *about: (note(self, *about), made.append(self.calls[-1]))[0]  # type: ignore[method-assign]
    ec2 = boto3.client("ec2", endpoint_url=endpoint, region_name=REGION)
    there = 0
    for count in (10, 100, 1000):
        ec2.run_instances(
            ImageId="ami-12c6146b", MinCount=count - there, MaxCount=count - there, TagSpecifications=TAGS
        )
        there = count
        made.clear()
        began_s = time.monotonic()
        findings = examination.examine(settings, "staging", lambda _: None)
        took_s = time.monotonic() - began_s
        (servers,) = (one.seen for one in findings if one.claim == "servers in three zones")
        print(f"{count:5,} servers: {took_s:5.2f} s, {len(made)} calls ({servers})")
    server.stop()


if __name__ == "__main__":
    main()
