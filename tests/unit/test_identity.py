"""What the system under test was built of is said beforehand and stands in the evidence."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from ftchaos import conclusion
from ftchaos.clock import Clock
from ftchaos.conclusion import parts
from ftchaos.errors import Invalid
from ftchaos.objectives import Objectives
from ftchaos.options import Options
from ftchaos.record import RunRecord

COMMIT, IMAGE = "2508e40c" * 5, f"registry.example.com/app@sha256:{'ab' * 32}"


def system(**given: Any) -> Any:
    record = RunRecord(
        "20261123T061441Z-restore-7f3a", "drill", "restore", "staging", "lab", Clock.anchored(), 0.0,
        Objectives(), {"sha256": "cd" * 32}, {}, Options.parse(given).as_configuration(), [], conclusion.this_machine(),
        system={"mysql": "8.0", "settings": {"sync_binlog": 1}},
    )  # fmt: skip
    return parts.system(cast("Any", SimpleNamespace(record=record)))


def test_commit_and_image_stand_in_the_evidence() -> None:
    found = system(commit=COMMIT, image=IMAGE)

    assert (found.commit, found.mysql) == (COMMIT, "8.0")
    assert found.settings == {"sync_binlog": 1, "image": IMAGE}


def test_without_them_nothing_is_claimed() -> None:
    found = system()

    assert found.commit == ""
    assert found.settings == {"sync_binlog": 1}


@pytest.mark.parametrize("given", [{"commit": "2508e40"}, {"commit": "HEAD"}, {"image": "app:1.2"}, {"image": "x y"}])
def test_what_does_not_say_which_one_is_refused(given: dict[str, str]) -> None:
    with pytest.raises(Invalid):
        Options.parse(given)
