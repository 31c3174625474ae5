"""The clients of a run: writers with the ledger that they keep, and who listens; processes where clients are.

``python -m ftchaos.workload CONFIG.json``; see :mod:`ftchaos.workload.config`.
"""
