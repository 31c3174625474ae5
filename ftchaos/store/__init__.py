"""Where the evidence of many runs is kept, and found again quickly.

summary     a run in short, and the protocol of a store
"""

from __future__ import annotations

from ftchaos.store.summary import Store, Summary

__all__ = ["Store", "Summary"]
