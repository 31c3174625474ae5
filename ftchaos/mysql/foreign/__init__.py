"""Backups that ftchaos did not make: what they are, what they say of themselves, and how they are read.

Nothing here trusts a byte of them. Where a server or another program is needed to read them, the caller gives one.
"""
