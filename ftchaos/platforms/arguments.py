"""What the faults of a platform can be told; those of another platform may know more."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from ftchaos.errors import Invalid
from ftchaos.platforms.base import Harm


def ensure_taken(fault: str, plan: Callable[..., Harm], arguments: Mapping[str, Any], place: str) -> None:
    """Refuse an argument that a fault does not know.

    Args:
        plan: how the fault is resolved: what is there, then the arguments.
        place: the platform in words.

    Raises:
        Invalid: the fault takes no such argument there.
    """
    takes = [*inspect.signature(plan).parameters][1:]
    for name in arguments:
        if name not in takes:
            raise Invalid(
                f"the fault {fault} takes no {name!r} on {place}", f"it takes {', '.join(takes) or 'none'} there"
            )
