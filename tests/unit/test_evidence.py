"""Evidence is valid against its published schema, bounded, free of secrets, and written whole or not at all."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest
import samples
from pydantic import ValidationError

from ftchaos import evidence
from ftchaos.errors import Invalid
from ftchaos.evidence import Data, Evidence, Recovery, Step, System


def test_the_shipped_schema_is_the_one_that_the_models_give() -> None:
    assert evidence.SCHEMA_FILE.read_text() == evidence.schema_text()


@pytest.mark.parametrize("sample", samples.ALL.values(), ids=samples.ALL.keys())
def test_every_kind_of_run_validates_against_the_shipped_schema(sample: Callable[[], Evidence], tmp_path: Path) -> None:
    evidence.write(sample(), tmp_path)

    written = json.loads((tmp_path / "evidence.json").read_text())
    validator = jsonschema.Draft202012Validator(evidence.schema())
    validator.check_schema(evidence.schema())
    validator.validate(written)
    assert written["schema"] == "ftchaos.evidence/1"


def test_the_keys_that_others_rely_on_are_there(tmp_path: Path) -> None:
    evidence.write(samples.passed(), tmp_path)

    written = json.loads((tmp_path / "evidence.json").read_text())
    assert {
        *("run_id", "kind", "name", "environment", "platform", "began_at", "ended_at", "verdict", "exit_code"),
        *("reasons", "objectives", "recovery", "data", "service", "witness", "undo", "system"),
    } <= set(written)
    assert {"fault_at", "proven_at", "detected_at", "restored_at", "recovery_time_s", "resolution_s", "phases"} <= set(
        written["recovery"]
    )
    assert {"attempted", "acknowledged", "failed", "indeterminate", "ok", "lost", "recovered", "unexpected",
            "duplicate", "corrupt", "recovery_point_at", "data_loss_s", "backup_age_s", "log_gap_s", "stores",
            "self_test"} <= set(written["data"])  # fmt: skip
    assert {"success_ratio", "p50_ms", "p95_ms", "p99_ms", "unavailable_s"} <= set(written["service"])


def test_what_is_written_reads_back_equal(tmp_path: Path) -> None:
    written = evidence.write(samples.passed(), tmp_path)

    assert evidence.read(tmp_path) == written


def test_nothing_but_the_file_itself_is_left_in_the_folder(tmp_path: Path) -> None:
    evidence.write(samples.passed(), tmp_path)

    assert [path.name for path in tmp_path.iterdir()] == ["evidence.json"]


def test_evidence_that_was_broken_after_it_was_made_is_not_written(tmp_path: Path) -> None:
    broken = samples.passed()
    broken.exit_code = 1

    with pytest.raises(Invalid, match="exit code"):
        evidence.write(broken, tmp_path)

    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("verdict", "code"), [("passed", 1), ("failed", 0), ("inconclusive", 0), ("inconclusive", 4)])
def test_a_verdict_goes_only_with_its_exit_codes(verdict: str, code: int) -> None:
    data = samples.failed().model_dump() | {"verdict": verdict, "exit_code": code}

    with pytest.raises(ValidationError, match="exit code"):
        Evidence.model_validate(data)


def test_a_run_that_passed_has_no_reasons_and_another_has_some() -> None:
    with pytest.raises(ValidationError, match="reasons"):
        Evidence.model_validate(samples.passed().model_dump() | {"reasons": ["no."]})
    with pytest.raises(ValidationError, match="reasons"):
        Evidence.model_validate(samples.failed().model_dump() | {"reasons": []})


def test_an_unknown_key_is_an_error_at_any_depth() -> None:
    data = samples.passed().model_dump()
    data["data"]["loss"] = 3

    with pytest.raises(ValidationError, match=r"data\.loss"):
        Evidence.model_validate(data)


@pytest.mark.parametrize("value", [math.nan, math.inf, -1.0])
def test_a_number_that_is_no_measurement_is_an_error(value: float) -> None:
    with pytest.raises(ValidationError):
        Recovery(recovery_time_s=value)


@pytest.mark.parametrize("instant", ["2026-11-23 06:15:02Z", "2026-11-23T06:15:02+01:00", "now"])
def test_an_instant_is_utc_or_an_error(instant: str) -> None:
    with pytest.raises(ValidationError):
        Recovery(fault_at=instant)


def test_long_texts_and_lists_are_cut_and_not_refused() -> None:
    step = Step(name="x", status="failed", error="e" * 5000)
    data = Data.model_validate({"lost_intervals": [{"writer": "w", "first": 1, "last": 1, "count": 1}] * 250})

    assert len(step.error) == 2000
    assert len(data.lost_intervals) == 100


def test_control_characters_do_not_reach_the_evidence() -> None:
    assert "\x1b" not in Step(name="x", status="failed", error="\x1b[31mred\x00 \ud800").error


def test_settings_named_like_secrets_are_hidden_at_any_depth() -> None:
    system = System.model_validate(
        {
            "ftchaos": "1",
            "settings": {
                "root_password": "hunter2", "api_key": "hunter2", "empty_token": "",
                "mysql": {"secret_file": "hunter2", "port": 3306}, "users": [{"Password": "hunter2"}],
            },
        }
    )  # fmt: skip

    text = system.model_dump_json()
    assert "hunter2" not in text
    assert "3306" in text


def test_settings_that_are_no_plain_values_are_kept_as_text() -> None:
    system = System.model_validate({"ftchaos": "1", "settings": {"a": [1, 2], "b": Path("x"), "c": math.nan}})

    assert system.settings == {"a": "[1, 2]", "b": "x", "c": "nan"}


def test_the_longest_evidence_within_the_bounds_is_still_valid(tmp_path: Path) -> None:
    evidence.write(samples.hostile(), tmp_path)

    jsonschema.validate(json.loads((tmp_path / "evidence.json").read_text()), evidence.schema())


def test_reading_a_folder_without_evidence_says_what_that_means(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="killed"):
        evidence.read(tmp_path)
