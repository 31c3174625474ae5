"""The manifest names every file that is not as it was when the run ended, and every run taken from the chain."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import threading
from pathlib import Path

import pytest
import samples
from hypothesis import given
from hypothesis import strategies as st

from ftchaos import manifest
from ftchaos.errors import Invalid


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = samples.folder(samples.passed(), tmp_path)
    manifest.write(folder)
    return folder


def _later_run(reports: Path, name: str) -> Path:
    evidence = samples.passed()
    evidence.run_id = name
    return samples.folder(evidence, reports)


def test_an_untouched_folder_has_nothing_to_find(run: Path) -> None:
    assert manifest.verify(run).problems() == []


def test_every_file_is_recorded_with_its_hash_and_size(run: Path) -> None:
    recorded = manifest.read(run)["files"]

    assert set(recorded) == {
        "journal.json", "undo.jsonl", "ledger/ledger.json", "ledger/db-1.outcomes", "ledger/db-1.times",
        "observations/witness.jsonl",
    }  # fmt: skip
    content = (run / "ledger/db-1.outcomes").read_bytes()
    assert recorded["ledger/db-1.outcomes"] == {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}


def test_one_flipped_bit_is_found(run: Path) -> None:
    path = run / "ledger/db-1.outcomes"
    content = bytearray(path.read_bytes())
    content[1000] ^= 1
    path.write_bytes(content)

    assert manifest.verify(run).altered == ("ledger/db-1.outcomes",)


def test_missing_and_extra_files_are_named(run: Path) -> None:
    (run / "journal.json").unlink()
    (run / "ledger" / "db-9.outcomes").write_bytes(b"\x02")
    (run / "link").symlink_to("undo.jsonl")
    (run / "elsewhere").symlink_to("/etc")

    findings = manifest.verify(run)

    assert findings.missing == ("journal.json",)
    assert findings.extra == ("elsewhere", "ledger/db-9.outcomes", "link")


def test_a_file_replaced_by_a_link_to_its_copy_is_altered(run: Path, tmp_path: Path) -> None:
    shutil.move(run / "journal.json", tmp_path / "copy.json")
    (run / "journal.json").symlink_to(tmp_path / "copy.json")

    assert manifest.verify(run).altered == ("journal.json",)


def test_a_folder_with_a_link_gets_no_manifest(tmp_path: Path) -> None:
    folder = samples.folder(samples.passed(), tmp_path)
    (folder / "ledger" / "link").symlink_to("/etc/hostname")

    with pytest.raises(Invalid, match="regular file"):
        manifest.write(folder)


def test_runs_are_chained_in_the_order_in_which_they_ended(run: Path) -> None:
    second = _later_run(run.parent, "20261124T000000Z-restore-0002")
    earlier_named = _later_run(run.parent, "20261101T000000Z-restore-0003")

    assert manifest.write(second)["previous"]["run_id"] == run.name
    third = manifest.write(earlier_named)
    assert third["previous"]["run_id"] == second.name
    assert third["sequence"] == 3
    assert manifest.verify(earlier_named).problems() == []


def test_a_run_taken_away_is_missed_by_the_next(run: Path) -> None:
    second = _later_run(run.parent, "20261124T000000Z-restore-0002")
    manifest.write(second)
    shutil.rmtree(run)

    assert manifest.verify(second).problems() == [f"the previous run {run.name} is not there"]


def test_a_run_rewritten_with_a_fresh_manifest_is_betrayed_by_the_next(run: Path) -> None:
    second = _later_run(run.parent, "20261124T000000Z-restore-0002")
    manifest.write(second)
    (run / "journal.json").write_text("better news")
    (run / "manifest.json").unlink()
    manifest.write(run)

    assert "altered" in manifest.verify(second).problems()[0]


def test_a_link_taken_out_of_a_manifest_is_noticed(run: Path) -> None:
    second = _later_run(run.parent, "20261124T000000Z-restore-0002")
    manifest.write(second)
    edited = json.loads((second / "manifest.json").read_text()) | {"previous": None}
    (second / "manifest.json").write_text(json.dumps(edited, indent=1) + "\n")

    with pytest.raises(Invalid, match="does not match its own seal"):
        manifest.verify(second)


def test_a_folder_renamed_to_another_run_is_noticed(run: Path) -> None:
    other = run.rename(run.parent / "20261130T000000Z-restore-9999")

    assert run.name in manifest.verify(other).problems()[0]


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"schema": "ftchaos.manifest/1", "sequence": 1, "files": []}'])
def test_a_file_that_is_no_manifest_is_an_error_with_a_hint(run: Path, content: str) -> None:
    (run / "manifest.json").write_text(content)

    with pytest.raises(Invalid, match="HINT"):
        manifest.verify(run)


def test_a_run_without_a_manifest_did_not_end_in_order(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="did not end in order"):
        manifest.verify(samples.folder(samples.passed(), tmp_path))


def test_a_damaged_manifest_does_not_stop_the_next_run_and_is_not_forgotten(run: Path) -> None:
    (run / "manifest.json").write_text("{")
    second = _later_run(run.parent, "20261124T000000Z-restore-0002")

    assert manifest.write(second)["previous"]["run_id"] == run.name
    assert manifest.verify(second).problems() == [f"the manifest of the previous run {run.name} was altered"]


def test_the_chain_goes_on_where_its_end_was_not_written_any_more(run: Path) -> None:
    end = (run.parent / "chain.json").read_bytes()
    second = _later_run(run.parent, "20261124T000000Z-restore-0002")
    manifest.write(second)
    (run.parent / "chain.json").write_bytes(end)
    os.utime(run.parent / "chain.json", ns=(0, (run / "manifest.json").stat().st_mtime_ns + 1))
    third = _later_run(run.parent, "20261125T000000Z-restore-0003")

    assert manifest.write(third)["previous"]["run_id"] == second.name


@given(data=st.data())
def test_no_byte_of_a_manifest_can_change_unseen(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = samples.folder(samples.passed(), tmp_path_factory.mktemp("run"))
    manifest.write(folder)
    content = bytearray((folder / "manifest.json").read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))

    with pytest.raises(Invalid):
        manifest.parse(bytes(content), "manifest.json")


_KEYS = ["schema", "run_id", "sequence", "previous", "signer", "files", "seal", "written_at"]
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(_KEYS), inner),
)


@given(_JSON)
def test_whatever_is_no_manifest_is_refused(content: object) -> None:
    for text in (json.dumps(content).encode(), b"[" * 100_000, repr(content).encode("utf-8", "surrogatepass")):
        with pytest.raises(Invalid):
            manifest.parse(text, "manifest.json")


def test_runs_that_end_together_form_one_chain(tmp_path: Path) -> None:
    folders = [_later_run(tmp_path, f"20261124T00000{number}Z-restore-000{number}") for number in range(8)]
    threads = [threading.Thread(target=manifest.write, args=(folder,)) for folder in folders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(manifest.read(folder)["sequence"] for folder in folders) == list(range(1, 9))
    assert [problem for folder in folders for problem in manifest.verify(folder).problems()] == []
