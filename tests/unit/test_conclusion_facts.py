"""What the verdict is made of says of each part what is true of it, never its opposite."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from ftchaos.conclusion.facts import _deviations


@pytest.mark.parametrize(
    ("unmet", "missing", "said"),
    [
        ({}, ["database"], None),
        ({"after": []}, [], ()),
        ({"after": ["all is well"]}, ["database"], ("all is well", "the database was still not well after the heal")),
    ],
)
def test_what_was_not_well_after_the_heal_is_said_not_to_be_well(
    unmet: dict[str, list[str]], missing: list[str], said: tuple[str, ...] | None
) -> None:
    raw = SimpleNamespace(record=SimpleNamespace(unmet=unmet), fact=lambda _: {"missing": missing})

    assert said == _deviations(cast("Any", raw))
