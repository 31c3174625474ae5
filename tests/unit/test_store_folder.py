"""The store in a folder: lists by its index, believes nothing, and sees whatever was done to runs."""

from __future__ import annotations

import dataclasses
import json
import random
import shutil
from pathlib import Path

import pytest
import samples
import stores
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ftchaos import evidence, manifest, state, store
from ftchaos.errors import Invalid
from ftchaos.store import annotation, index
from ftchaos.store.folder import FolderStore


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FTCHAOS_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def reports(tmp_path: Path) -> Path:
    stores.filled(tmp_path / "reports", 6)
    return tmp_path / "reports"


def _said(reports: Path) -> dict[str, list[str]]:
    return {name: problems for name, problems in FolderStore(reports).examine() if problems}


def test_runs_are_listed_newest_first_with_what_decisions_need(reports: Path) -> None:
    newest, *_, oldest = found = store.open(reports).summaries()

    assert len(found) == 6
    assert (newest.began_at, oldest.began_at) == ("2026-01-01T11:00:00.000Z", "2026-01-01T06:00:00.000Z")
    assert (oldest.verdict, oldest.lost, oldest.rto_s) == ("passed", 0, 14400)
    assert newest.previous_sha256 == found[1].manifest_sha256
    assert oldest.previous_sha256 == newest.signed_by == ""


def test_the_index_answers_without_the_evidence(reports: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = store.open(reports).summaries()
    monkeypatch.setattr(evidence, "read", lambda folder: pytest.fail(f"{folder} was read"))

    assert store.open(str(reports)).summaries() == before


def test_the_index_follows_what_comes_and_goes(reports: Path) -> None:
    before = store.open(reports).summaries()
    stores.add(reports, stores.made(6))
    shutil.rmtree(reports / before[3].run_id)

    found = {one.run_id for one in store.open(reports).summaries()}

    assert len(found) == 6
    assert before[3].run_id not in found


def test_a_damaged_index_is_made_anew(reports: Path) -> None:
    before = store.open(reports).summaries()
    (path,) = (state.cache() / "index").iterdir()
    content = bytearray(path.read_bytes())
    content[content.index(b"passed")] ^= 1
    path.write_bytes(content)

    assert store.open(reports).summaries() == before


def test_a_store_without_a_cache_is_as_true(reports: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (reports.parent / "file").write_text("")
    before = store.open(reports).summaries()
    monkeypatch.setenv("FTCHAOS_CACHE", str(reports.parent / "file"))

    assert store.open(reports).summaries() == before


def test_a_store_that_is_not_there_has_no_runs(tmp_path: Path) -> None:
    assert store.open(tmp_path / "none").summaries() == []
    assert _said(tmp_path / "none") == {}


@pytest.mark.parametrize("name", ["../x", "/etc", "", ".", "20260101T060000Z-none-0000"])
def test_only_runs_have_folders(name: str, reports: Path) -> None:
    with pytest.raises(Invalid, match="no run"):
        store.open(reports).folder(name)


def test_a_run_that_cannot_be_read_is_listed_as_such(reports: Path) -> None:
    folder = reports / "20260101T060000Z-restore-0000"
    (folder / "evidence.json").write_text("[" * 100_000)
    (reports / "20260102T000000Z-x-0000").mkdir()
    (reports / "20260102T000000Z-\x1b[2J").mkdir()
    (reports / "notes").mkdir()

    oldest = store.open(reports).summaries()[-1]

    assert (oldest.verdict, oldest.began_at) == ("unreadable", "2026-01-01T06:00:00.000Z")
    assert "not evidence of this version" in oldest.reason
    assert "altered: evidence.json" in _said(reports)[folder.name]


def test_evidence_of_another_run_is_not_believed(reports: Path) -> None:
    one, other = sorted(path for path in reports.iterdir() if path.is_dir())[:2]
    shutil.copy(one / "evidence.json", other / "evidence.json")

    assert store.open(reports).summaries()[-2].verdict == "unreadable"


def test_an_untouched_store_has_no_problem(reports: Path) -> None:
    runs = [one.run_id for one in store.open(reports).summaries()]

    assert _said(reports) == {}
    assert store.open(reports).verify(runs) == {run: [] for run in runs}


def test_a_run_that_is_not_there_is_a_problem(reports: Path) -> None:
    assert "no run" in store.open(reports).verify(["20260101T060000Z-none-0000"])["20260101T060000Z-none-0000"][0]


@pytest.mark.parametrize("place", [0, 2, 5])
def test_a_deleted_run_shows_to_all_that_were_before_it(place: int, reports: Path) -> None:
    names = sorted(path.name for path in reports.iterdir() if path.is_dir())
    shutil.rmtree(reports / names[place])
    kept = [name for name in names if name != names[place]]

    problems = store.open(reports).verify(kept)

    assert names[place] in problems[kept[0]][0]
    missing_until = names[min(place + 1, 5)]
    assert {name for name in kept if problems[name]} == {name for name in kept if name <= missing_until}


def test_two_runs_exchanged_show(reports: Path) -> None:
    one, _, other, *_ = sorted(path for path in reports.iterdir() if path.is_dir())
    one.rename(reports / "swap")
    other.rename(one)
    (reports / "swap").rename(other)

    said = _said(reports)

    assert {one.name, other.name} <= said.keys()
    assert "the manifest is that of the run" in said[one.name][0]


@pytest.mark.parametrize("elsewhere", [1, 9])
def test_an_inserted_run_shows(elsewhere: int, reports: Path, tmp_path: Path) -> None:
    stranger = [stores.add(tmp_path / "other", stores.made(100 + number)) for number in range(elsewhere)][-1]
    shutil.copytree(stranger, reports / stranger.name)

    assert stranger.name in " ".join(_said(reports)[""])


def test_a_failed_run_rewritten_as_passed_shows(reports: Path) -> None:
    failed = stores.add(reports, stores.made(9))
    stores.add(reports, stores.made(10))
    better = samples.passed()
    better.run_id = failed.name
    evidence.write(better, failed)
    (failed / "manifest.json").unlink()
    manifest.write(failed)

    assert f"the run before it, {failed.name}, number 7, is missing" in " ".join(_said(reports)[""])


def test_an_index_that_lies_is_found_out(reports: Path) -> None:
    location = str(reports.resolve())
    store.open(reports).summaries()
    entries = index.load(location)
    name, entry = next(iter(entries.items()))
    assert entry.summary is not None
    lie = entry._replace(summary=dataclasses.replace(entry.summary, verdict="better"))
    index.save(location, {**entries, name: lie})

    assert "verdict = 'better', not 'passed'" in store.open(reports).verify([name])[name][0]


def test_seeded_one_byte_alterations_are_all_found(reports: Path) -> None:
    dice = random.Random(4)
    files = sorted(path for path in reports.rglob("*") if path.is_file())
    unseen = []
    for _ in range(60):
        path = dice.choice(files)
        content = path.read_bytes()
        altered = bytearray(content)
        altered[dice.randrange(len(content))] ^= dice.randrange(1, 256)
        path.write_bytes(altered)
        if not _said(reports):
            unseen.append(path)
        path.write_bytes(content)

    assert unseen == []


def _annotated(reports: Path, **said: list[object]) -> Path:
    run = store.open(reports).summaries()[0]
    folder = annotation.write(annotation.new(run.run_id, run.manifest_sha256, "Ada", **said), reports)
    manifest.write(folder)
    return folder


def test_annotations_are_added_to_a_run_and_are_no_runs(reports: Path) -> None:
    run = store.open(reports).summaries()[0]
    _annotated(reports, participants=["Ada"], lessons=["read backups back"])
    _annotated(reports, actions=[{"what": "alert", "owner": "Bob", "due": "2026-12-14"}])

    found = FolderStore(reports).annotations(run.run_id)
    whole = annotation.annotated(evidence.read(reports / run.run_id), found)

    assert len(store.open(reports).summaries()) == 6
    assert whole.plan.participants[-1] == "Ada"
    assert whole.follow_up.lessons[-1] == "read backups back"
    assert whole.follow_up.actions[-1].owner == "Bob"
    assert _said(reports) == {}


def test_an_action_is_as_it_was_said_last(reports: Path) -> None:
    action = {"what": "alert", "owner": "Bob", "due": "2026-12-14"}
    _annotated(reports, actions=[action])
    _annotated(reports, actions=[{**action, "status": "done"}])
    run = store.open(reports).summaries()[0].run_id

    whole = annotation.annotated(evidence.read(reports / run), FolderStore(reports).annotations(run))

    assert [one.status for one in whole.follow_up.actions if one.what == "alert"] == ["done"]


def test_an_annotation_taken_away_or_altered_shows(reports: Path) -> None:
    first, second = (_annotated(reports, lessons=[lesson]) for lesson in ("one", "two"))
    path = first / "annotation.json"
    path.write_text(path.read_text().replace("one", "won"))

    assert _said(reports)[first.name] == ["altered: annotation.json"]
    shutil.rmtree(second)
    assert second.name in " ".join(_said(reports)[""])


@pytest.mark.parametrize(
    ("said", "what"),
    [({}, "nothing to annotate"), ({"actions": [{"what": "x", "due": "soon"}]}, "not a date"),
     ({"actions": [{"who": "x"}]}, "cannot be annotated so")],
)  # fmt: skip
def test_an_annotation_that_says_nothing_is_refused(said: dict[str, list[object]], what: str) -> None:
    with pytest.raises(Invalid, match=what):
        annotation.new("20260101T060000Z-restore-0000", "0" * 64, "Ada", **said)


_JSON = st.recursive(st.none() | st.text(), st.lists)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(content=st.binary(max_size=300) | _JSON.map(lambda one: json.dumps(one).encode()))
def test_hostile_files_never_stop_the_listing(content: bytes, tmp_path: Path) -> None:
    folder = tmp_path / "hostile" / "20260101T060000Z-restore-0000"
    for name in ("evidence.json", "annotation.json", "manifest.json", "attestation.json"):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
        (folder.parent / "chain.json").write_bytes(content)

        assert all(one.verdict == "unreadable" for one in store.open(folder.parent).summaries())
        assert _said(folder.parent)
    shutil.rmtree(folder.parent)
