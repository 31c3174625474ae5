"""A lab that promises less: its MySQL primaries acknowledge without waiting for a replica.

The same experiments must show losses here, or our instruments are blind.
"""

from __future__ import annotations

from ftchaos.errors import StepFailed
from ftchaos.mysql.session import execute, value
from ftchaos.platforms.lab.lab import Lab
from ftchaos.platforms.lab.tier import Tier

_WHOLE_WITHIN_S = 90.0


def weaken(lab: Lab) -> str:
    """Let the primary of the moment, and each after it, acknowledge without waiting; its name.

    Raises:
        StepFailed: the lead changes all the time.
    """
    tier = Tier(lab)
    tier.manager.set_asynchronous(True)
    for _ in range(3):  # the manager may be promoting by the older word
        primary = tier.primary
        with primary.connect() as session:
            execute(session, primary.flavour.semi_sync_source(False))
            writable = not value(session, "SELECT @@GLOBAL.read_only")
        if writable and tier.primary.name == primary.name:
            return primary.name
    raise StepFailed("the lead of the database changes all the time", f"read {tier.manager.log}")


def strengthen(lab: Lab) -> str:
    """Let primaries wait for their replicas again, as a lab does from its begin on; the name of that of the moment.

    Raises:
        StepFailed: not all replicas confirm within the time.
    """
    tier = Tier(lab)
    tier.manager.set_asynchronous(False)
    tier.mend(_WHOLE_WITHIN_S)
    return tier.primary.name
