"""The probes of the Chaos Toolkit extension; their module and function names are public API.

Each answers true or false, so that any tolerance of ours can be compared with it.
"""
