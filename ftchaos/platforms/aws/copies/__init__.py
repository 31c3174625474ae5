"""Restored copies of the database, built away from it and removed again, step by step::

    method = copies.find("point-in-time")
    chosen = method.choose(access, settings, "last")        # reads, and refuses what cannot be done
    copy = copies.Copy(access, chosen, undo, run_id, expires_at)
    copy.isolate()
    copy.create(progress)
    copy.await_available(progress)
    opened = copy.open()

The undo of each part is in the log before the part is asked for; healing that log in reverse removes them all
(:mod:`ftchaos.platforms.aws.copies.removal`). The source is only ever read.

A method is a module with two functions: ``pick`` finds what to restore from, ``create`` restores it.
"""

from __future__ import annotations

from ftchaos.platforms.aws.copies.chosen import Chosen, Ground, Isolated, Opened, Pick
from ftchaos.platforms.aws.copies.copy import Copy
from ftchaos.platforms.aws.copies.methods import METHODS, Method, find

__all__ = ["METHODS", "Chosen", "Copy", "Ground", "Isolated", "Method", "Opened", "Pick", "find"]
