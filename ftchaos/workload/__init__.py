"""The writers of a run and the ledger that they keep: a process of its own where clients are.

``python -m ftchaos.workload CONFIG.json``; see :mod:`ftchaos.workload.config`.
"""
