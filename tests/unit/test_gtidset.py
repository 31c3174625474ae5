"""Sets of transactions of both flavours: what is in, what is missing, and that they are written as they were read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftchaos.errors import Invalid
from ftchaos.mysql.gtidset import Growing, GtidSet

UUID = "77860e5f-e751-11f1-b108-02fc00000001"
NUMBERS = st.sets(st.integers(1, 60), max_size=40)


def of(numbers: set[int]) -> GtidSet:
    growing = Growing(GtidSet())
    for number in sorted(numbers):
        growing.add(UUID, number, 1)
    return growing.whole()


@pytest.mark.parametrize("text", ["", "0-1-57", "0-1-57,3-2-9", f"{UUID}:1-57:60", f"{UUID}:1,{UUID}:drill:1-2"])
def test_set_is_written_as_it_was_read(text: str) -> None:
    assert str(GtidSet.parse(text)) == text


def test_mariadb_position_has_everything_of_its_domain_up_to_the_newest() -> None:
    position = GtidSet.parse("0-1-498,0-2-520")

    assert str(position) == "0-2-520"
    assert position.covers("0", 1)
    assert not position.covers("0", 521)
    assert not position.covers("1", 1)


def test_nonsense_is_refused() -> None:
    for text in ("yesterday", "0-1", f"{UUID}:1-b"):
        with pytest.raises(Invalid):
            GtidSet.parse(text)


@given(NUMBERS, NUMBERS)
def test_arithmetic_agrees_with_plain_sets(one: set[int], other: set[int]) -> None:
    a, b = of(one), of(other)

    assert a.without(b) == of(one - other)
    assert a.union(b) == of(one | other)
    assert a.within(b) == (one <= other)
    assert a.count() == len(one)
    assert all(a.covers(UUID, number) == (number in one) for number in range(62))
    assert GtidSet.parse(str(a)) == a
