"""Survivors in a file, and the configuration of what reads those of Redis."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ftchaos.audit import Surviving, Survivors
from ftchaos.errors import Inconclusive, Invalid
from ftchaos.survivors import keep, kept
from ftchaos.survivors.__main__ import load

GOOD: dict[str, Any] = {
    "ledgers": ["ledger"], "nodes": [["10.77.0.11", 6401]], "shards": {"a": "9"}, "survivors": "out",
}  # fmt: skip


def test_survivors_are_kept_as_they_are(tmp_path: Path) -> None:
    found = [
        Survivors("redis-a", 12.5, {3: Surviving(((1, 4), (6, 9)), ((2, 2),), ((7, 8),)), 4: Surviving()}, 2),
        Survivors("mysql", 1.0, {}),
    ]
    keep(tmp_path / "survivors", found)

    assert found == kept(tmp_path / "survivors")
    assert kept(tmp_path / "others") is None


@pytest.mark.parametrize("text", ["[", "{}", "[1]", '[{"kind": "mysql"}]'])
def test_damaged_file_of_survivors_is_an_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "survivors").write_text(text if text != "{}" else '{"a": 1}')

    with pytest.raises(Inconclusive, match="damaged"):
        kept(tmp_path / "survivors")


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"colour": "red"}, "no key 'colour'"),
        ({"survivors": 5}, "'survivors' of the survivors is 5"),
        ({"timeout_s": True}, "'timeout_s' of the survivors is True"),
        ({"forget": 1}, "'forget' of the survivors is 1"),
    ],
)
def test_configuration_that_cannot_be_used_is_an_error(tmp_path: Path, values: dict[str, Any], said: str) -> None:
    (tmp_path / "config").write_text(json.dumps(GOOD | values))

    with pytest.raises(Invalid, match=said):
        load(tmp_path / "config")


def test_configuration_lacks_nothing(tmp_path: Path) -> None:
    (tmp_path / "config").write_text(json.dumps(GOOD))
    assert GOOD == load(tmp_path / "config")
    for name in GOOD:
        (tmp_path / "config").write_text(json.dumps({key: value for key, value in GOOD.items() if key != name}))
        with pytest.raises(Invalid, match=f"lacks '{name}'"):
            load(tmp_path / "config")
