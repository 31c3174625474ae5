"""What `chaos discover ftchaos` lists: our actions and probes."""

from __future__ import annotations

import pkgutil
from typing import Any

import ftchaos.actions
import ftchaos.probes
from ftchaos import __version__


def discover() -> dict[str, Any]:
    """Every action and probe of ours, as Chaos Toolkit describes them."""
    from chaoslib.discovery.discover import discover_actions, discover_probes, initialize_discovery_result

    found: dict[str, Any] = initialize_discovery_result("ftchaos", __version__, "ftchaos")
    for package, describe in ((ftchaos.actions, discover_actions), (ftchaos.probes, discover_probes)):
        for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            found["activities"].extend(describe(module.name))
    return found
