"""The way to AWS: never another account or endpoint, one boundary for what goes wrong, every call recorded."""

from __future__ import annotations

import dataclasses
import socket
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ftchaos.errors import FtchaosError, Inconclusive, Invalid, Refused
from ftchaos.platforms.aws.access import Access, ApiFailed, Call, NotOffered, Place, Unanswered


@pytest.fixture
def only_calls_of_the_table() -> None:
    """These tests make whatever call shows what they want to see."""


def test_another_account_is_refused_before_any_client_is_given_out(place: Place) -> None:
    access = Access(dataclasses.replace(place, account="999999999999"))

    with pytest.raises(Refused, match="of the account 123456789012"):
        access.client("rds")
    assert ["GetCallerIdentity"] == [call.operation for call in access.calls]


def test_endpoint_that_is_elsewhere_is_refused(place: Place) -> None:
    for endpoint in ("http://10.0.0.1:5000", "http://moto:5000", "https://sts.amazonaws.com", "127.0.0.1:5000"):
        with pytest.raises(Refused, match="not on this machine"):
            Access(dataclasses.replace(place, endpoint=endpoint))


@pytest.mark.parametrize("variable", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_STS"])
def test_endpoint_of_the_sdk_is_not_followed(place: Place, monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    monkeypatch.setenv(variable, place.endpoint)
    access = Access(dataclasses.replace(place, endpoint=""))

    with pytest.raises(Refused, match="is not AWS itself"):
        access.client("rds")
    assert [] == access.calls


def test_endpoint_of_the_sdk_for_one_service_is_not_followed(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_RDS", "http://192.0.2.1:5000")

    assert [] == Access(place).client("rds").describe_db_instances()["DBInstances"]


def test_request_that_is_led_elsewhere_is_not_sent(access: Access) -> None:
    client = access.client("rds")

    def lead_elsewhere(request: Any, **_: Any) -> None:
        request.url = "https://rds.us-east-1.amazonaws.com/"

    client.meta.events.register_first("before-send", lead_elsewhere)
    with pytest.raises(Refused, match="not on this machine"):
        client.describe_db_instances()


def test_role_of_another_account_is_refused_without_a_call(place: Place) -> None:
    with pytest.raises(Refused, match="not of the account"):
        Access(dataclasses.replace(place, role="arn:aws:iam::999999999999:role/ftchaos"))


def test_role_is_assumed_and_refreshed(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    access = Access(dataclasses.replace(place, role=f"arn:aws:iam::{place.account}:role/ftchaos"))
    client = access.client("sts")
    assert "assumed-role/ftchaos/ftchaos" in client.get_caller_identity()["Arn"]
    credentials = access._session.get_credentials()
    before = credentials.access_key
    later = datetime.now(UTC) + timedelta(minutes=55)
    monkeypatch.setattr("botocore.credentials._local_now", lambda: later)
    monkeypatch.setattr(credentials, "_time_fetcher", lambda: later)
    client.get_caller_identity()

    assert before != credentials.access_key
    assert 2 <= sum(call.operation == "AssumeRole" for call in access.calls)


@pytest.mark.parametrize(
    "arn",
    [
        "arn:aws:rds:us-east-1:999999999999:db:a", "arn:aws:rds:eu-west-1:123456789012:db:a",
        "arn:aws:s3:::bucket", "db-a", "arn:other:rds:us-east-1:123456789012:db:a",
    ],
)  # fmt: skip
def test_what_is_not_ours_is_refused(access: Access, arn: str) -> None:
    with pytest.raises(Refused):
        access.ensure_ours(arn)


def test_what_is_ours_is_given_back(access: Access) -> None:
    arn = "arn:aws:rds:us-east-1:123456789012:db:a"

    assert arn == access.ensure_ours(arn)
    copied = arn.replace("us-east-1", "us-west-2")
    assert copied == access.ensure_ours(copied, region="us-west-2")


def test_each_call_is_recorded_without_its_parameters(place: Place) -> None:
    told: list[Call] = []
    access = Access(place, told.append)
    with pytest.raises(ApiFailed) as failure:
        access.client("rds").describe_db_instances(DBInstanceIdentifier="none-of-this-name")

    assert told == access.calls
    assert [("sts", "GetCallerIdentity", ""), ("rds", "DescribeDBInstances", "DBInstanceNotFound")] == [
        (call.service, call.operation, call.error) for call in told
    ]
    assert all(call.region == "us-east-1" and call.request_id for call in told)
    assert failure.value.is_absent
    assert failure.value.request_id == told[-1].request_id
    assert "none-of-this-name" not in repr(told)


@pytest.mark.parametrize(
    ("service", "operation", "parameters"),
    [
        ("elasticache", "test_failover", {"ReplicationGroupId": "a", "NodeGroupId": "0001"}),
        ("fis", "list_actions", {}),
        ("backup", "list_restore_jobs", {}),
        ("arc-zonal-shift", "list_zonal_shifts", {}),
    ],
)
def test_call_that_the_endpoint_lacks_is_named(
    access: Access, service: str, operation: str, parameters: dict[str, Any]
) -> None:
    with pytest.raises(NotOffered, match="does not offer this call"):
        getattr(access.client(service, once=True), operation)(**parameters)


def test_wrong_parameters_fail_before_anything_is_sent(access: Access) -> None:
    client = access.client("rds")
    before = len(access.calls)

    with pytest.raises(ApiFailed, match="ParamValidation"):
        client.reboot_db_instance(ForceFailover="yes")
    assert before == len(access.calls)


def test_profile_that_does_not_exist_is_invalid(place: Place) -> None:
    with pytest.raises(Invalid, match="no way to AWS"):
        Access(dataclasses.replace(place, profile="nobody"))


def test_missing_credentials_are_invalid(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")

    with pytest.raises(Invalid, match="no way to AWS"):
        Access(place).ensure_right_place()


def test_all_pages_are_read(access: Access, place: Place) -> None:
    client = access.client("rds")
    for number in range(23):
        client.create_db_instance(
            DBInstanceIdentifier=f"db-{number}", DBInstanceClass="db.t3.small", Engine="mysql", AllocatedStorage=20,
            MasterUsername="admin", MasterUserPassword="not-a-secret",
        )  # fmt: skip
    found = access.pages("rds", "describe_db_instances", "DBInstances", PaginationConfig={"PageSize": 20})

    assert 23 == len(list(found))
    assert 2 == sum(call.operation == "DescribeDBInstances" for call in access.calls)


def test_place_survives_an_undo_record(place: Place) -> None:
    assert place == Place.from_json(place.to_json())
    with pytest.raises(Invalid):
        Place.from_json({"zone": "a"})


def test_silence_is_inconclusive_and_a_call_that_acts_is_never_made_twice(
    access: Access, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        asked: list[int] = []

        def hang_up() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                asked.append(1)
                connection.recv(4096)
                connection.close()

        threading.Thread(target=hang_up, daemon=True).start()
        access._is_right = True
        object.__setattr__(access.place, "endpoint", f"http://127.0.0.1:{listener.getsockname()[1]}")
        with pytest.raises(Unanswered, match="whether it took effect is not known"):
            access.client("rds", once=True).reboot_db_instance(DBInstanceIdentifier="a", ForceFailover=True)

        assert [1] == asked


def test_waiting_bears_with_throttling_and_ends_at_its_deadline(access: Access) -> None:
    answers: list[str | FtchaosError] = [
        ApiFailed("rds:DescribeDBInstances", "Throttling", "rate exceeded"), "creating", "available",
    ]  # fmt: skip

    def ask() -> str:
        answer = answers.pop(0)
        if isinstance(answer, FtchaosError):
            raise answer
        return answer

    assert "available" == access.until(ask, lambda status: status == "available", 5, "the copy", 0.001)
    with pytest.raises(Inconclusive, match=r"the copy not within 0\.01 s"):
        access.until(lambda: "creating", lambda status: status == "available", 0.01, "the copy", 0.001)
    with pytest.raises(ApiFailed):
        access.until(_absent, bool, 5, "the copy")


def _absent() -> str:
    raise ApiFailed("rds:DescribeDBInstances", "DBInstanceNotFound", "no such thing")
