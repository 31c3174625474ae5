"""The record keeps what happened through crashes and many writers, and is computed into the same day again."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import gameday_samples as samples
import jsonschema
import pytest
from gameday_samples import world
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ftchaos import verification
from ftchaos.errors import Inconclusive, Invalid
from ftchaos.evidence import Evidence
from ftchaos.gameday import day as days
from ftchaos.gameday import folder, page, record
from ftchaos.gameday.live import Note
from ftchaos.gameday.record import Record
from ftchaos.report import markdown


def test_many_people_write_at_one_time(tmp_path: Path) -> None:
    def speak(name: str) -> None:
        for number in range(20):
            Record(tmp_path).append("note", by=name, text=f"{number}")

    threads = [threading.Thread(target=speak, args=[name]) for name in ("Ada", "Bob", "Eve")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    said = [(entry.by, int(entry.text)) for entry in Record(tmp_path).entries()]
    assert len(said) == 60
    assert [number for name, number in said if name == "Ada"] == list(range(20))


@pytest.mark.parametrize("torn", [b'{"at": "2026', b"\x00" * 70000, b"{"])
def test_a_torn_line_is_passed_over_and_taken_away(tmp_path: Path, torn: bytes) -> None:
    kept = Record(tmp_path)
    kept.append("note", text="one")
    with kept.path.open("ab") as stream:
        stream.write(torn)

    assert ["one"] == [entry.text for entry in Record(tmp_path).entries()]
    kept.append("note", text="two")
    assert ["one", "two"] == [entry.text for entry in kept.entries()]


def test_a_disk_that_is_full_loses_nothing_that_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Record(tmp_path)
    kept.append("note", text="one")
    before = kept.path.read_bytes()
    real = record.os.pwrite
    monkeypatch.setattr(record.os, "pwrite", lambda fd, line, at: real(fd, line[:10], at))

    with pytest.raises(Inconclusive, match="no space left"):
        kept.append("note", text="two")

    assert kept.path.read_bytes() == before


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.binary(max_size=200)
    | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(lambda v: json.dumps(v).encode())
)
def test_a_record_from_a_stranger_is_refused_with_its_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / record.FILE).write_bytes(content + b"\n")

    with pytest.raises(Invalid, match="line 1"):
        Record(tmp_path).entries()


def test_a_deep_line_is_refused(tmp_path: Path) -> None:
    (tmp_path / record.FILE).write_bytes(b"[" * 100_000 + b"\n")

    with pytest.raises(Invalid, match="line 1"):
        Record(tmp_path).entries()


PART_RUN = "20261123T090001Z-zone-outage-0001"
HOSTILE = "<script>alert(1)</script>\x1b[2J [x](javascript:alert(1)) | `${{ secrets.X }}`"


def _complete(tmp_path: Path) -> tuple[samples.World, Note]:
    """A day that people filled with hostile words, complete on disk."""
    where = tmp_path / "reports" / samples.RUN_ID
    where.mkdir(parents=True)
    here = world(where)
    for what in ("note", "lesson", "action"):
        here.watch.at(5, lambda what=what: here.record.append(what, by=HOSTILE, text=HOSTILE, owner=HOSTILE) and None)  # type: ignore[misc]
    here.results = {
        "zone-outage": samples.result(
            "passed",
            summary=HOSTILE,
            fault=HOSTILE,
            recovery_time_s=3.2,
            lost=0,
            run_id=PART_RUN,
            manifest_sha256="a" * 64,
        )
    }
    here.play()
    note = Note(samples.RUN_ID, str(where), "sample", str(tmp_path / "reports"))
    folder.complete(note)
    return here, note


def test_the_day_is_evidence_that_the_schemas_accept(tmp_path: Path) -> None:
    here, note = _complete(tmp_path)

    day = json.loads((here.folder / "gameday.json").read_text())
    jsonschema.validate(day, days.schema())
    found = Evidence.model_validate_json((here.folder / "evidence.json").read_text())
    assert (found.kind, found.name, found.verdict) == ("gameday", "sample", "passed")
    assert "4" not in found.summary.partition(" of ")[0]
    assert found.summary.startswith("3 of 3 parts of sample passed in lab; recovery times: zone-outage 3.2 s")
    assert folder.conclude(here.folder) == found
    assert not note.path.exists()


def test_the_shipped_schema_is_that_of_the_models() -> None:
    assert days.SCHEMA_FILE.read_text() == days.schema_text()


def test_completing_a_day_twice_changes_nothing(tmp_path: Path) -> None:
    here, note = _complete(tmp_path)
    before = {path.name: path.read_bytes() for path in here.folder.iterdir()}

    folder.complete(note)

    assert {path.name: path.read_bytes() for path in here.folder.iterdir()} == before


def test_nothing_escapes_into_the_reports(tmp_path: Path) -> None:
    here, _ = _complete(tmp_path)

    html = (here.folder / "report.html").read_text()
    assert "<script" not in html
    assert "alert(1)" in html
    written = (here.folder / "report.md").read_text()
    assert "<script" not in written.replace("\\<", "")
    assert "](javascript:" not in written.replace("\\]", "")
    for name in ("report.html", "report.md", "junit.xml"):
        assert "\x1b" not in (here.folder / name).read_text()
    assert markdown.safe("|") in written


def test_verify_computes_the_day_again(tmp_path: Path) -> None:
    here, _ = _complete(tmp_path)

    assert [] == verification.verify(here.folder)
    for name, words in (
        ("evidence.json", "exit_code = 1, the raw data says 0"),
        ("gameday.json", "gameday.json says otherwise"),
    ):
        path = here.folder / name
        before = path.read_text()
        path.write_text(
            before.replace('"exit_code": 0', '"exit_code": 1', 1)
            .replace('"verdict": "passed"', '"verdict": "failed"', 1)
            .replace('"reasons": []', '"reasons": ["x"]', 1)
        )

        assert words in "\n".join(verification.recomputed(here.folder))
        path.write_text(before)


def test_a_part_that_was_exchanged_shows(tmp_path: Path) -> None:
    here, _ = _complete(tmp_path)
    other = tmp_path / "reports" / PART_RUN
    other.mkdir()
    (other / "manifest.json").write_text("{}")

    assert [f"zone-outage: the run {PART_RUN} is not the one that the day saw"] == verification.recomputed(here.folder)


def test_a_record_or_plan_that_was_altered_shows(tmp_path: Path) -> None:
    here, _ = _complete(tmp_path)
    plan = here.folder / "plan.yaml"
    plan.write_text(plan.read_text().replace("2h", "3h"))

    with pytest.raises(Invalid, match="is not the plan that"):
        folder.conclude(here.folder)


def test_the_page_stays_small(tmp_path: Path) -> None:
    here = world(tmp_path)
    for number in range(900):
        here.record.append("note", by="Ada", text=f"{number} " + "long " * 390)
    here.play()
    day = days.of(here.loaded, here.record.entries())

    assert len(page.html(day).encode()) < 500_000
    assert len(page.markdown(day)) < 200_000
