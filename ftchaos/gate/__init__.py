"""The gate: whether evidence allows what comes next, such as a deployment to production.

policy       ``gate.yaml``, read without trust, with the values in it (``values``)
confidence   how little a number of passes proves
question     what is asked, and how a run in short is read for it; pure
flaws        what is wrong with one run as proof; pure
decide       policy, runs in short and the time give a decision; pure
explain      what to run to get to green, as commands; pure
words        what all outputs say alike
table        for people; ``document`` for programs, ``junit`` and ``github`` for CI

The gate reads nothing but evidence, and what it cannot verify is a no.
"""

from __future__ import annotations
