"""The layout of a lab: addresses that are private to it, and names that are checked."""

from __future__ import annotations

import json

import pytest

from ftchaos.errors import Invalid
from ftchaos.platforms.lab.layout import PLACES, ZONES, Layout, ensure_zone
from ftchaos.platforms.lab.service import ServiceSpec


@pytest.mark.parametrize("mode", ["root", "user", "loopback"])
def test_every_place_has_an_address_of_its_own(mode: str) -> None:
    addresses = Layout.of(mode, "lab").addresses()

    assert list(addresses) == list(PLACES)
    assert len(set(addresses.values())) == len(PLACES)


def test_loopback_labs_differ_by_key_and_by_attempt() -> None:
    slices = {Layout.of("loopback", key).base for key in ("one", "two", "three")}
    attempts = {Layout.of("loopback", "one", attempt).base for attempt in range(252)}

    assert len(slices) == 3
    assert len(attempts) == 252
    assert all(base.startswith("127.") for base in slices | attempts)
    assert not attempts & {"127.0.0", "127.1.0", "127.255.0"}


def test_an_unknown_place_or_zone_is_refused() -> None:
    with pytest.raises(Invalid, match="no place 'moon'"):
        Layout.of("root", "lab").address("moon")
    with pytest.raises(Invalid, match="no zone 'edge'"):
        ensure_zone("edge")
    assert [ensure_zone(zone) for zone in ZONES] == list(ZONES)


def test_a_service_survives_json() -> None:
    spec = ServiceSpec("redis", "zone-a", ("redis-server", "--port", "1"), "/d", "/d/log", {"A": "b"}, 1, True, 2.5)

    assert ServiceSpec.from_json(json.loads(json.dumps(spec.to_json()))) == spec
