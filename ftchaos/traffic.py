"""The clients of a run and who watches from outside: two processes that stand where clients are, and what they found.

Both are children of this process and die with it. They write into the run's folder themselves, so what they have
seen until then outlives all of us.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import ftchaos
from ftchaos import audit, recovery, survivors, witness
from ftchaos.atomic import write
from ftchaos.clock import now
from ftchaos.errors import Inconclusive, StepFailed
from ftchaos.ledger import Ledger, Outcome
from ftchaos.objectives import Objectives
from ftchaos.platforms.base import Traffic
from ftchaos.workload import book

PUBLIC = "uploads"
LEDGER = "ledger"
SURVIVORS_FILE = "observations/survivors.json"
WITNESS_FILE = "observations/witness.jsonl"
BEGIN_TIMEOUT_S = 15.0
END_TIMEOUT_S = 15.0
ACCOUNT = "ftchaos"

ClientArgv = Callable[[Sequence[str]], list[str]]


class TrafficProcesses:
    """The workload and the witness of one run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._ended_writers = False

    def begin(
        self,
        traffic: Traffic,
        client_argv: ClientArgv,
        first_writer: int,
        tell: Callable[[int, int], None],
    ) -> None:
        """Begin both, and return when the ledger grows.

        Args:
            traffic: where they go.
            client_argv: how to run a program where clients are.
            first_writer: the lowest writer number that no earlier run has used.
            tell: told the acknowledged and failed writes twice a second.

        Raises:
            StepFailed: one of them does not come up.
        """
        targets = {name: {"host": at.host, "port": at.port} for name, at in traffic.witnessed.items()}
        self._spawn("witness", client_argv, {"targets": targets, "observations": str(self.folder / WITNESS_FILE)})
        self._spawn(
            "workload",
            client_argv,
            {
                "folder": str(self.folder / LEDGER),
                "first_writer": first_writer,
                "uploads": {"url": traffic.public_url, "owners": 5},
                "mysql": {
                    "host": traffic.writer.host,
                    "port": traffic.writer.port,
                    "user": ACCOUNT,
                    "secret_file": str(traffic.secret),
                },
            },
        )
        deadline = now() + BEGIN_TIMEOUT_S
        while not self._attempted():
            self.ensure_alive()
            if now() > deadline:
                raise StepFailed("the workload wrote nothing", f"read {self.folder}/observations/workload.log")
            time.sleep(0.02)
        threading.Thread(target=self._tell, args=(tell,), daemon=True).start()

    def _spawn(self, name: str, client_argv: ClientArgv, config: dict[str, Any]) -> None:
        path = self.folder / "observations" / f"{name}.json"
        path.write_text(json.dumps({**config, "parent_pid": os.getpid()}, indent=1) + "\n")
        with (self.folder / "observations" / f"{name}.log").open("ab") as log:
            self._processes[name] = subprocess.Popen(
                client_argv([sys.executable, "-m", f"ftchaos.{name}", str(path)]),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is ours to handle, they are ended after the heal begins
                env={**os.environ, "PYTHONPATH": str(Path(ftchaos.__file__).parent.parent)},
            )

    def _attempted(self) -> bool:
        try:
            return any(writer.attempted for writer in self._live(PUBLIC).writers)
        except Inconclusive:  # its files are not there yet
            return False

    def _tell(self, tell: Callable[[int, int], None]) -> None:
        while not self._ended_writers:
            try:
                ledger = book.read(self.folder / LEDGER, live=True)
            except Inconclusive:  # caught in the middle of closing
                return
            counts = [(writer.count(Outcome.ACKNOWLEDGED), writer.count(Outcome.FAILED)) for writer in ledger.writers]
            tell(sum(one for one, _ in counts), sum(one for _, one in counts))
            time.sleep(0.5)

    def ensure_alive(self) -> None:
        """Check that both still run: without them nothing is measured.

        Raises:
            StepFailed: one has died.
        """
        for name, process in self._processes.items():
            if process.poll() is not None:
                log = self.folder / "observations" / f"{name}.log"
                raise StepFailed(f"the {name} died with {process.returncode}: {_last_line(log)}", f"read {log}")

    def proven_at(self, targets: Sequence[str], fault_at: float) -> float | None:
        """When the witness saw all targets go down after the fault; None while it has not."""
        return witness.proven_at(witness.read(self.folder / WITNESS_FILE), targets, fault_at)

    def restored_at(self, fault_at: float, objectives: Objectives) -> float | None:
        """When clients saw the service meet its objectives again; None while they have not."""
        found = recovery.restored(recovery.operations(self._live(PUBLIC).writers), objectives, fault_at)
        return found.at if found else None

    def meets_objectives(self, objectives: Objectives, timeout_s: float) -> bool:
        """Whether clients saw the service meet its objectives for the newest sustained window."""
        deadline = now() + timeout_s
        while True:
            if self._ended_writers:
                return False
            operations = recovery.operations(self._live(PUBLIC).writers)
            # One operation must have been sent after the window, hence the little more.
            if recovery.restored(operations, objectives, now() - objectives.sustain_s * 1.1 - 0.2):
                return True
            if now() > deadline:
                return False
            self.ensure_alive()
            time.sleep(0.1)

    def end_writers(self) -> None:
        """End the writers, so that the ledger is whole and nothing is under way any more.

        Raises:
            StepFailed: the workload did not end well, so its ledger cannot be trusted.
        """
        process = self._processes.pop("workload", None)
        if process is None:
            return
        self._ended_writers = True
        status = _end(process)
        if status != 0:
            log = self.folder / "observations" / "workload.log"
            raise StepFailed(f"the workload ended with {status}: {_last_line(log)}", f"read {log}")

    def audit(self, connect: survivors.Connect, fault_at: float | None) -> audit.Audit:
        """Read the survivors of every write, keep them in the run's folder and classify all writes.

        Raises:
            Inconclusive: the survivors could not be read, or the audit misses planted flaws.
        """
        ledger = book.read(self.folder / LEDGER)
        found = survivors.read(connect, ledger)
        write_survivors(self.folder / SURVIVORS_FILE, found)
        flaw = audit.self_test(ledger, found)
        if flaw:
            raise Inconclusive(
                f"the audit cannot be trusted: {flaw}", "this is a bug in ftchaos; keep the run's folder"
            )
        return audit.classify(ledger, found, fault_at)

    def end(self) -> None:
        """End whatever still runs; never fails, as the heals come after it."""
        self._ended_writers = True
        for process in self._processes.values():
            _end(process)
        self._processes.clear()

    def _live(self, kind: str) -> Ledger:
        return book.read(self.folder / LEDGER, kinds=[kind], live=not self._ended_writers)


def write_survivors(path: Path, found: Sequence[audit.Survivors]) -> None:
    """Keep what survived, as raw data for whoever recomputes the audit."""
    write(path, json.dumps([asdict(one) for one in found]) + "\n")


def read_survivors(path: Path) -> list[audit.Survivors] | None:
    """What :func:`write_survivors` kept; None when the audit did not get that far."""
    try:
        data = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    return [
        audit.Survivors(
            one["kind"],
            one["read_at"],
            {
                int(writer): audit.Surviving(
                    **{which: tuple((first, last) for first, last in intervals) for which, intervals in there.items()}
                )
                for writer, there in one["writers"].items()
            },
            one["strangers"],
        )
        for one in data
    ]


def _end(process: subprocess.Popen[bytes]) -> int:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        return process.wait(END_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()
    return lines[-1] if lines else "it said nothing"
