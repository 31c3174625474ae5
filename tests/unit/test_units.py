"""Durations, sizes and shares: people's spellings in, exact numbers out, and nothing guessed."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as some

from ftchaos import units
from ftchaos.errors import Invalid


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90),
        ("15m", 900),
        ("4h", 14400),
        ("1h30m", 5400),
        ("500ms", 0.5),
        ("1.5s", 1.5),
        ("2d", 172800),
        ("1d2h3m4s5ms", 93784.005),
        (" 10s ", 10),
        (7, 7),
        (0.25, 0.25),
        ("0s", 0),
    ],
)
def test_duration_is_seconds(text: str | float, seconds: float) -> None:
    assert seconds == pytest.approx(units.duration_s(text))


@pytest.mark.parametrize(
    "text", ["", "4 hours-ish", "h", "4", "-1s", "1m1h", "1e3s", "1s1s", True, None, [], -1, float("nan"), float("inf")]
)
def test_what_is_no_duration_is_refused_with_an_example(text: str | float) -> None:
    with pytest.raises(Invalid, match="HINT: write it like 90s, 15m"):
        units.duration_s(text)


@pytest.mark.parametrize(
    ("text", "size"),
    [("64MiB", 64 << 20), ("1GiB", 1 << 30), ("1.5 KiB", 1536), ("500MB", 500_000_000), ("12", 12), (4096, 4096)],
)
def test_size_is_bytes(text: str | int, size: int) -> None:
    assert size == units.size_bytes(text)


@pytest.mark.parametrize("text", ["", "1 gig", "-5MiB", "1e9", "GiB", "nan", True])
def test_what_is_no_size_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(Invalid, match="HINT: write it like 64MiB"):
        units.size_bytes(text)


@pytest.mark.parametrize(
    ("text", "ratio"), [("99.5%", 0.995), ("0.995", 0.995), ("34 %", 0.34), (1, 1), ("0%", 0), (0.5, 0.5)]
)
def test_share_is_a_ratio(text: str | float, ratio: float) -> None:
    assert ratio == pytest.approx(units.share(text))


@pytest.mark.parametrize("text", ["99.5", "101%", "-1%", "most", "", "nan", "nan%"])
def test_what_is_no_share_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(Invalid, match=r"HINT: write it like 99\.5%"):
        units.share(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 ms"),
        (0.0171, "17 ms"),
        (0.1, "0.1 s"),
        (14.2, "14.2 s"),
        (90, "90 s"),
        (99.96, "1 min 40 s"),
        (185, "3 min 05 s"),
        (900, "15 min"),
        (3599.7, "1 h"),
        (14400, "4 h"),
        (5400, "1 h 30 min"),
    ],
)
def test_duration_for_people(seconds: float, text: str) -> None:
    assert text == units.human_duration(seconds)


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (35_755_622, "34.1 MiB"), (5 << 40, "5.0 TiB")]
)
def test_size_for_people(size: int, text: str) -> None:
    assert text == units.human_size(size)


@given(some.integers(0, 10**6), some.integers(0, 59), some.integers(0, 59))
def test_parts_of_a_duration_add_up(hours: int, minutes: int, seconds: int) -> None:
    assert hours * 3600 + minutes * 60 + seconds == units.duration_s(f"{hours}h{minutes}m{seconds}s")


@given(some.text(max_size=20))
def test_no_text_does_worse_than_be_refused(text: str) -> None:
    for parse in (units.duration_s, units.size_bytes, units.share):
        with contextlib.suppress(Invalid):
            assert parse(text) >= 0
