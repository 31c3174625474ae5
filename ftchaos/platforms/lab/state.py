"""How everything in a lab stands that a fault may change, flat and in words, to be compared before and after."""

from __future__ import annotations

from collections.abc import Mapping

from ftchaos.platforms.lab.lab import Lab


def state(lab: Lab) -> dict[str, str]:
    """How the lab stands at this moment."""
    status = lab.status()
    places = {name: ("alive" if one["alive"] else "dead") for name, one in status["places"].items()}
    services = {name: ("runs" if one["alive"] else "does not run") for name, one in status["services"].items()}
    return places | services


def differences(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """What is not as it was, one clause each."""
    names = sorted(before.keys() | after.keys())
    return [
        f"{name}: {before.get(name, 'not there')} before, {after.get(name, 'not there')} after"
        for name in names
        if before.get(name) != after.get(name)
    ]
