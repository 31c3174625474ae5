"""The signs of a fault, watched from where clients are, by the witness of real runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from small_labs import wait_until

from ftchaos import witness
from ftchaos.clock import now
from ftchaos.platforms.base import Harm
from ftchaos.platforms.lab.lab import Lab


class Witnessed:
    """A witness under way in the clients' network."""

    def __init__(self, folder: Path, lab: Lab, harm: Harm) -> None:
        self.signs = list(harm.signs)
        self.file = folder / f"witness-{time.monotonic_ns()}.jsonl"
        config = self.file.with_suffix(".json")
        signs = {name: dict(sign) for name, sign in harm.signs.items()}
        config.write_text(json.dumps({"observations": str(self.file), "targets": signs}))
        argv = lab.client_argv([sys.executable, "-m", "ftchaos.witness", str(config)])
        self.process = subprocess.Popen(argv, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})

    def proven(self, fault_at: float, timeout_s: float = 30) -> float:
        """Seconds from the fault to its proof; fails where there is none within the time."""

        def proof() -> float | None:
            return witness.proven_at(witness.read(self.file), self.signs, fault_at)

        assert wait_until(lambda: proof() is not None, timeout_s), witness.changes(witness.read(self.file))
        proven_at = proof()
        assert proven_at is not None
        return proven_at - fault_at

    def beats_until_proven(self, fault_at: float) -> int:
        """Heartbeats from now, when a fault was injected, to its proof: seconds in which the witness had its turns."""
        injected_at = now()
        proven_at = fault_at + self.proven(fault_at)
        beats = {one.at for one in witness.read(self.file) if one.saw == "heartbeat"}
        return sum(injected_at < at < proven_at for at in beats)

    def all_up(self) -> bool:
        """Whether by the newest observations nothing is down."""
        newest = {one.target: one.up for one in witness.read(self.file)}
        return newest == dict.fromkeys(self.signs, True)

    def wait_up(self, timeout_s: float = 10) -> None:
        """Return as soon as nothing is down any more."""
        assert wait_until(self.all_up, timeout_s), witness.changes(witness.read(self.file))

    def heartbeats(self) -> int:
        """How many heartbeats it has written."""
        return sum(one.saw == "heartbeat" for one in witness.read(self.file)) // max(len(self.signs), 1)


@contextmanager
def watching(folder: Path, lab: Lab, harm: Harm) -> Iterator[Witnessed]:
    """A witness that sees all signs up when the block begins."""
    one = Witnessed(folder, lab, harm)
    try:
        one.wait_up()
        before = one.heartbeats()
        assert wait_until(lambda: one.heartbeats() > before, 60)
        yield one
        assert one.process.poll() is None
    finally:
        one.process.kill()
        one.process.wait()


def sees_nothing(folder: Path, lab: Lab, harm: Harm) -> bool:
    """Whether the witness sees nothing of a fault that is planned and not injected, for more than a second."""
    with watching(folder, lab, harm) as one:
        fault_at, before = now(), one.heartbeats()
        assert wait_until(lambda: one.heartbeats() >= before + 2, 60)
        return witness.proven_at(witness.read(one.file), one.signs, fault_at) is None
