"""Questions whose answer shows the witness a harm that leaves the server alive."""

from __future__ import annotations

from typing import Any

from ftchaos.platforms.lab.lab import folder_of
from ftchaos.platforms.lab.standing import Member, Standing

MONITOR = "monitor"  # an account that may ask how a server does, and read no data
TAKES_WRITES = "SELECT NOT @@GLOBAL.read_only"


def mysql(standing: Standing, member: Member, sql: str, **more: Any) -> dict[str, Any]:
    """A question to a MySQL server; see :class:`ftchaos.witness.Target`."""
    # A lab that is still to be begun has no folder yet, and is planned for again when it has.
    secret = str(folder_of(standing.lab) / "secret") if standing.lab else ""
    return {
        "host": member.watched["host"],
        "port": member.watched["port"],
        "kind": "sql",
        "sql": sql,
        "user": MONITOR,
        "secret_file": secret,
        **more,
    }


def redis(member: Member, command: str, matches: str) -> dict[str, Any]:
    """A command to a Redis server, and what its answer must look like."""
    where = {"host": member.watched["host"], "port": member.watched["port"]}
    return {**where, "kind": "redis", "command": command, "matches": matches}
