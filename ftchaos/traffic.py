"""The clients of a run and who watches from outside: two processes that stand where clients are, and what they found.

Both are children of this process and die with it. They write into the run's folder themselves, so what they have
seen until then outlives all of us.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import ftchaos
from ftchaos import audit, components, reads, recovery, stop, survivors, witness
from ftchaos.atomic import write
from ftchaos.audit import Survivors
from ftchaos.clock import Clock, now
from ftchaos.errors import Inconclusive, StepFailed
from ftchaos.ledger import Ledger, Outcome
from ftchaos.objectives import Objectives
from ftchaos.platforms.base import Traffic
from ftchaos.workload import book, events

PUBLIC = "uploads"
DATABASE = "mysql"
LEDGER = "ledger"
LEDGER_INSIDE = "ledger-inside"
SURVIVORS_FILE = "observations/survivors.json"
KEYS_CONFIG = "observations/survivors-redis-config.json"
KEYS_FILE = "observations/survivors-redis.json"
WORK_FILE = "observations/work.json"
HEARD_FILE = "observations/heard.jsonl"
WITNESS_FILE = "observations/witness.jsonl"
READS_FILE = "observations/reads.bin"
READS_PER_S = 20.0
READ_TIMEOUT_S = 5.0
BEGIN_TIMEOUT_S = 15.0
END_TIMEOUT_S = 15.0
OWNERS = 5
BY_THE_API_SERVER = "kubernetes"
"""The kind of what the witness cannot reach: it is seen as the API server of its cluster shows it."""
SIGHT = "ftchaos.platforms.kubernetes.sight"

ClientArgv = Callable[[Sequence[str]], list[str]]


class TrafficProcesses:
    """The workload and the witness of one run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._client_argv: ClientArgv = list
        self._public = PUBLIC
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._listens = self._ended_writers = False

    def begin(
        self,
        traffic: Traffic,
        client_argv: ClientArgv,
        first_writer: int,
        tell: Callable[[int, int], None],
        *,
        whole: bool = False,
    ) -> None:
        """Begin both, and return when the ledger grows.

        Args:
            traffic: where they go.
            client_argv: how to run a program where clients are.
            first_writer: the lowest writer number that no earlier run has used.
            tell: told the acknowledged and failed writes twice a second.
            whole: write to the cache and listen to notifications as well, where there are such.

        Raises:
            StepFailed: one of them does not come up.
        """
        self._client_argv = client_argv
        shown = {name: one for name, one in traffic.witnessed.items() if one.get("kind") == BY_THE_API_SERVER}
        met = {name: one for name, one in traffic.witnessed.items() if name not in shown}
        self._spawn("witness", client_argv, {"observations": str(self.folder / WITNESS_FILE), "targets": met})
        if shown:
            self._watch(traffic, shown)
        config: dict[str, Any] = {"folder": str(self.folder / LEDGER), "first_writer": first_writer}
        config["mysql"] = _database(traffic)
        self._public = PUBLIC if traffic.public_url else DATABASE
        if traffic.public_url:
            config["uploads"] = {"url": traffic.public_url, "owners": OWNERS}
        if whole and traffic.cache_nodes:
            # What nodes call each other is no name that their certificates show.
            follow = traffic.cache_follow and not traffic.cache_manner.get("tls")
            how = {"follow": follow, "wait": traffic.cache_waits, "rate": traffic.cache_writes_per_s}
            config["redis"] = {**_cache(traffic), **how}
        if whole and traffic.public_url:
            self._listens = True
            config["events"] = {"url": traffic.public_url, "users": OWNERS, "file": str(self.folder / HEARD_FILE)}
        self._spawn("workload", client_argv, config)
        deadline = now() + BEGIN_TIMEOUT_S
        while not self._attempted():
            self.ensure_alive()
            if now() > deadline:
                raise StepFailed("the workload wrote nothing", f"read {self.folder}/observations/workload.log")
            time.sleep(0.02)
        threading.Thread(target=self._tell, args=(tell,), daemon=True).start()

    def begin_sight(self, traffic: Traffic) -> None:
        """Begin to watch what a cluster's API server shows, without clients, and return when all of it was seen up.

        Raises:
            StepFailed: whoever watches does not come up, or something is not there.
        """
        self._watch(traffic, traffic.witnessed)
        deadline = now() + BEGIN_TIMEOUT_S
        while missing := traffic.witnessed.keys() - self._seen_up():
            self.ensure_alive()
            if now() > deadline:
                raise StepFailed(f"the witness does not see {', '.join(sorted(missing))}", "see whether it is there")
            time.sleep(0.02)

    def _watch(self, traffic: Traffic, targets: Mapping[str, Mapping[str, Any]]) -> None:
        config = {"observations": str(self.folder / WITNESS_FILE), "targets": targets, "place": traffic.place}
        self._spawn("sight", self._client_argv, config, SIGHT)

    def _seen_up(self) -> set[str]:
        return {one.target for one in witness.read(self.folder / WITNESS_FILE) if one.up}

    def begin_inside(self, traffic: Traffic, zone_argv: ClientArgv, first_writer: int) -> None:
        """Begin a second set of clients inside a zone that is to be cut off; they write to that zone's own servers.

        It returns when each kind of them was told of a success, or what it writes to lets nobody write.

        Raises:
            StepFailed: they do not come up.
        """
        database = {**_database(traffic), "kind": "mysql-inside", "writers": 1, "rate": 200}
        cache = {**_cache(traffic), "kind": "redis-inside", "wait": False, "follow": False}
        config = {"folder": str(self.folder / LEDGER_INSIDE), "first_writer": first_writer}
        self._spawn("workload-inside", zone_argv, {**config, "mysql": database, "redis": cache})
        deadline = now() + BEGIN_TIMEOUT_S
        while (untold := self._untold_inside()) is None or untold:
            self.ensure_alive()
            if now() > deadline:
                words = f"had no success with {', '.join(untold)}" if untold else "do not begin"
                raise StepFailed(f"the clients inside {words}", f"read {self.folder}/observations")
            time.sleep(0.02)

    def _untold_inside(self) -> list[str] | None:
        """The kinds of clients inside that were told of no success yet; None before they write."""
        try:
            return audit.untold(book.read(self.folder / LEDGER_INSIDE, live=True))
        except Inconclusive:  # its files are not there yet
            return None

    def begin_reads(self, copy: Traffic) -> None:
        """Begin to read a restored copy as its clients would; what clients do from now on is this."""
        where = {**_database(copy), "rate": READS_PER_S, "timeout_s": READ_TIMEOUT_S}
        (self.folder / READS_FILE).touch()
        self._spawn("reads", self._client_argv, {**where, "file": str(self.folder / READS_FILE)})

    def _spawn(self, name: str, client_argv: ClientArgv, config: dict[str, Any], module: str = "") -> None:
        path = self.folder / "observations" / f"{name}.json"
        path.write_text(json.dumps({**config, "parent_pid": os.getpid()}, indent=1) + "\n")
        with (self.folder / "observations" / f"{name}.log").open("ab") as log:
            self._processes[name] = subprocess.Popen(
                client_argv([sys.executable, "-m", module or f"ftchaos.{name.partition('-')[0]}", str(path)]),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is ours to handle, they are ended after the heal begins
                env=_environment(),
            )

    def _attempted(self) -> bool:
        try:
            return any(writer.attempted for writer in self._live(self._public).writers)
        except Inconclusive:  # its files are not there yet
            return False

    def _tell(self, tell: Callable[[int, int], None]) -> None:
        while not self._ended_writers:
            try:
                ledger = read_ledger(self.folder, live=True)
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

    def seen_down(self, targets: Sequence[str]) -> tuple[float, float] | None:
        """From when until when the witness saw all targets down without a break; None while it does not."""
        return witness.seen_down(witness.read(self.folder / WITNESS_FILE), targets)

    def restored_at(self, fault_at: float, objectives: Objectives) -> float | None:
        """When clients saw the service meet its objectives again; None while they have not."""
        if (self.folder / READS_FILE).exists():
            operations = reads.read(self.folder / READS_FILE)
        else:
            operations = recovery.operations(self._live(self._public).writers)
        found = recovery.restored(operations, objectives, fault_at)
        return found.at if found else None

    def meets_objectives(self, objectives: Objectives, timeout_s: float) -> bool:
        """Whether clients saw the service meet its objectives for the newest sustained window.

        Subscribers are waited for, too: of what they had not heard before a fault nobody would know whether it worked.
        So is each kind of writer: of one without any success before a fault nobody would know what was lost.

        Raises:
            Inconclusive: clients saw all well, but a kind of writer had no success at all.
        """
        deadline = now() + timeout_s
        while True:
            if self._ended_writers:
                return False
            operations = recovery.operations(self._live(self._public).writers)
            # One operation must have been sent after the window, hence the little more.
            met = recovery.restored(operations, objectives, now() - objectives.sustain_s * 1.1 - 0.2) is not None
            untold = audit.untold(read_ledger(self.folder, live=True)) if met else []
            if met and self._heard() and not untold:
                return True
            if now() > deadline:
                if untold:
                    raise Inconclusive(
                        f"no write of {', '.join(untold)} was acknowledged, so that nobody would know what is lost",
                        f"read {self.folder}/observations/workload.log",
                    )
                return met
            self.ensure_alive()
            time.sleep(0.1)

    def _heard(self) -> bool:
        """Whether subscribers, where there are any, heard of an upload that was made while they listened."""
        file = self.folder / HEARD_FILE
        if not self._listens or not file.exists():
            return not self._listens
        return (
            components.told(components.Seen(self._live(PUBLIC), None, events.read(file, live=True).heard)).count(True)
            > 0
        )

    def end_writers(self) -> None:
        """End the writers, and whoever reads a copy, so that the ledger is whole and nothing is under way any more.

        Raises:
            StepFailed: the workload did not end well, so its ledger cannot be trusted.
        """
        for name in ("workload", "workload-inside", "reads"):
            process = self._processes.pop(name, None)
            if process is None:
                continue
            self._ended_writers = True
            status = _end(process)
            if status != 0:
                log = self.folder / "observations" / f"{name}.log"
                raise StepFailed(f"the {name} ended with {status}: {_last_line(log)}", f"read {log}")

    def audit(self, connect: survivors.Connect, fault_at: float | None, traffic: Traffic | None = None) -> audit.Audit:
        """Read the survivors of every write, keep them in the run's folder and classify all writes.

        Args:
            traffic: where the cache is, if any was written to.

        Raises:
            Inconclusive: the survivors could not be read, or the audit misses planted flaws.
        """
        ledger = read_ledger(self.folder)
        found = survivors.read(connect, ledger)
        if any(kind.startswith("redis") for kind in ledger.kinds()):
            found = [*found, *self._read_keys(traffic)]
        survivors.keep(self.folder / SURVIVORS_FILE, found)
        flaw = audit.self_test(ledger, found)
        if flaw:
            raise Inconclusive(
                f"the audit cannot be trusted: {flaw}", "this is a bug in ftchaos; keep the run's folder"
            )
        return audit.classify(ledger, found, fault_at)

    def _read_keys(self, traffic: Traffic | None) -> list[Survivors]:
        """What the cache has, read from where clients are.

        Raises:
            Inconclusive: it does not say.
        """
        if traffic is None:
            raise Inconclusive("the cache was written to, and nobody knows where it is")
        path, file = self.folder / KEYS_CONFIG, self.folder / KEYS_FILE
        folders = [self.folder / LEDGER, self.folder / LEDGER_INSIDE]
        config = {**_cache(traffic), "survivors": str(file), "forget": True}
        config["ledgers"] = [str(folder) for folder in folders if (folder / book.FILE).exists()]
        path.write_text(json.dumps(config, indent=1) + "\n")
        argv = self._client_argv([sys.executable, "-m", "ftchaos.survivors", str(path)])
        done = subprocess.run(argv, capture_output=True, text=True, check=False, env=_environment())
        if done.returncode:
            raise Inconclusive(f"the cache could not be read: {done.stderr.strip()}", "see the state of its nodes")
        return survivors.kept(file) or []

    def lately(self, since_at: float) -> recovery.Operations:
        """What clients did through the public path since an instant."""
        return stop.lately(self._live(self._public).writers, since_at)

    def read_work(self, connect: survivors.Connect) -> None:
        """Keep what the database says of the work of every upload, where there are uploads.

        Raises:
            Inconclusive: it does not say.
        """
        if self._public != PUBLIC:
            return
        ledger = read_ledger(self.folder, live=not self._ended_writers)
        with contextlib.closing(connect()) as connection:
            write(self.folder / WORK_FILE, json.dumps(survivors.completions(connection, ledger)) + "\n")

    def seen(self, clock: Clock) -> components.Seen:
        """What the samplers have seen until now."""
        live = not self._ended_writers
        return read_seen(self.folder, read_ledger(self.folder, live=live), clock, live=live)

    def end(self) -> None:
        """End whatever still runs; never fails, as the heals come after it."""
        self._ended_writers = True
        for process in self._processes.values():
            _end(process)
        self._processes.clear()

    def _live(self, kind: str) -> Ledger:
        return book.read(self.folder / LEDGER, kinds=[kind], live=not self._ended_writers)


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(Path(ftchaos.__file__).parent.parent)}


def _database(traffic: Traffic) -> dict[str, Any]:
    where = {"host": traffic.writer.host, "port": traffic.writer.port, "ca": str(traffic.ca or "")}
    return {**where, "user": traffic.account, "secret_file": str(traffic.secret), "rate": traffic.writes_per_s}


def _cache(traffic: Traffic) -> dict[str, Any]:
    found = {"nodes": [[node.host, node.port] for node in traffic.cache_nodes], "shards": dict(traffic.shards)}
    return found | dict(traffic.cache_manner)


def read_ledger(folder: Path, *, live: bool = False) -> Ledger:
    """All writes of a run: those of the clients, and of those inside a zone where there were any."""
    ledger = book.read(folder / LEDGER, live=live)
    if not (folder / LEDGER_INSIDE / book.FILE).exists():
        return ledger
    return Ledger((*ledger.writers, *book.read(folder / LEDGER_INSIDE, live=live).writers))


def read_public(folder: Path, ledger: Ledger) -> recovery.Operations:
    """What clients did through the public path; where nobody uploads, what they wrote to the database.

    Of a disaster that is assumed, the writes to the source and then the reads of what was restored.
    """
    did = recovery.operations(ledger.of(PUBLIC) or ledger.of(DATABASE))
    if not (folder / READS_FILE).exists():
        return did
    return recovery.in_order([*did, *reads.read(folder / READS_FILE)])


def read_seen(folder: Path, ledger: Ledger, clock: Clock, *, live: bool = False) -> components.Seen:
    """What the samplers of a run have seen, with instants on the run's clock.

    Args:
        live: they may be at work.
    """
    work = heard = None
    if (folder / WORK_FILE).exists():
        shift_s = clock.monotonic_s - clock.utc_s
        work = {
            int(upload): components.Work(begun + shift_s, None if done is None else done + shift_s, times)
            for upload, begun, done, times in json.loads((folder / WORK_FILE).read_bytes())
        }
    if (folder / HEARD_FILE).exists():
        heard = events.read(folder / HEARD_FILE, live=live).heard
    return components.Seen(ledger, work, heard)


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
