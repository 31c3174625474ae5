"""A copy's door: a password that nobody else knows, and a login that proves who answers.

The master password of a copy is that of the source, or of its snapshot, which a drill needs not know. It is replaced by
a random one, kept in a file that only its owner reads; the heal of that file's record removes it.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pymysql

from ftchaos import state
from ftchaos.errors import Inconclusive, StepFailed
from ftchaos.mysql import session
from ftchaos.mysql.session import Unreachable
from ftchaos.platforms.aws.copies.chosen import Chosen, Opened
from ftchaos.platforms.aws.copies.making import Making

FOLDER = "copies"
BYTES = 24  # 32 characters; RDS takes 8 to 41, and neither slash, at sign, quote nor space
OPEN_S = 1800.0
LOGIN_S = 10.0
OFF = ("OFF", "DISABLED")


def open_up(making: Making, chosen: Chosen, described: Mapping[str, Any]) -> Opened:
    """Give a copy a password of our own, and wait until it lets us in.

    Args:
        described: the instance, or the cluster.

    Raises:
        Refused: the undo of the file cannot be written.
        StepFailed: the copy lets nobody in, or would fire scheduled events.
    """
    host, port = _endpoint(chosen, described)
    password = secrets.token_urlsafe(BYTES)
    file = _keep(making, password)
    client = making.client("rds")
    if chosen.is_cluster:
        name = making.name("cluster")
        client.modify_db_cluster(DBClusterIdentifier=name, MasterUserPassword=password, ApplyImmediately=True)
    else:
        name = making.name("instance")
        client.modify_db_instance(DBInstanceIdentifier=name, MasterUserPassword=password, ApplyImmediately=True)
    trouble = [""]

    def knock() -> str:
        try:
            with session.reach(host, port, user=chosen.user, password=password, timeout_s=LOGIN_S, ca=chosen.ca) as to:
                return str(session.value(to, "SELECT @@GLOBAL.event_scheduler"))
        except (Unreachable, pymysql.err.MySQLError) as error:  # the password may be replaced at any moment
            trouble[0] = error.fact if isinstance(error, Unreachable) else str(error)
            return ""

    try:
        scheduler = making.access.until(knock, bool, OPEN_S, f"a login to {name}", making.pace_s)
    except Inconclusive as error:
        raise StepFailed(
            f"{name} lets nobody in: {trouble[0]}",
            "run where its subnets are reached from, or name the networks of the clients: drill: {clients: [...]}",
        ) from error
    if scheduler not in OFF:
        raise StepFailed(f"the event scheduler of {name} is {scheduler}", "its events would fire in the copy")
    return Opened(host, port, chosen.user, file, chosen.ca)


def _endpoint(chosen: Chosen, described: Mapping[str, Any]) -> tuple[str, int]:
    if chosen.is_cluster:
        return str(described["Endpoint"]), int(described["Port"])
    return str(described["Endpoint"]["Address"]), int(described["Endpoint"]["Port"])


def _keep(making: Making, password: str) -> Path:
    """Put the password into its file, after the undo of that."""
    folder = state.root() / FOLDER
    file = folder / f"{making.name('password')}.password"
    making.announce("password", file=str(file))
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        stream.write(password)
    return file
