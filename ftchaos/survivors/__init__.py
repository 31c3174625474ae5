"""What is there of a ledger's writes after all is over, asked of whatever keeps them.

:mod:`ftchaos.survivors.sql` asks databases, :mod:`ftchaos.survivors.keys` a Redis Cluster; the latter also as
``python -m ftchaos.survivors CONFIG.json``, for wherever the cluster can be reached from.
"""

from ftchaos.survivors.completions import Completion, completions, queued
from ftchaos.survivors.kept import keep, kept
from ftchaos.survivors.sql import Connect, next_writer, read

__all__ = ["Completion", "Connect", "completions", "keep", "kept", "next_writer", "queued", "read"]
