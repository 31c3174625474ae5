"""A bucket behind a network that is not always there: nothing is lost, and what is worth it is tried again."""

from __future__ import annotations

import _thread
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import boto3  # type: ignore[import-untyped]
import cutting
import pytest
import stores

from ftchaos import store
from ftchaos.errors import Away, Inconclusive
from ftchaos.store import bucket


@pytest.fixture
def door(monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """What leads to the bucket, where nobody listens yet."""
    monkeypatch.setattr(bucket, "ATTEMPTS", 1)
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{one.getsockname()[1]}")
        yield one


def test_a_connection_lost_at_any_point_loses_nothing(
    location: str, endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bucket, "ATTEMPTS", 1)
    monkeypatch.setattr(store, "PATIENCE_S", 0)
    folder = stores.add(store.staging(location), stores.made(0))
    failures: list[str] = []
    for budget in [*range(0, 200_000, 8_000)]:
        with cutting.Proxy(endpoint, budget) as address:
            monkeypatch.setenv("AWS_ENDPOINT_URL", address)
            try:
                store.publish(location, folder)
            except Inconclusive as error:
                failures.append(error.hint)
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        monkeypatch.setenv("FTCHAOS_CACHE", str(tmp_path / f"cache-{budget}"))
        there = store.open(location)
        seen = [one.run_id for one in there.summaries()]
        assert [there.verify([run])[run] for run in seen] in ([], [[]], [["chain: chain.json is not there, so that "
            "nobody knows whether the newest run is"]])  # fmt: skip

    assert len(failures) >= 3
    assert all(str(folder) in hint and "report publish" in hint for hint in failures)
    store.publish(location, folder)
    assert not [problems for _, problems in store.open(location).examine() if problems]
    assert len(store.open(location).summaries()) == 1


def test_a_run_waits_for_a_bucket_that_does_not_answer(
    location: str, endpoint: str, door: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder of a pod goes with it: what took a drill hours must outlive some minutes without a network."""
    monkeypatch.setattr(store, "PAUSE_S", 0.1)
    folder = stores.add(store.staging(location), stores.made(0))
    said: list[str] = []
    with ExitStack() as network:

        def hear(what: str) -> None:
            said.append(what)
            if len(said) == 2:
                network.enter_context(cutting.Proxy(endpoint, 1 << 30, door))

        store.publish(location, folder, hear)
        there = [one.run_id for one in store.open(location).summaries()]

    assert [folder.name] == there
    assert 2 == len(said)
    assert f"{folder.name} was not published: {location} " in said[0]
    assert "it is asked again for 300 s" in said[0]


def test_whoever_does_not_want_to_wait_for_a_bucket_is_told_where_the_run_is(
    location: str, door: socket.socket
) -> None:
    folder = stores.add(store.staging(location), stores.made(0))
    with pytest.raises(Away) as caught:
        store.publish(location, folder, lambda _: threading.Timer(0.2, _thread.interrupt_main).start())

    assert f"it is whole in {folder}" in caught.value.hint


def test_a_bucket_that_says_no_is_not_asked_again(location: str, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = stores.add(store.staging(location), stores.made(0))
    said: list[str] = []
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "of-somebody-else")
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)  # it keeps the account that it began with
    with pytest.raises(Inconclusive, match=r"was not published: .*SignatureDoesNotMatch"):
        store.publish(location, folder, said.append)

    assert [] == said
