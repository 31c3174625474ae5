"""An AWS account on this machine: moto's control plane, honest about time, with real servers behind its databases.

``server.Standin`` begins it as a process of its own; ``staging`` fills it with a staging environment. Within that
process ``gate`` receives every call, parses and validates it against botocore's models, keeps it, and lets a handler
of ``instances``, ``snapshots``, ``restores``, ``groups``, ``aurora``, ``volumes``,
``caches``, ``backup`` or ``zones`` answer, or
else moto.
"""
