"""What the failover manager and others tell each other through files in one folder of the lab.

``servers.json`` says which servers there are and who is the primary; whoever changes the facts rewrites it, and the
manager obeys. ``primary.json`` is the manager's answer: who is the primary now. ``failover.jsonl`` has its decisions,
one a line, each with its instant. While ``paused`` exists it decides nothing, and after a disaster, when no server was
left, it waits until it is told anew, so that it never promotes a server that is only half restored. ``switch.json``
asks it to take the lead from a healthy primary. While ``asynchronous`` exists no primary waits for its replicas.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ftchaos import atomic
from ftchaos.clock import now
from ftchaos.errors import Invalid, StepFailed
from ftchaos.platforms.lab.layout import EDGE


@dataclass(frozen=True)
class Place:
    """Where a server listens."""

    address: str
    port: int


@dataclass(frozen=True)
class Facts:
    """What ``servers.json`` says.

    Attributes:
        primary: name of the primary.
        servers: all servers by name, the primary too.
    """

    primary: str
    servers: dict[str, Place]

    @property
    def fingerprint(self) -> str:
        """Changes whenever the facts do."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()[:16]

    def to_json(self) -> str:
        """The text of ``servers.json``."""
        servers = {name: {"address": place.address, "port": place.port} for name, place in self.servers.items()}
        return json.dumps({"primary": self.primary, "servers": servers}, sort_keys=True, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Facts:
        """The facts in a ``servers.json``.

        Raises:
            Invalid: the text is something else, or the primary is none of the servers.
        """
        try:
            data = json.loads(text)
            servers = {str(name): Place(str(at["address"]), int(at["port"])) for name, at in data["servers"].items()}
            primary = str(data["primary"])
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise Invalid(f"servers.json cannot be read: {error!r}") from error
        if primary not in servers:
            raise Invalid(f"servers.json names {primary!r} as primary, which is none of its servers")
        return cls(primary, servers)


@dataclass(frozen=True)
class Folder:
    """The folder of the failover manager of one lab."""

    path: Path

    @classmethod
    def of(cls, lab: Path) -> Folder:
        """The one below a lab's folder."""
        return cls(lab / EDGE / "failover")

    @property
    def log(self) -> Path:
        """Its decisions."""
        return self.path / "failover.jsonl"

    def facts(self) -> Facts:
        """Which servers there are, as last told to the manager.

        Raises:
            Invalid: nobody told it, or nonsense.
        """
        try:
            return Facts.from_json((self.path / "servers.json").read_text())
        except OSError as error:
            raise Invalid(f"no servers.json in {self.path}") from error

    def told(self) -> tuple[int, int]:
        """Changes with each :meth:`tell`, also when it tells the same again.

        Raises:
            Invalid: nobody told anything.
        """
        try:
            found = (self.path / "servers.json").stat()
        except OSError as error:
            raise Invalid(f"no servers.json in {self.path}") from error
        return found.st_ino, found.st_mtime_ns

    def tell(self, facts: Facts) -> None:
        """Say who is the primary; the manager points writers to it within a second, unless it is paused.

        Where that server takes no writes, it chooses anew among all.
        """
        atomic.write(self.path / "servers.json", facts.to_json())

    def primary(self) -> dict[str, Any] | None:
        """Who is the primary by the manager's last decision: name, address, port, at; None before its first."""
        try:
            found: dict[str, Any] = json.loads((self.path / "primary.json").read_text())
        except OSError:
            return None
        return found

    def decide(self, primary: dict[str, Any]) -> None:
        """Record who is the primary; only the manager does."""
        atomic.write(self.path / "primary.json", json.dumps(primary, sort_keys=True) + "\n")

    def paused(self) -> bool:
        """Whether the manager shall decide nothing."""
        return (self.path / "paused").exists()

    def pause(self, timeout_s: float = 5) -> bool:
        """Let the manager decide nothing; whether it has said within the timeout that it obeys.

        A failover under way is carried through before it says so.
        """
        (self.path / "paused").touch()
        deadline = now() + timeout_s
        while now() < deadline:
            said = [event["event"] for event in self.events() if event["event"] in ("begun", "paused", "resumed")]
            if said and said[-1] == "paused":
                return True
            time.sleep(0.02)
        return False

    def resume(self) -> None:
        """Let it decide again; harmless when it already does."""
        (self.path / "paused").unlink(missing_ok=True)

    def switch(self, demote: str, timeout_s: float = 60) -> str:
        """Ask the manager for an orderly failover, and return when another server leads; its name.

        Raises:
            StepFailed: it refused, or does not answer.
        """
        request = {"id": secrets.token_hex(8), "demote": demote}
        atomic.write(self._switch, json.dumps(request) + "\n")
        asked_at, deadline = now(), now() + timeout_s
        while now() < deadline:
            for event in self.events(asked_at):
                if event.get("id") != request["id"]:
                    continue
                if event["event"] == "switched":
                    return str(event["server"])
                if event["event"] == "not switched":
                    raise StepFailed(f"the failover manager refused to take the lead from {demote}: {event['error']}")
            time.sleep(0.02)
        self.forget_switch()
        raise StepFailed(f"the failover manager does not answer within {timeout_s:g} s", f"read {self.log}")

    def switch_wanted(self) -> dict[str, Any] | None:
        """What was asked for by :meth:`switch`: its id and whom to demote; None when nothing is."""
        try:
            found: dict[str, Any] = json.loads(self._switch.read_text())
        except OSError:
            return None
        return found

    def forget_switch(self) -> None:
        """Nobody is to be demoted any more; harmless when nobody was."""
        self._switch.unlink(missing_ok=True)

    @property
    def _switch(self) -> Path:
        return self.path / "switch.json"

    def asynchronous(self) -> bool:
        """Whether primaries acknowledge without waiting for a replica, whatever the manager's configuration says."""
        return (self.path / "asynchronous").exists()

    def set_asynchronous(self, on: bool) -> None:
        """Say so for each primary to come; the one of the moment is left as it is."""
        if on:
            (self.path / "asynchronous").touch()
        else:
            (self.path / "asynchronous").unlink(missing_ok=True)

    def events(self, since_at: float = 0.0) -> list[dict[str, Any]]:
        """The decisions since an instant on the monotonic clock, in order; a line half written is not there yet."""
        try:
            text = self.log.read_text()
        except OSError:
            return []
        complete = text[: text.rfind("\n") + 1]
        return [event for event in map(json.loads, complete.splitlines()) if event["at"] >= since_at]
