"""Which subnets are cut off by their network ACL."""

from __future__ import annotations

from typing import Any


def is_isolated(backend: Any, subnet: str) -> bool:
    """Whether the network ACL of a subnet lets nothing in: its first rule for everybody denies, or there is none.

    Args:
        backend: moto's EC2 of the region.
        subnet: its id.
    """
    for acl in backend.network_acls.values():
        if any(association.subnet_id == subnet for association in acl.associations):
            rules = [
                entry
                for entry in acl.network_acl_entries
                if str(entry.egress).lower() == "false" and entry.cidr_block in ("0.0.0.0/0", None)
            ]
            rules.sort(key=lambda entry: int(entry.rule_number))
            return not rules or str(rules[0].rule_action) == "deny"
    return False
