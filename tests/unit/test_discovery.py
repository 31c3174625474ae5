"""Chaos Toolkit finds our actions and probes, and nothing that is not one."""

from __future__ import annotations

import ftchaos


def test_every_action_and_probe_is_discovered_with_words() -> None:
    found = ftchaos.discover()["activities"]

    names = {f"{one['mod']}.{one['name']}" for one in found}
    assert {"ftchaos.actions.mysql.lose_database_tier", "ftchaos.probes.service.meets_objectives"} <= names
    assert all(one["doc"] for one in found)
    assert {one["type"] for one in found} == {"action", "probe"}
