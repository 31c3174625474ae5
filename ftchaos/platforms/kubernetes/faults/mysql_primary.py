"""The pod of the MySQL primary is deleted without grace, or cut off from everybody."""

from __future__ import annotations

import secrets

from ftchaos.errors import Refused
from ftchaos.platforms.base import Harm
from ftchaos.platforms.kubernetes.faults import leads
from ftchaos.platforms.kubernetes.inventory import Inventory

LABELS = {
    "mysql.oracle.com/cluster-role": "PRIMARY",
    "mysql.percona.com/primary": "true",
    "moco.cybozu.com/role": "primary",
}
# All work ends in the database, and what is not done is not told.
HITS = ("database", "api", "queue", "websocket")

inject, effect, heal = leads.inject, leads.effect, leads.heal


def plan(inventory: Inventory, manner: str = "kill", label: str = "") -> Harm:
    """What falls with the primary.

    Args:
        manner: ``kill``, or ``partition``.
        label: ``key=value`` of the pod that leads, where no server was asked; by default those of known operators.

    Raises:
        Invalid: there is no such manner, or the label is none.
        Refused: nobody is known to lead, or several are; or it would not come back, or cannot be cut off.
    """
    found, might = leads.of(inventory, "mysql-primary", LABELS, label)
    if len(found) > 1:
        raise Refused(
            f"several lead MySQL: {', '.join(one.full_name for one in found)}",
            "list the namespaces of one database only, or wait until a failover is over",
        )
    return leads.harm(inventory, found, might, "mysql", manner, HITS, f"ftchaos-{secrets.token_hex(4)}")
