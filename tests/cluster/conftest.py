"""The cluster that these tests run against: the stand-in, or a disposable one behind ``FTCHAOS_TEST_KUBECONFIG``."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from cluster.standin.server import Standin


@pytest.fixture(scope="session")
def process() -> Iterator[Standin]:
    """The stand-in for a cluster, which lives as long as the tests; ask for ``cluster`` or ``staged``."""
    made = Standin()
    try:
        yield made
    finally:
        made.end()


@pytest.fixture
def cluster(process: Standin) -> Iterator[Standin]:
    """An empty cluster; nothing may have gone wrong inside of it by the end."""
    process.reset()
    yield process
    process.reset()

    assert process.messages() == ""
