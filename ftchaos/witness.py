"""The witness: watches servers from where clients are, and says when it saw them go down and come back.

``python -m ftchaos.witness CONFIG.json`` appends to a file of JSON lines, one for each change and a heartbeat each
second::

    {"at": 1234.5, "target": "mysql-a", "up": true, "saw": "answered"}
    {"at": 1240.1, "target": "mysql-a", "up": false, "saw": "connection refused"}
    {"at": 1241.0, "up": {"mysql-a": false, "mysql-b": true}}

A run whose witness never saw the damage is inconclusive; :func:`proven_at` decides that from the lines alone.

How it sees: a process that dies closes its connections, which an open connection learns at once; a new try then tells
death (refused) from a server that merely dropped an idle client. A network that is cut says nothing, so each address is
also asked every 20 ms on a port where nobody listens: the refusal shows that the machine is reachable, its absence
that it is not. An address that never refused, behind a firewall, is not judged by that. A server that lives on without
doing its work is asked a question every 50 ms; see :mod:`ftchaos.questions`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import socket
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ftchaos.errors import FtchaosError, Inconclusive, Invalid
from ftchaos.process import die_with_parent
from ftchaos.questions import Question, Redis, Sql, get, trust

PROBE_S = 0.02
HEARTBEAT_S = 1.0
ANSWER_S = 0.5
QUESTION_S = 0.05
ECHO_S = 0.04
# A server drops clients that do not log in after 10 s (connect_timeout); fewer visits spam its log less.
REFRESH_S = 5.0
# In a row, before silence counts as damage: a machine that stood still for a moment makes one probe late, not three.
SILENT_ECHOES = 3
SILENT_ANSWERS = 2
CLOSED_PORT = 1
HTTP = ("http", "https")


@dataclass(frozen=True)
class Observation:
    """A change that was seen, or with ``saw`` being *heartbeat*, that nothing changed.

    Attributes:
        at: when, on the run's monotonic clock.
        target: name of what was watched.
        up: whether it answered.
        saw: what was seen, in words.
        counts: what was counted there, by name, where there is something to count.
    """

    at: float
    target: str
    up: bool
    saw: str
    counts: Mapping[str, int] = field(default_factory=dict)


def read(path: Path) -> list[Observation]:
    """What a witness wrote; a line that was cut off by its death is left out, no file is no observation.

    Raises:
        Inconclusive: the file is something else.
    """
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except FileNotFoundError:
        return []
    except ValueError as error:
        raise Inconclusive(f"{path} is no file of a witness: {error}", "take it from the run's folder") from error
    found: list[Observation] = []
    for number, line in enumerate(lines[:-1], 1):  # a whole line ends with a newline
        try:
            found.extend(_parse(json.loads(line)))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise Inconclusive(f"line {number} of {path} is no observation", "take it from the run's folder") from error
    return found


def _parse(line: Mapping[str, Any]) -> list[Observation]:
    at = float(line["at"])
    if "target" in line:
        counts = {str(name): int(count) for name, count in line.get("counts", {}).items()}
        return [Observation(at, str(line["target"]), bool(line["up"]), str(line["saw"]), counts)]
    return [Observation(at, str(target), bool(up), "heartbeat") for target, up in line["up"].items()]


def changes(observations: Iterable[Observation]) -> list[Observation]:
    """The observations without heartbeats."""
    return [one for one in observations if one.saw != "heartbeat"]


def proven_at(observations: Sequence[Observation], targets: Sequence[str], fault_at: float) -> float | None:
    """When the witness had seen every target of a fault go down, or None when it did not.

    A target that was not seen up at the newest observation before the fault proves nothing by being
    down after it. So a fault that did not bite, a target that was down before, and a witness that
    was blind are all not proven.

    Args:
        observations: what the witness saw, in order.
        targets: names of what the fault hits; without any nothing can be proven.
        fault_at: when the injection began, on the same clock.

    Source: proof of effect, after what chaos tools without it are faulted for.
    """
    down_at = [_down_at(observations, target, fault_at) for target in targets]
    seen = [at for at in down_at if at is not None]
    return max(seen) if seen and len(seen) == len(down_at) else None


def seen_down(observations: Sequence[Observation], targets: Sequence[str]) -> tuple[float, float] | None:
    """From when until when all of these were last seen to be down without a break; None while one is up, or not seen.

    It ends with the oldest of their newest observations, heartbeats too: while a witness is blind, nothing lasts.
    """
    since: dict[str, float] = {}
    until: dict[str, float] = {}
    for one in observations:
        until[one.target] = one.at
        if one.up:
            since.pop(one.target, None)
        else:
            since.setdefault(one.target, one.at)
    if not targets or not since.keys() >= {*targets}:
        return None
    return max(since[name] for name in targets), min(until[name] for name in targets)


def _down_at(observations: Sequence[Observation], target: str, fault_at: float) -> float | None:
    mine = [one for one in observations if one.target == target]
    before = [one.up for one in mine if one.at < fault_at]
    if not before or not before[-1]:
        return None
    return next((one.at for one in mine if one.at >= fault_at and not one.up), None)


@dataclass(frozen=True)
class Target:
    """What is watched.

    Attributes:
        name: as faults name it.
        host, port: its own address, never that of a balancer.
        kind: ``greeting`` for a server that speaks first (MySQL), ``tcp`` for one that waits, ``http`` or ``https``
            for an address that must answer GET ``path`` with less than 500, ``sql`` and ``redis`` for a question whose
            answer must be right.
        sql, user, secret_file, database, ca: the statement of an ``sql`` question, and who asks how; its answer is
            right while the first value of the first row is true, or with ``matches`` while that is found in the row.
        command: the command of a ``redis`` question; its answer is right while ``matches`` is found in it.
        matches: a regular expression.
        anew: whether each question comes over a connection of its own.
        within_s: how long the answer to a question may take; whoever is slower is down.
    """

    name: str
    host: str
    port: int
    kind: str = "greeting"
    path: str = "/"
    sql: str = ""
    user: str = ""
    secret_file: str = ""
    database: str = ""
    ca: str = ""
    command: str = ""
    matches: str = ""
    anew: bool = False
    within_s: float = ANSWER_S

    def question(self) -> Question | None:
        """What is asked again and again; None for a kind that only looks.

        Raises:
            ValueError: there is no such kind, or what is to be asked or matched cannot be.
        """
        if self.kind == "sql" and self.sql and self.user:
            login = {"user": self.user, "secret_file": self.secret_file, "database": self.database, "ca": self.ca}
            return Sql(self.host, self.port, sql=self.sql, matches=self.matches, anew=self.anew, **login)
        if self.kind == "redis" and self.command and self.matches:
            return Redis(self.host, self.port, command=self.command, matches=self.matches, anew=self.anew)
        if self.kind in ("sql", "redis"):
            raise ValueError(f"{self.name} is asked nothing")
        if self.kind not in ("greeting", "tcp", *HTTP):
            raise ValueError(f"there is no kind {self.kind!r}")
        return None


class Watch:
    """One target and what is known of it."""

    def __init__(self, target: Target, log: Log) -> None:
        self.target, self.up = target, False
        self._log = log
        self._told = False
        self._unanswered = 0
        self._echoed = False
        self._unechoed = 0
        self._connection: asyncio.StreamWriter | None = None

    async def run(self) -> None:
        """Watch until cancelled."""
        if question := self.target.question():
            await self._run_question(question)
        elif self.target.kind in HTTP:
            await self._run_http()
        else:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._run_connection())
                tasks.create_task(self._run_echo())

    def tell(self, up: bool, saw: str) -> None:
        """Write down a change, and the first thing that was seen at all."""
        if up != self.up or not self._told:
            self.up, self._told = up, True
            self._log.write({"at": time.monotonic(), "target": self.target.name, "up": up, "saw": saw})

    def _tell_error(self, error: Exception) -> None:
        self._unanswered = self._unanswered + 1 if isinstance(error, TimeoutError) else SILENT_ANSWERS
        if self._unanswered >= SILENT_ANSWERS or not self.up:
            self.tell(False, _words(error))

    def _silent(self) -> bool:
        return self._echoed and self._unechoed >= SILENT_ECHOES

    async def _run_connection(self) -> None:
        while True:
            while self._silent():  # a try now would hang on beyond the network's return
                await asyncio.sleep(PROBE_S / 2)
            began_at = time.monotonic()
            try:
                async with asyncio.timeout(ANSWER_S):
                    reader, self._connection = await asyncio.open_connection(self.target.host, self.target.port)
                    if self.target.kind == "greeting" and not await reader.read(4096):
                        raise ConnectionResetError("closed without a greeting")
                self._unanswered = 0
                self.tell(True, "answered")
                await self._until_closed(reader)
            except (OSError, TimeoutError) as error:
                self._tell_error(error)
            if self._connection:
                self._connection.transport.abort()
            await _rest(began_at)

    async def _until_closed(self, reader: asyncio.StreamReader) -> None:
        """Wait for the end of the connection, or until it is so old that the server may drop it."""
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(REFRESH_S):
                while await reader.read(4096):
                    pass

    async def _run_echo(self) -> None:
        """Ask the address on a port where nobody listens."""
        while True:
            began_at = time.monotonic()
            if await _echoes(self.target.host):
                self._echoed, self._unechoed = True, 0
            else:
                self._unechoed += 1
            if self._silent() and self.up:
                self.tell(False, "address unreachable")
                if self._connection:  # so that its return is looked for at once
                    self._connection.transport.abort()
            await _rest(began_at)

    async def _run_http(self) -> None:
        tls = trust(self.target.ca) if self.target.kind == "https" else None
        while True:
            began_at = time.monotonic()
            try:
                async with asyncio.timeout(ANSWER_S):
                    status = await get(self.target.host, self.target.port, self.target.path, tls)
                self._unanswered = 0
                self.tell(status < 500, f"HTTP {status}")
            except (OSError, TimeoutError, ValueError) as error:
                self._tell_error(error)
            await _rest(began_at)

    async def _run_question(self, question: Question) -> None:
        """Ask; a wrong answer counts at once, one that does not come when the next does not come either."""
        while True:
            began_at = time.monotonic()
            try:
                async with asyncio.timeout(self.target.within_s):
                    right, said = await question.ask()
                self._unanswered = 0
                self.tell(right, said)
            except (OSError, TimeoutError) as error:
                question.hang_up()
                self._tell_error(error)
            await _rest(began_at, QUESTION_S)


async def _rest(began_at: float, interval_s: float = PROBE_S) -> None:
    await asyncio.sleep(max(0.0, began_at + interval_s - time.monotonic()))


async def _echoes(host: str) -> bool:
    """Whether the machine at an address says anything, if only that nobody listens."""
    with socket.socket() as probe:
        probe.setblocking(False)
        asked = asyncio.ensure_future(asyncio.get_running_loop().sock_connect(probe, (host, CLOSED_PORT)))
        try:
            await asyncio.sleep(0)  # its time begins when it was sent
            # Not asyncio.timeout: after a while without a turn the answer and the end of the time come together.
            await asyncio.wait({asked}, timeout=ECHO_S)
            return asked.done() and isinstance(asked.exception(), ConnectionRefusedError | None)
        finally:
            asked.cancel()
            await asyncio.wait({asked})


def _words(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer"
    return (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__


class Log:
    """The file of observations; each line is handed to the kernel whole, so kill -9 loses none."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)

    def write(self, line: Mapping[str, Any]) -> None:
        os.write(self._file, (json.dumps(line) + "\n").encode())


async def watch(targets: Sequence[Target], log: Log) -> None:
    """Watch all targets until SIGTERM or SIGINT."""
    watches = [Watch(target, log) for target in targets]
    loop = asyncio.get_running_loop()
    everything = asyncio.gather(_heartbeats(watches, log), *(one.run() for one in watches))
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, everything.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await everything


async def _heartbeats(watches: Sequence[Watch], log: Log) -> None:
    while True:
        await asyncio.sleep(HEARTBEAT_S)
        log.write({"at": time.monotonic(), "up": {one.target.name: one.up for one in watches}})


def load(path: Path) -> tuple[Path, list[Target], int | None]:
    """The file to write, the targets and the parent that a configuration names.

    ``{"observations": "witness.jsonl", "targets": {"mysql-a": {"host": "10.77.0.11", "port": 3306}}}``, with more
    of :class:`Target` where it is no MySQL that is only looked at, and ``parent_pid`` to begin only as a child of that
    process.

    Raises:
        Invalid: it cannot be read or lacks something.
    """
    try:
        data = json.loads(path.read_bytes())
        targets = [Target(name, **one) for name, one in data["targets"].items()]
        for one in targets:
            one.question()
        return Path(data["observations"]), targets, data.get("parent_pid")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, re.error) as error:
        raise Invalid(
            f"the witness's configuration {path} cannot be used: {error!r}", "see ftchaos.witness.load"
        ) from error


def main(argv: Sequence[str]) -> int:
    die_with_parent()
    try:
        file, targets, parent_pid = load(Path(argv[0]))
        die_with_parent(parent_pid)
        asyncio.run(watch(targets, Log(file)))
    except (FtchaosError, OSError) as error:
        sys.stderr.write(f"witness: {error}\n")
        return error.exit_code if isinstance(error, FtchaosError) else 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
