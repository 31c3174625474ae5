"""What the tests of faults share: a witness where clients are, and a fault that is planned, injected and healed."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from small_labs import wait_until

from ftchaos import witness
from ftchaos.platforms.base import Harm
from ftchaos.platforms.lab import faults, standing
from ftchaos.platforms.lab.lab import Lab

PROVEN_WITHIN_S = 5.0
logger = logging.getLogger("faults")

# Stops for ever before a call to the supervisor, as if killed there: its parent kills it when it says so.
_HALF_WAY = """
import json, sys, time
from ftchaos.platforms.base import Harm
from ftchaos.platforms.lab import faults
from ftchaos.platforms.lab.lab import Lab
name, fault, undo, after = sys.argv[1], sys.argv[2], json.loads(sys.argv[3]), int(sys.argv[4])
lab, calls, call = Lab.attach(name), [], Lab.call
def counted(self, what, /, **args):
    if len(calls) == after:
        print("here", flush=True)
        time.sleep(3600)
    calls.append(what)
    return call(self, what, **args)
Lab.call = counted
faults.FAULTS[fault].inject(lab, Harm("", (), {}, undo, ()))
print("through", flush=True)
time.sleep(3600)
"""


class Watching:
    """A witness under way, in the clients' network."""

    def __init__(self, lab: Lab, folder: Path, signs: Mapping[str, Mapping[str, Any]]) -> None:
        self.file = folder / f"witness-{time.monotonic_ns()}.jsonl"
        self.signs = signs
        config = self.file.with_suffix(".json")
        config.write_text(json.dumps({"observations": str(self.file), "targets": signs, "parent_pid": os.getpid()}))
        argv = lab.client_argv([sys.executable, "-m", "ftchaos.witness", str(config)])
        self.process = subprocess.Popen(argv, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})

    def seen(self) -> list[witness.Observation]:
        """Everything that it saw."""
        return witness.read(self.file)

    def wait_up(self) -> None:
        """Return when it sees everything up."""
        assert wait_until(self._all_up, 60), witness.changes(self.seen())

    def _all_up(self) -> bool:
        now_up = {one.target: one.up for one in self.seen()}
        return len(now_up) == len(self.signs) and all(now_up.values())

    def proven_at(self, fault_at: float) -> float | None:
        """When it had seen every sign go down."""
        return witness.proven_at(self.seen(), list(self.signs), fault_at)

    def wait_proven(self, fault_at: float) -> float:
        """The same, waited for as an action does."""
        assert wait_until(lambda: self.proven_at(fault_at) is not None, PROVEN_WITHIN_S), witness.changes(self.seen())
        at = self.proven_at(fault_at)
        assert at is not None
        return at


@contextmanager
def watching(lab: Lab, folder: Path, harm: Harm) -> Iterator[Watching]:
    """A witness that looks at a fault's signs."""
    one = Watching(lab, folder, harm.signs)
    try:
        one.wait_up()
        yield one
        assert one.process.poll() is None
    finally:
        one.process.kill()
        one.process.wait()


def plan(lab: Lab, fault: str, **arguments: Any) -> Harm:
    """A fault against the lab as it stands."""
    return faults.FAULTS[fault].plan(standing.of(lab), **arguments)


def heal(lab: Lab, fault: str, harm: Harm) -> str:
    """Heal from the undo record as it would be read from disk."""
    return faults.FAULTS[fault].heal(lab, json.loads(json.dumps({**harm.undo, "lab": lab.name})))


def bites_and_heals(lab: Lab, folder: Path, fault: str, **arguments: Any) -> Harm:
    """Plan, inject, prove, heal until everything is seen up again, and heal once more."""
    harm = plan(lab, fault, **arguments)
    assert {target.name for target in harm.targets} <= standing.members(lab.layout).keys() | {
        "zone-a",
        "zone-b",
        "zone-c",
    }
    with watching(lab, folder, harm) as one:
        fault_at = time.monotonic()
        faults.FAULTS[fault].inject(lab, harm)
        injected_at = time.monotonic()
        proven_at = one.wait_proven(fault_at)
        logger.info(
            f"{fault} {arguments}: injected in {injected_at - fault_at:.2f} s, proven in {proven_at - fault_at:.2f} s"
        )
        said = heal(lab, fault, harm)
        healed_at = time.monotonic()
        logger.info(f"  healed in {healed_at - proven_at:.2f} s: {said}")
        heal(lab, fault, harm)
        logger.info(f"  healed again in {time.monotonic() - healed_at:.2f} s")
        if not changes_roles(harm):
            one.wait_up()
    ensure_all_run(lab)
    return harm


def changes_roles(harm: Harm) -> bool:
    """Whether its sign is a role, which no heal brings back."""
    return any("takes writes" in name for name in harm.signs)


def ensure_all_run(lab: Lab) -> None:
    """Every service runs and nothing is cut."""
    status = lab.status()
    assert [] == [name for name, service in status["services"].items() if not service["alive"]]
    assert [] == status["blocked"]
    assert [] == [name for name, place in status["places"].items() if place["cut"] or not place["alive"]]


def heals_after_a_crash(lab: Lab, fault: str, after_calls: int, **arguments: Any) -> None:
    """Inject in a process that is killed before one of its calls to the supervisor, and heal."""
    harm = plan(lab, fault, **arguments)
    argv = [sys.executable, "-c", _HALF_WAY, lab.name, fault, json.dumps(dict(harm.undo)), str(after_calls)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as half:
        assert half.stdout is not None
        assert half.stdout.readline().strip() in ("here", "through")
        half.send_signal(signal.SIGKILL)
    heal(lab, fault, harm)
    ensure_all_run(lab)


def sees_nothing(lab: Lab, folder: Path, fault: str, **arguments: Any) -> None:
    """The control: planned, not injected, and for a second nothing is seen."""
    harm = plan(lab, fault, **arguments)
    with watching(lab, folder, harm) as one:
        since_at = time.monotonic()
        assert not wait_until(lambda: one.proven_at(since_at) is not None, 1)
        assert [] == [seen for seen in one.seen() if seen.at >= since_at and not seen.up]


def heals_what_was_never_done(lab: Lab, fault: str, **arguments: Any) -> None:
    """Healing from a record that was written before nothing happened."""
    heal(lab, fault, plan(lab, fault, **arguments))
    ensure_all_run(lab)
