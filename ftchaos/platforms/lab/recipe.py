"""What a lab consists of, and the order in which it comes up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ftchaos.platforms.lab.control import Progress
    from ftchaos.platforms.lab.supervisor import Supervisor


async def bring_up(supervisor: Supervisor, settings: dict[str, Any], progress: Progress) -> None:
    """Bring up all services of the lab; runs inside the supervisor."""
    if settings["bare"]:
        return
