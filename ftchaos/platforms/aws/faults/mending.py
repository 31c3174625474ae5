"""Heals in parts; see :mod:`ftchaos.platforms.mending`."""

from __future__ import annotations

from ftchaos.platforms.mending import Mending

__all__ = ["Mending"]
