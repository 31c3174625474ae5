"""Each manner of a fault that a platform has is reached by an experiment, and by none that says another thing."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from click.testing import CliRunner

from ftchaos import cli, definitions, planning
from ftchaos.errors import Invalid
from ftchaos.objectives import Objectives
from ftchaos.platforms.aws.faults import mysql_primary as aws_primary
from ftchaos.platforms.aws.faults import redis_masters as aws_masters
from ftchaos.platforms.aws.faults import zone as aws_zone
from ftchaos.platforms.kubernetes.faults import leads, pods
from ftchaos.platforms.kubernetes.faults import zone as kubernetes_zone
from ftchaos.platforms.lab.faults import mysql_primary, mysql_replica, queue_master, redis_masters, zone
from ftchaos.units import duration_s

POSSIBLE: dict[str, set[str]] = {
    "fail_zone": {*zone.CLAUSES, *aws_zone.CLAUSES, *kubernetes_zone.CLAUSES},
    "fail_mysql_primary": {*mysql_primary.CLAUSES, *aws_primary.CLAUSES, *leads.VERBS},
    "fail_mysql_replica": {*mysql_replica.CLAUSES},
    "fail_redis_masters": {*redis_masters.MANNERS, *aws_masters.CLAUSES, *leads.VERBS},
    "fail_queue_master": {*queue_master.VERBS},
}


def _reached(fault: str) -> Iterable[str]:
    """The manners in which experiments do it; a platform refuses those that it has not."""
    for name in definitions.names("experiment"):
        loaded = definitions.load(definitions.find("experiment", name))
        for one in loaded.definition.method:
            manner = one.provider.arguments.get("manner")
            if one.provider.func == fault and manner is not None:
                yield from loaded.extension.manners if manner == "${manner}" else [manner]


@pytest.mark.parametrize("fault", POSSIBLE)
def test_every_manner_is_reached_and_every_one_that_is_named_exists(fault: str) -> None:
    assert POSSIBLE[fault] == set(_reached(fault))


def test_polite_manner_is_no_evidence_for_an_abrupt_experiment(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Invalid, match="zone-outage is not done in the manner 'drain'") as raised:
        planning.plan("experiment", "zone-outage", {"manner": "drain"})
    monkeypatch.setenv("FTCHAOS_MANNER", "polite")

    assert "choose outage, power, or another experiment" == raised.value.hint
    with pytest.raises(Invalid, match="zone-outage is not done in the manner 'out-of-service'"):
        planning.plan("experiment", "zone-outage", {"manner": "out-of-service"})
    with pytest.raises(Invalid, match="mysql-primary-kill is not done in the manner 'polite'"):
        planning.plan("experiment", "mysql-primary-kill", {})


@pytest.mark.parametrize(
    ("name", "manner", "lasts_s"), [("drain", "drain", pods.DRAINED_S), ("nodes-loss", "nodes", 0.0),
                                    ("out-of-service", "out-of-service", 0.0)]
)  # fmt: skip
def test_a_zone_is_watched_and_may_take_for_as_long_as_its_manner_does(name: str, manner: str, lasts_s: float) -> None:
    definition = definitions.load(definitions.find("experiment", f"zone-{name}")).definition
    watched = definition.configuration["warm_timeout"]
    promised_s = definition.extensions[0].promises.recovery_time
    assert isinstance(watched, definitions.FromEnvironment)
    assert promised_s is not None

    assert lasts_s + kubernetes_zone.PROOF_S[manner] <= promised_s
    assert promised_s <= duration_s(watched.default) - 2 * Objectives().sustain_s


def test_show_names_the_manners() -> None:
    shown = CliRunner().invoke(cli.cli, ["experiment", "show", "zone-partition"]).output

    assert "By --manner, as far as the platform knows it: partition, partition-in, partition-out" in shown
