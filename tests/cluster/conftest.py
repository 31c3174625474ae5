"""The cluster that these tests run against: the stand-in, or a disposable one behind ``FTCHAOS_TEST_KUBECONFIG``.

``cluster`` is an empty stand-in, ``staged`` one with the application in it. ``reached`` is either of both: a test that
needs nothing but the API takes it, makes a namespace of its own, and so runs against a real cluster as well.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster.manifests import namespace
from cluster.standin import staging
from cluster.standin.reach import Reach
from cluster.standin.server import Standin

REAL = os.environ.get("FTCHAOS_TEST_KUBECONFIG", "")


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


@pytest.fixture
def staged(cluster: Standin) -> staging.Staging:
    """The application, without a weakness."""
    return staging.build(cluster)


@pytest.fixture
def reached(request: pytest.FixtureRequest) -> Reach:
    """The real cluster where there is one, else the stand-in."""
    return Reach(Path(REAL)) if REAL else request.getfixturevalue("cluster")


@pytest.fixture
def space(reached: Reach) -> Iterator[str]:
    """A namespace of the test's own, which goes with it."""
    name = f"ftchaos-{secrets.token_hex(4)}"
    reached.create(namespace(name))
    accounts = "the account of the namespace"
    reached.until(lambda: reached.all("v1", "ServiceAccount", name), accounts)
    reached.until(lambda: reached.all("v1", "ConfigMap", name), accounts)
    yield name
    reached.core.delete_namespace(name)
