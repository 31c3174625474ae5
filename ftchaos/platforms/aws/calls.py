"""Every API call that ftchaos makes, one line each: what may be called, and what permission it needs.

The policy is made of this table, and the tests fail on a call that is not in it. Nothing here does I/O.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["read", "drill", "faults"]
KINDS: tuple[Kind, ...] = ("read", "drill", "faults")


@dataclass(frozen=True)
class Operation:
    """One call of an API.

    Attributes:
        kind: what it is for; drills and faults read as well.
        name: like ``rds:DescribeDBInstances``.
        action: the permission, where IAM has another name for it.
        resources: ARN patterns, with ``{region}`` and ``{account}``; where IAM knows none, ``*``.
        condition: ``tagged`` the resource carries the tag of the configuration; ``owned`` the tag of the run that made
            it; empty where the action knows no such condition.
        also: further permissions that the call needs.
    """

    kind: Kind
    name: str
    action: str = ""
    resources: tuple[str, ...] = ("*",)
    condition: Literal["", "tagged", "owned"] = ""
    also: tuple[str, ...] = ()


CALLS: tuple[Operation, ...] = (Operation("read", "sts:GetCallerIdentity"),)


def action(service: str, operation: str) -> str:
    """The permission that an operation needs, by its own name where the table has no other."""
    name = f"{service}:{operation}"
    return next((one.action for one in CALLS if one.name == name and one.action), name)
