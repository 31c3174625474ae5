"""moto as a server on this machine, for what needs no real servers behind its endpoints."""

from __future__ import annotations

import os
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from ftchaos.platforms.aws.access import Access, Place

ACCOUNT, REGION = "123456789012", "us-east-1"
KEYS = {"AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE", "AWS_SECRET_ACCESS_KEY": "not-a-secret"}


@pytest.fixture(scope="session")
def moto() -> Iterator[str]:
    """The address of a server that lives as long as the tests."""
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def place(moto: str, monkeypatch: pytest.MonkeyPatch) -> Place:
    """An empty account on it."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    urllib.request.urlopen(urllib.request.Request(f"{moto}/moto-api/reset", method="POST")).close()
    return Place("staging", ACCOUNT, REGION, endpoint=moto)


@pytest.fixture
def access(place: Place) -> Access:
    return Access(place)


@pytest.fixture
def stage(place: Place) -> Callable[..., Any]:
    """Makes plain clients, to set the stage with."""
    return lambda service: boto3.client(service, endpoint_url=place.endpoint, region_name=REGION)
