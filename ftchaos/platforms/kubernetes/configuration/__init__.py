"""The configuration of an application is lost with its namespaces, and comes back from where it is kept.

``objects`` says what is recorded and compared, ``keep`` keeps it for the undo, ``sources`` and ``velero`` are where it
comes back from, ``making`` creates it, ``heal`` puts back what did not come, ``recovery`` and ``platform`` are the
drill.
"""
