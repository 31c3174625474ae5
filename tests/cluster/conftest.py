"""The cluster that these tests run against: the stand-in, or a disposable one behind ``FTCHAOS_TEST_KUBECONFIG``.

``cluster`` is an empty stand-in, ``staged`` one with the application in it. ``reached`` is either of both: a test that
needs nothing but the API takes it, makes a namespace of its own, and so runs against a real cluster as well. So does
one that takes ``ground``, an application of a few pods there; ``node_ground`` has nodes that may be harmed as well.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from cluster import ground as grounds
from cluster.configured import Place
from cluster.ground import NODES, REAL, Ground
from cluster.manifests import namespace, node
from cluster.standin import staging
from cluster.standin.reach import Reach
from cluster.standin.server import Standin

from ftchaos.platforms.kubernetes import access
from ftchaos.platforms.kubernetes.access import Access
from ftchaos.platforms.kubernetes.calls import CALLS, in_table
from ftchaos.platforms.kubernetes.configuration import making, recovery
from ftchaos.platforms.kubernetes.faults import settling


def pytest_report_collectionfinish(items: Sequence[pytest.Item]) -> str:
    """How many of the tests run against a real cluster, as otherwise nobody would know."""
    taken = [set(getattr(one, "fixturenames", ())) for one in items]
    reaching = sum("reached" in one and "node_ground" not in one for one in taken)
    harming = sum("node_ground" in one for one in taken)
    if not REAL:
        return f"real cluster: none; {reaching + harming} tests would run in that of FTCHAOS_TEST_KUBECONFIG"
    nodes = f"{harming} of them on {', '.join(NODES)}" if NODES else f"{harming} more with FTCHAOS_TEST_NODES"
    return f"real cluster: {reaching + (harming if NODES else 0)} tests, {nodes}"


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
    accounts = "the account of the namespace"
    try:
        reached.create(namespace(name))
        reached.until(lambda: reached.all("v1", "ServiceAccount", name), accounts)
        reached.until(lambda: reached.all("v1", "ConfigMap", name), accounts)
        yield name
    finally:
        reached.core.delete_namespace(name)


@pytest.fixture
def ground(reached: Reach, accesses: list[Access]) -> Iterator[Ground]:
    """An application of a few pods, without a node that may be harmed."""
    _ensure_nodes(reached)
    with grounds.begin(reached, ()) as made:
        yield made


@pytest.fixture
def node_ground(request: pytest.FixtureRequest, accesses: list[Access]) -> Iterator[Ground]:
    """The same with such nodes: in the real cluster those that are named, else in the stand-in."""
    reached = request.getfixturevalue("reached" if NODES or not REAL else "cluster")
    _ensure_nodes(reached)
    with grounds.begin(reached, NODES if REAL and NODES else ("node-a",)) as made:
        yield made


def _ensure_nodes(reached: Reach) -> None:
    """A cluster that is empty gets nodes; a real one has its own."""
    if isinstance(reached, Standin):
        reached.create(*(node(f"node-{zone}", zone) for zone in "abc"))


@pytest.fixture
def accesses(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Access]]:
    """All that was called; fails a test in which a call was made that the table, and so the roles, do not have."""
    made: list[Access] = []
    begin = Access.__post_init__

    def noted(self: Access) -> None:
        begin(self)
        made.append(self)

    monkeypatch.setattr(Access, "__post_init__", noted)
    monkeypatch.setattr(access, "FIRST_WAIT_S", 0.01)
    yield made

    assert set() == {(one.verb, in_table(one.resource)) for each in made for one in each.calls} - {
        (one.verb, one.resource) for one in CALLS
    }


@pytest.fixture
def place(cluster: Standin, accesses: list[Access], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Place:
    """An application to lose."""
    for module in (making, recovery, settling):
        monkeypatch.setattr(module, "EVERY_S", 0.02)
    monkeypatch.setenv("FTCHAOS_STATE", str(tmp_path / "state"))
    return Place(cluster, tmp_path)
