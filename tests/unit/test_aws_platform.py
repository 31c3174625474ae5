"""What services say of themselves, by the component that it is of; and what a secret may hold."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ftchaos import notes
from ftchaos.clock import now
from ftchaos.errors import StepFailed
from ftchaos.platforms import login
from ftchaos.platforms.aws import events, heals, secrets
from ftchaos.undo import UndoLog, is_fault

ARN = "arn:aws:secretsmanager:us-east-1:111122223333:secret:staging-a1b2c3"


class Answers:
    """What calls are answered with; stands where no service can be made to say these words."""

    def __init__(self, **answers: Any) -> None:
        self._answers = answers

    def pages(self, service: str, operation: str, key: str, **parameters: Any) -> Iterator[dict[str, Any]]:
        return iter(self._answers[service])

    def client(self, service: str) -> Any:
        return self

    def ensure_ours(self, arn: str) -> str:
        return arn

    def get_secret_value(self, SecretId: str) -> dict[str, str]:
        return {"ARN": ARN, "SecretString": self._answers[SecretId]}


def _event(source: str, message: str) -> dict[str, Any]:
    return {"SourceIdentifier": source, "Message": message, "Date": datetime.now(UTC)}


@pytest.mark.parametrize(
    ("message", "name"),
    [
        ("Multi-AZ instance failover started.", "detected"),
        ("Started cross AZ failover to DB instance: b", "detected"),
        ("Multi-AZ instance failover completed", "promoted"),
        ("Multi-AZ failover to standby complete - DNS propagation may take a few minutes", "promoted"),
        ("Completed failover to DB instance: b", "promoted"),
    ],
)
def test_failovers_of_a_database_are_marked(message: str, name: str) -> None:
    said = Answers(rds=[_event("a", message), _event("a", "Backing up DB instance"), _event("strange", message)])
    (found,) = events.read(said, {"a": "database"}, {}, now() - 1)  # type: ignore[arg-type]

    assert ("database", name, f"a: {message}") == (found.component, found.name, found.detail)


def test_failovers_of_a_cache_are_those_of_the_shard_and_told_once() -> None:
    message = "Failover from primary node g-0002-001 to replica node g-0002-002 completed"
    said = Answers(rds=[], elasticache=[_event("g-0002-001", message), _event("g", message)])
    (found,) = events.read(said, {}, {"g-0002-001": "cache-b", "g-0002-002": "cache-b"}, now() - 1)  # type: ignore[arg-type]

    assert ("cache-b", "promoted") == (found.component, found.name)


def test_what_was_said_before_the_fault_is_left_out() -> None:
    said = Answers(rds=[_event("a", "Multi-AZ instance failover started.")])

    assert [] == events.read(said, {"a": "database"}, {}, now() + 60)  # type: ignore[arg-type]


def test_password_lies_in_a_file_of_our_own_until_it_is_healed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FTCHAOS_STATE", str(tmp_path))
    log = notes.undo_log("run")
    log.parent.mkdir()
    undo = UndoLog(log)
    secret = json.dumps({"username": "ftchaos", "password": "sesame", "host": "x"})
    account = secrets.read(Answers(mysql=secret), "mysql")  # type: ignore[arg-type]
    kept = login.keep(account, "database", "run", "aws", undo)

    assert ("ftchaos", "sesame") == (kept.user, kept.password)
    assert 0o600 == kept.file.stat().st_mode & 0o777
    assert "sesame" not in log.read_text()
    assert "sesame" not in repr(account)
    (record,) = undo.records()
    assert not is_fault(record)
    assert ["the password was removed"] * 2 == [heals.heal(record), heals.heal(record)]
    assert not kept.file.exists()


@pytest.mark.parametrize("text", ["", "swordfish", '{"password": "swordfish"}', '["swordfish"]', "{swordfish"])
def test_secret_that_holds_no_account_is_not_repeated(text: str) -> None:
    with pytest.raises(StepFailed) as raised:
        secrets.read(Answers(mysql=text), "mysql")  # type: ignore[arg-type]

    assert "swordfish" not in f"{raised.value}{raised.value.__cause__}"


@pytest.mark.parametrize(
    ("text", "user"), [("a word", ""), ('{"password": "a word"}', ""), ('{"username": "u", "password": "a word"}', "u")]
)
def test_secret_of_a_cache_may_be_its_password_alone(text: str, user: str) -> None:
    found = secrets.read(Answers(redis=text), "redis", bare=True)  # type: ignore[arg-type]

    assert (user, "a word") == (found.user, found.password)
