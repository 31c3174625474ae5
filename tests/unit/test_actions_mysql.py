"""The proof of a lost database tier is waited for from the end of its injection on."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from ftchaos.actions import mysql
from ftchaos.clock import now


def test_proof_has_its_time_however_long_the_injection_took() -> None:
    fault_at = now() - 2 * mysql.PROOF_TIMEOUT_S
    seen = iter([None, fault_at + 1])
    traffic = SimpleNamespace(proven_at=lambda targets, since_at: next(seen), ensure_alive=lambda: None)
    run = cast("Any", SimpleNamespace(traffic=traffic, fault_at=lambda: fault_at))

    assert fault_at + 1 == mysql._prove(run, ["mysql-a"])
