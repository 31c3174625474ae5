"""Lets a server that serves nobody yet not wait for its disk: a crash would only cost a new beginning."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ftchaos.mysql.flavour import Flavour
from ftchaos.mysql.session import Session, execute, value

_SETTINGS = ("sync_binlog", "innodb_flush_log_at_trx_commit")


@contextmanager
def hasty(flavour: Flavour, session: Session, *, redo: bool = True) -> Iterator[None]:
    """While the block runs commits wait for no disk; when it ends well everything is on disk and as durable as before.

    Args:
        flavour: what the server is.
        session: an administrator's connection to it.
        redo: False lets MySQL write no redo log at all, which pays where whole tables are loaded.
    """
    no_redo = not redo and flavour.name == "mysql"
    before = {name: value(session, f"SELECT @@GLOBAL.{name}") for name in _SETTINGS}
    execute(session, [f"SET GLOBAL {name} = 0" for name in _SETTINGS])
    if no_redo:
        execute(session, ["ALTER INSTANCE DISABLE INNODB REDO_LOG"])
    yield
    if no_redo:
        execute(session, ["ALTER INSTANCE ENABLE INNODB REDO_LOG"])
    execute(session, [f"SET GLOBAL {name} = {was}" for name, was in before.items()])
    execute(session, ["FLUSH LOGS"])
