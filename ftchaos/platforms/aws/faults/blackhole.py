"""Subnets without a network: an ACL without rules denies all, in both directions, and drops what was open.

The ACL carries the tag of what ftchaos made, with a value of this fault alone, so that a heal finds it although its id
was not known when the undo was written. Associations are found by their subnet: their id changes each time they are
replaced. Its tags also say when it expires and which ACL each subnet had, so that a sweep heals what a machine did that
is gone, undo log and all.

Source: Amazon VPC user guide, network ACLs are stateless and deny what no rule allows.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from ftchaos.clock import iso
from ftchaos.errors import HealFailed, StepFailed
from ftchaos.platforms.aws.calls import OWNER
from ftchaos.platforms.aws.copies.making import EXPIRES
from ftchaos.platforms.aws.faults.mending import Mending
from ftchaos.platforms.aws.inventory import Subnet
from ftchaos.platforms.aws.survey import associations

if TYPE_CHECKING:
    from ftchaos.platforms.aws.access import Access

SEEN_S = 60.0
KEPT = timedelta(days=1)
"""After this no run can still be under way that cut something off."""
FORMER = "ftchaos-acl-"
MOST_TAGS = 50
"""Source: Amazon EC2 user guide, tag restrictions."""


def plan(subnets: Iterable[Subnet], mark: tuple[str, str] | None = None) -> dict[str, Any]:
    """What the heal needs to give the subnets their network back.

    Args:
        mark: the tag of the network ACL that cuts them off, where another service makes it and deletes it again.
    """
    kept = [{"subnet": one.id, "vpc": one.vpc, "acl": one.acl} for one in subnets]
    token = "" if mark or not kept else secrets.token_hex(8)
    return {"token": token, "mark": list(mark or (OWNER, token)), "subnets": kept}


def inject(access: Access, undo: Mapping[str, Any]) -> str:
    kept = undo["subnets"]
    if not kept:
        return ""
    now = associations(access, (one["vpc"] for one in kept))
    for one in kept:
        if now.get(one["subnet"], ("", ""))[1] != one["acl"]:
            raise StepFailed(
                f"the network ACL of {one['subnet']} is no longer {one['acl']}",
                "somebody changed it just now; run again",
            )
    for vpc in dict.fromkeys(one["vpc"] for one in kept):
        acl = _create(access, vpc, undo)
        for one in kept:
            if one["vpc"] == vpc:
                _replace(access, now[one["subnet"]][0], acl)
    return f"{len(kept)} subnets were cut off"


def _create(access: Access, vpc: str, undo: Mapping[str, Any]) -> str:
    token = undo["token"]
    given = {OWNER: token, "Name": f"ftchaos-{token}", EXPIRES: iso(datetime.now(UTC) + KEPT)}
    given |= {f"{FORMER}{one['subnet']}": one["acl"] for one in undo["subnets"] if one["vpc"] == vpc}
    tags = [{"Key": key, "Value": value} for key, value in given.items()][:MOST_TAGS]
    made = access.client("ec2").create_network_acl(
        VpcId=vpc, ClientToken=f"{token}-{vpc}"[:64], TagSpecifications=[{"ResourceType": "network-acl", "Tags": tags}]
    )["NetworkAcl"]["NetworkAclId"]
    access.until(
        lambda: [one["NetworkAclId"] for one in _ours(access, token)],
        lambda found: made in found,
        SEEN_S,
        f"the network ACL {made} is seen",
    )
    return str(made)


def remembered(vpc: str, tags: Mapping[str, str]) -> dict[str, Any]:
    """What the heal needs, as far as the tags of the ACL keep it."""
    former = {key.removeprefix(FORMER): acl for key, acl in tags.items() if key.startswith(FORMER)}
    kept = [{"subnet": name, "vpc": vpc, "acl": acl} for name, acl in former.items()]
    return {"token": tags[OWNER], "mark": [OWNER, tags[OWNER]], "subnets": kept}


def _replace(access: Access, association: str, acl: str) -> None:
    access.client("ec2").replace_network_acl_association(AssociationId=association, NetworkAclId=acl)


def heal(access: Access, undo: Mapping[str, Any], mending: Mending) -> None:
    """Give each subnet the ACL that it had, then delete ours."""
    kept: Sequence[Mapping[str, str]] = undo["subnets"]
    if not kept:
        return
    back: list[str] = []

    def mend(one: Mapping[str, str], now: Mapping[str, tuple[str, str, Mapping[str, str]]]) -> str | None:
        if one["subnet"] not in now:
            return f"the subnet {one['subnet']} is gone"
        association, acl, tags = now[one["subnet"]]
        if acl == one["acl"]:
            return None
        key, value = undo["mark"]
        if tags.get(key) != value:
            return f"{one['subnet']} was given {acl} by somebody else"
        _replace(access, association, one["acl"])
        back.append(one["subnet"])
        return None

    def all_of_them() -> str | None:
        now = associations(access, (one["vpc"] for one in kept))
        for one in kept:
            mending.attempt(f"the network of {one['subnet']}", lambda one=one: mend(one, now))  # type: ignore[misc]
        return f"{len(back)} subnets have their network again" if back else None

    mending.attempt("the network of the subnets", all_of_them)
    if undo["token"]:
        mending.attempt("the network ACL that cut them off", lambda: delete(access, undo["token"]))


def delete(access: Access, token: str) -> None:
    """Delete the network ACLs of a fault, once they cut nothing off.

    Raises:
        HealFailed: one still does.
    """
    for acl in _ours(access, token):
        if acl["Associations"]:
            subnets = ", ".join(sorted(one["SubnetId"] for one in acl["Associations"]))
            raise HealFailed(f"{acl['NetworkAclId']} still cuts off {subnets}")
        access.client("ec2").delete_network_acl(NetworkAclId=acl["NetworkAclId"])


def _ours(access: Access, token: str) -> list[Mapping[str, Any]]:
    which = [{"Name": f"tag:{OWNER}", "Values": [token]}]
    return list(access.pages("ec2", "describe_network_acls", "NetworkAcls", Filters=which))
