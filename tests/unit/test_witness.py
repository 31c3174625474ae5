"""Proof of effect from what a witness wrote: only damage that it saw happen counts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ftchaos.errors import Inconclusive, Invalid
from ftchaos.witness import Observation, changes, load, proven_at, read, seen_down

UP_BEFORE = [Observation(1.0, "mysql-a", True, "answered"), Observation(1.0, "mysql-b", True, "answered")]


def down(target: str, at: float) -> Observation:
    return Observation(at, target, False, "Connection refused")


def test_fault_is_proven_when_its_target_is_seen_to_go_down() -> None:
    assert 5.1 == proven_at([*UP_BEFORE, down("mysql-a", 5.1)], ["mysql-a"], 5.0)


def test_fault_of_several_targets_is_proven_when_the_last_is_down() -> None:
    seen = [*UP_BEFORE, down("mysql-b", 5.1), down("mysql-a", 5.4)]

    assert 5.4 == proven_at(seen, ["mysql-a", "mysql-b"], 5.0)


def test_target_that_came_back_at_once_was_still_down() -> None:
    seen = [*UP_BEFORE, down("mysql-a", 5.1), Observation(5.3, "mysql-a", True, "answered"), down("mysql-a", 9.0)]

    assert 5.1 == proven_at(seen, ["mysql-a"], 5.0)


@pytest.mark.parametrize(
    ("seen", "targets"),
    [
        pytest.param(UP_BEFORE, ["mysql-a"], id="nothing happened"),
        pytest.param([*UP_BEFORE, down("mysql-b", 5.1)], ["mysql-a"], id="another one went down"),
        pytest.param([*UP_BEFORE, down("mysql-a", 5.1)], ["mysql-a", "mysql-b"], id="only one went down"),
        pytest.param([*UP_BEFORE, down("mysql-a", 4.9)], ["mysql-a"], id="it was down before"),
        pytest.param(
            [*UP_BEFORE, down("mysql-a", 4.9), Observation(6.0, "mysql-a", False, "heartbeat")],
            ["mysql-a"],
            id="it was down before and stayed down",
        ),
        pytest.param([down("mysql-a", 5.1)], ["mysql-a"], id="it was never seen up"),
        pytest.param(
            [down("mysql-a", 1.0), Observation(5.2, "mysql-a", True, "answered"), down("mysql-a", 5.5)],
            ["mysql-a"],
            id="it was seen up only after the fault",
        ),
        pytest.param([*UP_BEFORE, down("mysql-a", 5.1)], [], id="no targets"),
        pytest.param([], ["mysql-a"], id="no observations"),
    ],
)
def test_fault_is_not_proven_where(seen: list[Observation], targets: list[str]) -> None:
    assert proven_at(seen, targets, 5.0) is None


LINES = [
    {"at": 1.5, "target": "mysql-a", "up": True, "saw": "answered"},
    {"at": 2.0, "up": {"mysql-a": True, "mysql-b": False}},
]


def test_damage_lasts_from_when_its_last_target_went_down_to_when_each_was_last_seen_to_be() -> None:
    up = Observation(6.0, "mysql-a", True, "answered")
    seen = [*UP_BEFORE, down("mysql-a", 5.1), up, down("mysql-a", 6.5), down("mysql-a", 7.0), down("mysql-b", 5.2)]
    seen += [Observation(9.0, "mysql-b", False, "heartbeat")]

    assert (6.5, 7.0) == seen_down(seen, ["mysql-a", "mysql-b"])
    assert (5.2, 9.0) == seen_down(seen, ["mysql-b"])
    assert [None] * 3 == [seen_down(seen[:4], ["mysql-a"]), seen_down(seen, ["mysql-c"]), seen_down(seen, [])]


def test_lines_are_read_back(tmp_path: Path) -> None:
    file = tmp_path / "witness.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in LINES))

    seen = read(file)

    assert [True, True, False] == [one.up for one in seen]
    assert [Observation(1.5, "mysql-a", True, "answered")] == changes(seen)


def test_line_that_was_cut_off_is_left_out(tmp_path: Path) -> None:
    file = tmp_path / "witness.jsonl"
    file.write_text(json.dumps(LINES[0]) + "\n" + '{"at": 2.0, "up": {"my')

    assert 1 == len(read(file))


def test_no_file_is_no_observation(tmp_path: Path) -> None:
    assert [] == read(tmp_path / "witness.jsonl")


@pytest.mark.parametrize("content", [b"nonsense\n", b'{"at": 1}\n', b"[1]\n", b"\xff\xfe\n"])
def test_file_of_something_else_is_an_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "witness.jsonl").write_bytes(content)

    with pytest.raises(Inconclusive):
        read(tmp_path / "witness.jsonl")


@pytest.mark.parametrize(
    "config",
    [
        "nonsense",
        "{}",
        '{"observations": "x", "targets": ["a"]}',
        '{"observations": "x", "targets": {"a": {"host": "h"}}}',
        '{"observations": "x", "targets": {"a": {"host": "h", "port": 1, "kind": "carrier pigeon"}}}',
        '{"observations": "x", "targets": {"a": {"host": "h", "port": 1, "kind": "sql"}}}',
        '{"observations": "x", "targets": {"a": {"host": "h", "port": 1, "kind": "sql", "sql": "SELECT 1"}}}',
        '{"observations": "x", "targets": {"a": {"host": "h", "port": 1, "kind": "redis", "command": "PING"}}}',
        '{"observations": "x", "targets": {"a": {"host": "h", "port": 1, "kind": "redis", "command": "A", "matches": "("}}}',  # noqa: E501
    ],
)
def test_configuration_that_cannot_be_used_is_an_error(tmp_path: Path, config: str) -> None:
    (tmp_path / "config.json").write_text(config)

    with pytest.raises(Invalid):
        load(tmp_path / "config.json")


def test_question_is_made_of_its_keys(tmp_path: Path) -> None:
    where = {"host": "h", "port": 1}
    targets = {
        "a": {**where, "kind": "sql", "sql": "SELECT 1", "user": "u", "secret_file": "s"},
        "b": {**where, "kind": "redis", "command": "PING", "matches": "PONG"},
        "c": where,
    }
    (tmp_path / "config.json").write_text(json.dumps({"observations": "x", "targets": targets}))

    _, found, _ = load(tmp_path / "config.json")

    assert [True, True, False] == [one.question() is not None for one in found]
