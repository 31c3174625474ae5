"""The load on an autoscaler: how many requests are due at an instant."""

from __future__ import annotations

from ftchaos.workload.pressure import Config, Pressure


def pressure(rise_s: float) -> Pressure:
    config = Config("http://127.0.0.1:1", 200.0, rise_s, under_way=10, timeout_s=1.0, lasts_s=60.0, own="", log="")
    return Pressure(config, began_at=1000.0)


def test_rate_rises_in_a_line_up_to_its_top() -> None:
    rising = pressure(10.0)

    assert [0.0, 100.0, 200.0, 200.0] == [rising.rate(at) for at in (1000.0, 1005.0, 1010.0, 1100.0)]
    assert 200.0 == pressure(0.0).rate(1000.0)


def test_rate_that_is_held_stays_where_it_was() -> None:
    held = pressure(10.0)
    held.held_at = 1005.0

    assert [50.0, 100.0, 100.0] == [held.rate(at) for at in (1002.5, 1005.0, 1100.0)]


def test_what_was_due_while_the_machine_stood_still_is_held_back_and_told() -> None:
    late = pressure(0.0)

    assert 2.0 == late.due(1000.0, 0.01)
    assert 0 == late.line()["held_back"]
    assert 200.0 == late.due(1003.5, 3.5)
    assert 500 == late.line()["held_back"]
