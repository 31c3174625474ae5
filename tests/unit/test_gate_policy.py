"""A policy is read without trust: what is wrong in it is refused with its line and its key, and nothing executes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from ftchaos.errors import Invalid
from ftchaos.gate import policy

WHOLE = """\
title: Nothing goes on that was not proven
objectives: {rto: 4h, rpo: 15m}
clock_skew: 2m
signed_by: [key-1]
longest_waiver: 14d
requirements:
  - run: drill/restore
    max_age: 31d
    environment: staging
    platform: aws
    commit: same
    image: same
    recovery_time: 50%
    data_loss: 30s
    lost: 0
    passes: 3
    success_rate: 50%
  - name: game-day
    run: gameday/quarterly
    every: 90d
    waivable: false
waivers:
  - requirement: restore
    person: A. Person
    reason: moved
    until: 2026-12-31
"""


def load(tmp_path: Path, text: str) -> policy.Loaded:
    (tmp_path / "gate.yaml").write_text(text)
    return policy.load(tmp_path / "gate.yaml")


def refusal(tmp_path: Path, text: str) -> str:
    with pytest.raises(Invalid) as error:
        load(tmp_path, text)
    return str(error.value)


def load_or_refusal(tmp_path: Path, text: str) -> str:
    try:
        assert load(tmp_path, text).policy.requirements
    except Invalid as error:
        return str(error)
    return ""


def test_every_key_is_understood(tmp_path: Path) -> None:
    found = load(tmp_path, WHOLE).policy

    restore, day = found.requirements
    assert (restore.title, restore.max_age, restore.passes, restore.needed) == ("restore", 31 * 86400, 3, 5)
    assert restore.recovery_time is not None
    assert restore.recovery_time.limit_s(14400) == 7200
    assert restore.data_loss is not None
    assert restore.data_loss.limit_s(900) == 30
    assert restore.data_loss.limit_s(10) == 10
    assert (day.title, day.every, day.waivable) == ("game-day", 90 * 86400, False)
    assert (found.objectives.rto, found.clock_skew, found.longest_waiver) == (14400, 120, 14 * 86400)


@pytest.mark.parametrize("text", ["", "# nothing\n", "{}\n", "requirements: []\n", "requirements:\n", "title: x\n"])
def test_an_empty_policy_is_refused(tmp_path: Path, text: str) -> None:
    assert "gate.yaml" in refusal(tmp_path, text)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("    max_age: 31d\n", "", "line 7, requirements.0: neither 'max_age' nor 'every' is given"),
        ("max_age: 31d", "max_age: 31 days", "line 8, requirements.0.max_age: '31 days' is not a duration"),
        ("max_age: 31d", "max_age: 0s", "line 8, requirements.0.max_age: '0s' is no length of time that can pass"),
        ("max_age: 31d", "max_age: .nan", "line 8, requirements.0.max_age"),
        ("max_age: 31d", "max_age: 99999999d", "line 8, requirements.0.max_age"),
        ("max_age: 31d", "max_agee: 31d", "line 8, requirements.0.max_agee: unknown key 'max_agee'"),
        ("run: drill/restore", "run: restore", "line 7, requirements.0.run"),
        ("run: drill/restore", "run: drill/../x", "line 7, requirements.0.run"),
        ("platform: aws", "platform: moon", "line 10, requirements.0.platform"),
        ("commit: same", "commit: 2508e40", "line 11, requirements.0.commit: this is no commit"),
        ("commit: same", "commit: 1234567", "line 11, requirements.0.commit: this is no commit"),
        ("image: same", "image: app:latest", "line 12, requirements.0.image: this is no image"),
        ("recovery_time: 50%", "recovery_time: 150%", "line 13, requirements.0.recovery_time"),
        ("recovery_time: 50%", "recovery_time: 0.5", "line 13, requirements.0.recovery_time: '0.5' is no margin"),
        ("recovery_time: 50%", "recovery_time: [50%]", "line 13, requirements.0.recovery_time"),
        ("lost: 0", "lost: true", "line 15, requirements.0.lost"),
        ("lost: 0", "lost: -1", "line 15, requirements.0.lost"),
        ("passes: 3", "passes: 0", "line 16, requirements.0.passes"),
        ("passes: 3", "passes: 1000000", "line 16, requirements.0.passes"),
        ("success_rate: 50%", "success_rate: 100%", "no number of passes proves 100 %"),
        ("success_rate: 50%", "success_rate: 99.99%", "more than 1000 passes in a row"),
        ("name: game-day", "name: restore", "line 18, requirements.1.name: the name 'restore' is taken"),
        ("name: game-day", "name: no-open-harm", "it is required in any case"),
        ("waivable: false", "waivable: maybe", "line 21, requirements.1.waivable"),
        ("requirement: restore", "requirement: other", "line 23, waivers.0.requirement: no requirement is called"),
        ("requirement: restore", "requirement: game-day", "'game-day' cannot be waived"),
        ("person: A. Person", "person: ' '", "line 24, waivers.0.person"),
        ("    reason: moved\n", "", "the key 'reason' is missing"),
        ("until: 2026-12-31", "until: 2026-02-31", "line 26: '2026-02-31' is a value that YAML cannot read"),
        ("until: 2026-12-31", "until: '2026-02-31'", "line 26, waivers.0.until: '2026-02-31' is no date"),
        ("until: 2026-12-31", "until: 1800000000", "line 26, waivers.0.until: '1800000000' is no date"),
        ("until: 2026-12-31", "until: 2026-12-31T10:00:00Z", "line 26, waivers.0.until"),
        ("until: 2026-12-31", "until: never", "line 26, waivers.0.until: 'never' is no date"),
        ("longest_waiver: 14d", "forbid_waivers: true", "line 23, waivers.0: the policy forbids waivers"),
        ("clock_skew: 2m", "clock_skew: ''", "line 3, clock_skew"),
        ("title: Nothing", "colour: red\ntitle: Nothing", "line 1, colour: unknown key 'colour'"),
        ("rto: 4h", "rto: 4h, rto: 5h", "the key 'rto' stands twice"),
        ("lost: 0", f"lost: 0x{'f' * 9000}", "line 15: a number or a date of more than 40 characters"),
        ("title: Nothing", "? [a]\n: b\ntitle: Nothing", "a key must be a plain word"),
        ("title: Nothing", "a: &a [x]\nb: *a\ntitle: Nothing", "anchors and aliases are not accepted"),
        ("title: Nothing", "a: !!python/object/apply:os.system [id]\ntitle: Nothing", "line 1"),
        ("title: Nothing", f"a: {'[' * 500}{']' * 500}\ntitle: Nothing", "nested too deeply"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_its_line(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert old in WHOLE

    assert said in refusal(tmp_path, WHOLE.replace(old, new, 1)).replace("\n", " ")


def test_a_waiver_stands_once(tmp_path: Path) -> None:
    twice = WHOLE + "  - {requirement: restore, person: B, reason: c, until: 2026-12-31}\n"

    assert "line 27, waivers.1.requirement: 'restore' is waived twice" in refusal(tmp_path, twice)


def test_a_hostile_key_moves_no_cursor(tmp_path: Path) -> None:
    assert "\x1b" not in refusal(tmp_path, '"\\e[31m": 1\n' + WHOLE)


@pytest.mark.parametrize(
    ("commit", "image", "said"),
    [
        ("", "sha256:" + "ab" * 32, "the commit is not known"),
        ("ab" * 20, "", "the image is not known"),
        ("2508e40", "sha256:" + "ab" * 32, "'2508e40' is not a whole commit"),
        ("ab" * 20, "app:latest", "has no digest"),
    ],
)
def test_a_question_must_say_what_the_policy_asks_about(tmp_path: Path, commit: str, image: str, said: str) -> None:
    with pytest.raises(Invalid, match=said):
        policy.ensure_answerable(load(tmp_path, WHOLE), commit, image)


SCALARS = some.none() | some.booleans() | some.integers() | some.floats() | some.text(max_size=30) | some.dates()
KEYS = some.sampled_from([*policy.Policy.model_fields, *policy.Requirement.model_fields, *policy.Waiver.model_fields])
ANYTHING = some.recursive(
    SCALARS,
    lambda inner: some.lists(inner, max_size=4) | some.dictionaries(KEYS | some.text(max_size=8), inner, max_size=5),
    max_leaves=12,
)


@given(some.dictionaries(KEYS, ANYTHING, max_size=6))
@settings(max_examples=120, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_document_is_a_policy_or_refused(tmp_path: Path, document: dict[str, Any]) -> None:
    assert load_or_refusal(tmp_path, yaml.safe_dump(document, allow_unicode=True)).replace("\n", "").isprintable()


@given(some.data())
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_a_policy_with_anything_in_one_place_is_a_policy_or_refused(tmp_path: Path, data: some.DataObject) -> None:
    document = yaml.safe_load(WHOLE)
    part: Any = data.draw(some.sampled_from([document, document["requirements"][0], document["waivers"][0]]))
    part[data.draw(some.sampled_from(sorted(part)) | some.text(max_size=8))] = data.draw(ANYTHING)

    assert load_or_refusal(tmp_path, yaml.safe_dump(document, allow_unicode=True)).replace("\n", "").isprintable()


@given(some.binary(max_size=200) | some.text(max_size=200).map(str.encode))
@settings(max_examples=120, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_bytes_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "gate.yaml").write_bytes(content)

    with pytest.raises(Invalid) as error:
        policy.load(tmp_path / "gate.yaml")
    assert str(error.value).replace("\n", "").isprintable()
