"""The tagging API, which in moto knows no replication groups and no databases."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from moto.elasticache.models import elasticache_backends

from standin.call import Answer, Call
from standin.world import ACCOUNT, rds


def get_resources(call: Call) -> Any:
    """What moto finds, and on the last page what it forgets."""
    answer = call.moto()
    if not answer.ok:
        return answer
    said = json.loads(answer.body)
    if not said.get("PaginationToken"):
        known = {one["ResourceARN"] for one in said["ResourceTagMappingList"]}
        said["ResourceTagMappingList"] += [
            {"ResourceARN": arn, "Tags": tags}
            for arn, tags in _forgotten(call.region)
            if arn not in known and _is_wanted(call.params, arn, tags)
        ]
    return Answer(answer.status, answer.headers, json.dumps(said).encode())


def _forgotten(region: str) -> Iterator[tuple[str, list[dict[str, str]]]]:
    for group in elasticache_backends[ACCOUNT][region].replication_groups.values():
        yield group.arn, group.tags
    for model in [*rds(region).databases.values(), *rds(region).clusters.values()]:
        yield model.arn, model.tags


def _is_wanted(params: dict[str, Any], arn: str, tags: list[dict[str, str]]) -> bool:
    kind = ":".join(arn.split(":")[i] for i in (2, 5)).split("/")[0]
    wanted = params.get("ResourceTypeFilters")
    if wanted and not any(one in (kind, kind.split(":")[0]) for one in wanted):
        return False
    has = {tag["Key"]: tag["Value"] for tag in tags}
    return all(
        one["Key"] in has and (not one.get("Values") or has[one["Key"]] in one["Values"])
        for one in params.get("TagFilters", [])
    )
