"""What these tests run against: SeaweedFS for buckets with Object Lock, and the stand-in for the rest of AWS.

``aws`` is an empty account in the stand-in, ``staged`` one with a staging environment in it.
"""

from __future__ import annotations

import json
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.exceptions import BotoCoreError, ClientError
from standin import staging
from standin.server import Standin

from ftchaos.platforms.aws import access
from ftchaos.platforms.aws.access import Access
from ftchaos.platforms.aws.calls import CALLS

KEYS = {"accessKey": "ftchaos", "secretKey": "ftchaos-test"}
MAY = {"nothing": [], "list": ["List"], "read": ["List", "Read"], "write": ["List", "Write"]}
"""Accounts that may do less than a store takes, and what; their secrets are their names."""


@pytest.fixture(scope="session")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server that lives as long as the tests."""
    below = tmp_path_factory.mktemp("s3")
    identities = [{"name": "test", "credentials": [KEYS], "actions": ["Admin", "Read", "Write", "List", "Tagging"]}]
    for name, actions in MAY.items():
        credentials = [{"accessKey": name, "secretKey": name}]
        identities.append({"name": name, "credentials": credentials, "actions": actions})
    (below / "s3.json").write_text(json.dumps({"identities": identities}))
    (below / "data").mkdir()
    ports, kept = _free_ports(4)
    weed = Path(sys.executable).parent / "weed"
    with (below / "log").open("wb") as log:
        server = subprocess.Popen(
            [
                weed, "server", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-dir={below}/data", "-s3",
                "-master.volumeSizeLimitMB=64", "-volume.max=900", f"-s3.config={below}/s3.json",
                f"-master.port={ports[0]}", f"-volume.port={ports[1]}", f"-filer.port={ports[2]}",
                f"-s3.port={ports[3]}", "-s3.port.iceberg=0", "-s3.port.lance=0",
            ],
            cwd=below, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        )  # fmt: skip
    try:
        address = f"http://127.0.0.1:{ports[3]}"
        _await(server, address, below / "log")
        yield address
    finally:
        # It takes long to leave in order, and nothing of it is needed any more.
        server.kill()
        server.wait()
        kept.close()
        for port in (number + offset for number in ports for offset in (0, 10_000)):
            for left in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):
                left.unlink()


@pytest.fixture
def client(endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A client of the server; the environment leads ftchaos there too."""
    for name, value in {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": KEYS["accessKey"],
        "AWS_SECRET_ACCESS_KEY": KEYS["secretKey"],
        "AWS_DEFAULT_REGION": "us-east-1",
        "FTCHAOS_CACHE": str(tmp_path / "cache"),
        "FTCHAOS_STATE": str(tmp_path / "state"),
    }.items():
        monkeypatch.setenv(name, value)
    return boto3.client("s3")


@pytest.fixture(scope="session")
def standin() -> Iterator[Standin]:
    """The stand-in for AWS, which lives as long as the tests; ask for ``aws`` or ``staged``."""
    made = Standin()
    try:
        yield made
    finally:
        made.end()


@pytest.fixture
def aws(standin: Standin, monkeypatch: pytest.MonkeyPatch) -> Iterator[Standin]:
    """An empty account; the environment of this process, and of those that it begins, leads boto3 there."""
    standin.reset()
    for name, value in standin.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    yield standin
    standin.reset()


@pytest.fixture(autouse=True)
def only_calls_of_the_table(monkeypatch: pytest.MonkeyPatch) -> Iterator[set[str]]:
    """Fails a test in which ftchaos makes a call that its table of calls, and so its policy, does not have."""
    made: set[str] = set()
    note = Access._note

    def noted(self: Access, *arguments: Any) -> None:
        note(self, *arguments)
        made.add(f"{self.calls[-1].service}:{self.calls[-1].operation}")

    monkeypatch.setattr(Access, "_note", noted)
    yield made
    # The role is assumed by whoever may assume it, before it can do anything itself.
    assert set() == made - {one.name for one in CALLS} - {"sts:AssumeRole"}


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What AWS is asked for until it is so, it is asked for more often."""
    monkeypatch.setattr(access, "time", SimpleNamespace(sleep=lambda seconds: time.sleep(seconds / 20)))


@pytest.fixture
def staged(aws: Standin) -> staging.Staging:
    """A staging environment without a weakness."""
    return staging.build(aws)


@pytest.fixture
def location(client: Any) -> str:
    """A store in a new bucket."""
    bucket = f"evidence-{secrets.token_hex(6)}"
    client.create_bucket(Bucket=bucket)
    return f"s3://{bucket}/team/runs"


def _free_ports(count: int) -> tuple[list[int], ExitStack]:
    """Ports that are free, as are those that the server derives from them, and what keeps others from being given them.

    They stay bound; the server sets SO_REUSEADDR, and so can listen there nevertheless.
    """
    found: list[int] = []
    kept = ExitStack()
    while len(found) < count:
        with ExitStack() as pair:
            one, other = (pair.enter_context(socket.socket()) for _ in range(2))
            one.bind(("127.0.0.1", 0))
            port = one.getsockname()[1] - 10_000
            try:
                other.bind(("127.0.0.1", port))
            except OSError:
                continue
            for each in (one, other):  # only now: so that nobody else's was taken that is kept like these
                each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            found.append(port)
            kept.push(pair.pop_all())
    return found, kept


def _await(server: subprocess.Popen[bytes], address: str, log: Path) -> None:
    client = boto3.client(
        "s3", endpoint_url=address, aws_access_key_id=KEYS["accessKey"], aws_secret_access_key=KEYS["secretKey"],
        region_name="us-east-1",
    )  # fmt: skip
    deadline = time.monotonic() + 90
    while True:
        try:
            client.create_bucket(Bucket="ready")
            client.put_object(Bucket="ready", Key="ready", Body=b"1")
            return
        except (BotoCoreError, ClientError) as error:
            if server.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"SeaweedFS does not come up: {log.read_text()[-2000:]}") from error
            time.sleep(0.3)
