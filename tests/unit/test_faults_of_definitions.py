"""Each experiment is for the platforms that can do what it says when nobody chooses, and for no others.

Elsewhere it would end in exit code 2, which outranks every verdict of ``experiment run --all``.
"""

from __future__ import annotations

import inspect
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import pytest

from ftchaos import definitions
from ftchaos.actions import faults as actions
from ftchaos.definitions import PLATFORMS, Activity, Loaded
from ftchaos.platforms.aws import faults as aws
from ftchaos.platforms.aws.faults import mysql_primary as aws_primary
from ftchaos.platforms.aws.faults import redis_masters as aws_masters
from ftchaos.platforms.aws.faults import zone as aws_zone
from ftchaos.platforms.kubernetes import faults as kubernetes
from ftchaos.platforms.kubernetes.faults import instance as kubernetes_instance
from ftchaos.platforms.kubernetes.faults import leads
from ftchaos.platforms.kubernetes.faults import zone as kubernetes_zone
from ftchaos.platforms.lab import faults as lab
from ftchaos.platforms.lab.faults import instance as lab_instance
from ftchaos.platforms.lab.faults import mysql_primary, mysql_replica, queue_master, redis_masters, zone

FAULTS: dict[str, Mapping[str, Any]] = {"lab": lab.FAULTS, "aws": aws.FAULTS, "kubernetes": kubernetes.FAULTS}
CHOICES: dict[tuple[str, str], Mapping[str, Collection[str]]] = {
    ("fail_zone", "manner"): {
        "lab": zone.CLAUSES, "aws": aws_zone.CLAUSES, "kubernetes": kubernetes_zone.CLAUSES,
    },
    ("fail_mysql_primary", "manner"): {
        "lab": mysql_primary.CLAUSES, "aws": aws_primary.CLAUSES, "kubernetes": leads.VERBS,
    },
    ("fail_mysql_replica", "manner"): {"lab": mysql_replica.CLAUSES},
    ("fail_redis_masters", "manner"): {
        "lab": redis_masters.MANNERS, "aws": aws_masters.CLAUSES, "kubernetes": leads.VERBS,
    },
    ("fail_queue_master", "manner"): {"lab": queue_master.VERBS},
    ("kill_instance", "tier"): {"lab": lab_instance.HITS, "kubernetes": kubernetes_instance.HITS},
}  # fmt: skip
"""What may be chosen of an argument, by platform."""
ENOUGH = {("instance-kill", "lab")}
"""What would be possible and adds nothing: each tier of the lab has an experiment of its own."""
EXPERIMENTS = [definitions.load(definitions.find("experiment", name)) for name in definitions.names("experiment")]


def _faults(loaded: Loaded) -> Iterator[tuple[Activity, dict[str, Any]]]:
    """Each fault of an experiment, and the arguments that it has when nobody chooses."""
    for one in loaded.definition.method:
        if one.provider.module == actions.__name__:
            yield one, actions.given({key: _by_default(value, loaded) for key, value in one.provider.arguments.items()})


def _by_default(value: Any, loaded: Loaded) -> Any:
    if not (isinstance(value, str) and value.startswith("${")):
        return value
    given = loaded.definition.configuration[value[2:-1]]
    return getattr(given, "default", given)


def _can(platform: str, loaded: Loaded) -> bool:
    for one, arguments in _faults(loaded):
        known = FAULTS[platform].get(one.provider.func)
        if known is None or not set(arguments) <= {*inspect.signature(known.plan).parameters}:
            return False
        for name, value in arguments.items():
            choices = CHOICES.get((one.provider.func, name))
            if choices is not None and value not in choices[platform]:
                return False
    return True


@pytest.mark.parametrize("loaded", EXPERIMENTS, ids=lambda one: one.name)
def test_experiment_is_for_the_platforms_that_can_do_it_and_for_no_others(loaded: Loaded) -> None:
    possible = {platform for platform in PLATFORMS if _can(platform, loaded) and (loaded.name, platform) not in ENOUGH}

    assert possible == set(loaded.extension.platforms)
    assert [*_faults(loaded)]


def test_every_argument_that_chooses_a_manner_or_a_tier_is_known_to_the_check() -> None:
    named = {(one.provider.func, name) for loaded in EXPERIMENTS for one, _ in _faults(loaded)
             for name in one.provider.arguments if name in ("manner", "tier")}  # fmt: skip

    assert {("lose_target", "tier")} == named - set(CHOICES)
    for fault, by_platform in ((fault, one) for (fault, _), one in CHOICES.items()):
        assert {platform for platform in PLATFORMS if fault in FAULTS[platform]} == set(by_platform)


def test_all_experiments_of_a_cluster_and_of_aws_leave_out_what_these_cannot_do() -> None:
    on_kubernetes, on_aws = (set(definitions.names_for("experiment", one)) for one in ("kubernetes", "aws"))

    assert not {"clock-jump", "mysql-primary-failover", "mysql-replica-lag"} & on_kubernetes
    assert {"api-instance-kill", "instance-kill", "zone-drain"} <= on_kubernetes
    assert {
        "mysql-primary-failover", "mysql-primary-kill", "mysql-primary-partition", "redis-master-kill", "zone-outage",
        "zone-partition",
    } == on_aws  # fmt: skip
