"""The bench: a throw-away isolated server on this machine, for backups that ftchaos did not make."""

from __future__ import annotations

from ftchaos.platforms.bench.platform import Bench
from ftchaos.platforms.bench.scratch import heal

__all__ = ["Bench", "heal"]
