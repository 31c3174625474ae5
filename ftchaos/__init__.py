"""ftchaos proves or refutes the recovery promises of a file-transfer system."""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"


def discover(discover_system: bool = True) -> dict[str, Any]:
    """What Chaos Toolkit asks an extension: its actions and probes."""
    # By name, as the package itself depends on none of its modules.
    found: dict[str, Any] = import_module("ftchaos.discovery").discover()
    return found
