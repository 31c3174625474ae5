"""Where clients of an environment on AWS go, and what is promised of whom."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ftchaos.config import Config
from ftchaos.errors import Invalid
from ftchaos.options import Options
from ftchaos.platforms.aws.inventory import Copy, Database, Inventory, Shard
from ftchaos.platforms.aws.platform import AwsPlatform
from ftchaos.platforms.base import Traffic
from ftchaos.platforms.login import Login
from ftchaos.workload.cluster import slot_of

GROUP = "ft-staging"
STAGING = Options(environment="staging")


def _platform(options: Options = STAGING, **settings: Any) -> AwsPlatform:
    given = {
        "platform": "aws", "account": "111122223333", "region": "us-east-1",
        "mysql": {"cluster": "ft", "secret": "ft"}, "redis": {"replication_group": GROUP}, **settings,
    }  # fmt: skip
    return AwsPlatform(Config.model_validate({"environments": {"staging": given}}), options)


def _shard(number: int, **more: Any) -> Shard:
    first = number * 8192
    primary = Copy(f"{GROUP}-{number}-1", "us-east-1a", f"{number}.example", 6379, tls=more.pop("tls", False))
    known = {"clustered": True, "slots": f"{first}-{first + 8191}", **more}
    return Shard(
        GROUP, f"000{number}", primary, (Copy(f"{GROUP}-{number}-2", "us-east-1b", "r.example", 6379),), **known
    )


def _traffic(platform: AwsPlatform, *shards: Shard) -> Traffic:
    writer, reader = (Copy(f"ft-{zone}", f"us-east-1{zone}", f"{zone}.example", 3306) for zone in "ab")
    database = Database("ft", "aurora", writer, (reader,), host="ft.example", port=3306)
    platform._inventory = Inventory(
        {}, "ftchaos=allowed", mysql="ft", redis=GROUP, databases=(database,), shards=shards
    )
    platform._login = Login("writer", Path("/state/run.database.secret"))
    return platform.traffic()


def test_writers_go_to_the_address_that_follows_the_writer_and_the_witness_to_each_server() -> None:
    found = _traffic(_platform(mysql={"cluster": "ft", "secret": "ft", "ca": "rds.pem"}))

    assert ("ft.example:3306", "writer", Path("rds.pem")) == (str(found.writer), found.account, found.ca)
    assert {"ft-a", "ft-b"} == found.witnessed.keys()
    assert ("sql", "a.example", "rds.pem") == tuple(found.witnessed["ft-a"][key] for key in ("kind", "host", "ca"))
    assert "" == found.public_url


def test_reader_of_a_cluster_that_is_begun_anew_is_no_stranger_that_was_harmed() -> None:
    assert {"ft-a": "us-east-1a"} == _traffic(_platform()).zones


def test_each_shard_gets_a_tag_that_leads_there() -> None:
    found = _traffic(_platform(), _shard(1), _shard(0))

    assert ["a", "b"] == list(found.shards)
    assert [True, False] == [slot_of(found.shards[letter]) < 8192 for letter in "ab"]
    assert 4 == len(found.cache_nodes)
    assert {"tls": False, "ca": ""} == found.cache_manner


def test_encrypted_cache_is_spoken_to_as_it_wants() -> None:
    platform = _platform(redis={"replication_group": GROUP, "secret": "redis", "ca": "cache.pem"})
    platform._cache_login = Login("default", Path("/state/run.cache.secret"))
    found = _traffic(platform, _shard(0, tls=True))

    assert {
        "tls": True, "ca": "cache.pem", "user": "default", "secret_file": "/state/run.cache.secret",
    } == found.cache_manner  # fmt: skip


@pytest.mark.parametrize("change", [{"clustered": False}, {"slots": ""}])
def test_cache_that_is_no_cluster_is_not_written_to_and_stays_promised(change: dict[str, Any]) -> None:
    platform = _platform()

    assert [] == list(_traffic(platform, _shard(0, **change)).cache_nodes)
    assert "redis" in platform.takes


@pytest.mark.parametrize(
    ("settings", "takes"),
    [
        ({}, ["mysql", "redis", "redis-wait"]),
        ({"redis": None}, ["mysql"]),
        ({"api": "https://staging.example.com"}, ["uploads", "mysql", "redis", "redis-wait"]),
    ],
)
def test_clients_write_to_what_is_configured(settings: dict[str, Any], takes: list[str]) -> None:
    assert takes == list(_platform(**settings).takes)


@pytest.mark.parametrize(
    ("options", "settings", "words"),
    [
        ({"durability": "weaker"}, {}, "cannot be weakened"),
        ({"lab": "mine"}, {}, "has no lab 'mine'"),
        ({}, {"mysql": {"cluster": "ft"}}, "does not say who writes to its database"),
        ({}, {"mysql": None}, "does not say who writes to its database"),
    ],
)
def test_what_cannot_be_is_refused_before_aws_is_asked(
    options: dict[str, Any], settings: dict[str, Any], words: str
) -> None:
    platform = _platform(Options(environment="staging", **options), **settings)

    with pytest.raises(Invalid, match=words):
        platform.targets()
    with pytest.raises(Invalid, match=words):
        platform.harm("fail_mysql_primary", {})


def test_only_one_run_at_a_time_is_in_an_account_a_region_and_an_environment() -> None:
    assert "aws.111122223333.us-east-1.staging" == _platform().lock_name
