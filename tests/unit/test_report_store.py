"""``ftchaos report`` over many runs: lists, verifies, adds, draws and exports; hostile values stay text."""

from __future__ import annotations

import csv
import io
import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
import samples
import stores
from chromium import Chromium
from click.testing import CliRunner

from ftchaos import conclusion, evidence, signing, store, verification
from ftchaos.cli import cli
from ftchaos.cli.stored import find
from ftchaos.errors import Invalid


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FTCHAOS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("FTCHAOS_STATE", str(tmp_path / "state"))
    monkeypatch.delenv(signing.VARIABLE, raising=False)


@pytest.fixture
def reports(tmp_path: Path) -> Path:
    below = tmp_path / "reports"
    for number in range(5):
        folder = stores.filled(below, 0) or stores.add(below, stores.made(number))
        assert folder
    stores.add(below, stores.made(9, name="zone-outage", environment="staging"))
    return below


@pytest.fixture
def _same_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    """These runs have no raw data; what is computed from it is tested with real runs."""
    monkeypatch.setattr(conclusion, "conclude", evidence.read)


def _report(reports: Path, *argv: str, code: int = 0) -> str:
    done = CliRunner().invoke(cli, ["report", *argv, "--reports", str(reports)], catch_exceptions=False)

    assert done.exit_code == code, done.output
    return done.output


def test_runs_are_listed_by_name_environment_verdict_and_time(reports: Path) -> None:
    assert len(_report(reports, "list").splitlines()) == 6
    assert "zone-outage" in _report(reports, "list", "--environment", "staging", "--verdict", "failed")
    assert len(_report(reports, "list", "--since", "2026-01-01T09:00:00Z", "--name", "restore").splitlines()) == 2
    assert _report(reports, "list", "--name", "none") == f"no runs in {reports} that fit\n"
    assert {one["name"] for one in json.loads(_report(reports, "list", "--json"))} == {"restore", "zone-outage"}


def test_the_definitions_are_listed_each_with_its_newest_run(reports: Path) -> None:
    (newest := sorted(reports.glob("*-restore-*"))[-1]).joinpath(evidence.FILE).write_text("{}")

    listed = {}
    for kind in ("drill", "experiment"):
        done = CliRunner().invoke(cli, [kind, "list", "--json", "--reports", str(reports)], catch_exceptions=False)
        listed |= {one["name"]: one for one in json.loads(done.output)}

    assert (listed["zone-outage"]["verdict"], listed["zone-outage"]["age"][-2:]) == ("failed", " d")
    assert (listed["restore"]["verdict"], listed["restore"]["age"]) == ("unreadable", "")
    assert listed["restore"]["run_id"] == newest.name
    assert (listed["disk-full"]["verdict"], listed["disk-full"]["run_id"]) == ("never run", "")


def test_a_run_is_found_by_its_id_by_the_begin_of_its_id_by_its_folder_and_by_being_the_newest(reports: Path) -> None:
    oldest = "20260101T060000Z-restore-0000"

    assert find(str(reports), None)[1].name == "20260101T150000Z-zone-outage-0009"
    assert find(str(reports), "20260101T06")[1] == find(str(reports), oldest)[1] == reports / oldest
    assert find("elsewhere", str(reports / oldest)) == (None, reports / oldest)
    for asked, where, what in (
        ("2026", reports, "6 runs"),
        ("1999", reports, "no run"),
        (None, reports / "x", "no runs"),
    ):
        with pytest.raises(Invalid, match=what):
            find(str(where), asked)


@pytest.mark.usefixtures("_same_verdict")
def test_an_untouched_store_is_verified_whole(reports: Path) -> None:
    said = _report(reports, "verify", "--all")

    assert said.count("every file is as it was") == 6
    assert said.endswith("chain: no run is missing\n")
    assert _report(reports, "verify", "20260101T0600").startswith("20260101T060000Z-restore-0000: every file")


@pytest.mark.usefixtures("_same_verdict")
def test_whatever_was_done_to_a_store_is_named_and_fails(reports: Path) -> None:
    names = sorted(path.name for path in reports.iterdir() if path.is_dir())
    (reports / names[1] / "ledger" / "db-0.outcomes").write_bytes(b"\x03" * 256)
    shutil.rmtree(reports / names[3])

    said = _report(reports, "verify", "--all", code=1)

    assert "  altered: ledger/db-0.outcomes" in said
    assert names[3] in said.partition("\nchain:")[2]
    found = json.loads(_report(reports, "verify", "--all", "--json", code=1))
    assert found[names[1]] == ["altered: ledger/db-0.outcomes"]
    assert len(found["chain"]) == 1


def test_where_there_is_no_run_nothing_is_verified(tmp_path: Path) -> None:
    done = CliRunner().invoke(cli, ["report", "verify", "--all", "--reports", str(tmp_path)])

    assert 3 == done.exit_code
    assert f"no runs in {tmp_path}: nothing was verified" in done.output


def test_a_verdict_that_the_raw_data_does_not_give_is_named(reports: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def other(folder: Path) -> Any:
        found = evidence.read(folder)
        found.data.lost = 7
        return found

    monkeypatch.setattr(conclusion, "conclude", other)

    assert "says data.lost = 0, the raw data says 7" in _report(reports, "verify", "20260101T0600", code=1)


@pytest.mark.usefixtures("_same_verdict")
def test_trust_asks_for_a_signature_by_that_key(reports: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = CliRunner().invoke(cli, ["report", "keygen", str(tmp_path / "key")]).output
    monkeypatch.setenv(signing.VARIABLE, str(tmp_path / "key"))
    signed = stores.add(reports, stores.made(20))
    signing.generate(tmp_path / "other")

    assert f"export {signing.VARIABLE}=" in said
    assert "PRIVATE" not in said
    _report(reports, "verify", signed.name, "--trust", f"{tmp_path}/key.pub")
    assert "is not trusted" in _report(reports, "verify", signed.name, "--trust", f"{tmp_path}/other.pub", code=1)
    assert "it is not signed" in _report(reports, "verify", "20260101T0600", "--trust", f"{tmp_path}/key.pub", code=1)


def test_a_signing_key_that_is_not_there_stops_a_run_before_it_begins(
    reports: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(signing.VARIABLE, "/nowhere/key")

    with pytest.raises(Invalid, match="cannot be read"):
        store.staging(reports)


@pytest.mark.usefixtures("_same_verdict")
def test_what_is_added_to_a_run_shows_wherever_it_is_read(reports: Path) -> None:
    added = _report(reports, "annotate", "20260101T0600", "--by", "Ada", "--lesson", "read backups back",
                    "--action", "alert", "--owner", "Bob", "--due", "2026-12-14", "--participant", "Eve")  # fmt: skip
    run = "20260101T060000Z-restore-0000"

    assert added.endswith(f" adds to {run}\n")
    assert "added" in _report(reports, "show", run)
    assert "alert (Bob, 2026-12-14, open)" in _report(reports, "show", run)
    assert json.loads(_report(reports, "show", run, "--json"))["follow_up"]["actions"][-1]["owner"] == "Bob"
    assert "read backups back" in _report(reports, "export", "fields", "--name", "restore")
    _report(reports, "verify", "--all")
    assert len(_report(reports, "list").splitlines()) == 6


def test_the_trend_tells_what_got_worse_and_what_is_due(reports: Path, tmp_path: Path) -> None:
    slow = stores.made(30)
    slow.recovery.recovery_time_s = 60.0
    stores.add(reports, slow)

    said = _report(reports, "trend", "restore", "--every", "30d", "--html", f"{tmp_path}/trend.html")

    assert "The recovery time of the newest run is worse than before: 60 s" in said
    assert "Overdue since 2026-02-01 12:00Z." in said
    found = json.loads(_report(reports, "trend", "restore", "--json", "--every", "13w"))
    assert found["runs"][-1]["regressed"] is True
    assert "no runs; due now" in _report(reports, "trend", "none", "--every", "30d")


def test_a_store_is_exported_as_csv_and_json(reports: Path) -> None:
    rows = list(csv.DictReader(io.StringIO(_report(reports, "export", "csv"))))

    assert len(rows) == len(json.loads(_report(reports, "export", "json"))) == 6
    assert rows[-1]["run_id"] == "20260101T060000Z-restore-0000"


def test_a_formula_in_evidence_is_text_in_a_spreadsheet(reports: Path) -> None:
    found = stores.made(40)
    found.name = '=HYPERLINK("http://x")'
    stores.add(reports, found)

    rows = list(csv.DictReader(io.StringIO(_report(reports, "export", "csv"))))

    assert rows[0]["name"].startswith("'=")


@pytest.mark.usefixtures("_same_verdict")
def test_a_bundle_of_some_runs_is_verified_offline(reports: Path, tmp_path: Path) -> None:
    _report(reports, "annotate", "20260101T0700", "--lesson", "one")
    bundle = tmp_path / "bundle.zip"
    _report(reports, "export", "bundle", "--name", "restore", "--since", "2026-01-01T07:00:00Z", "-o", str(bundle))
    unpacked = tmp_path / "unpacked"
    with zipfile.ZipFile(bundle) as archive:
        archive.extractall(unpacked)

    done = subprocess.run(
        ["sha256sum", "--check", "--quiet", "--strict", "SHA256SUMS"], cwd=unpacked, capture_output=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, b"")
    assert _report(unpacked, "verify", "--all").endswith("chain: no run is missing\n")
    assert len(_report(unpacked, "list").splitlines()) == 4
    assert "one" in _report(unpacked, "show", "20260101T0700")
    (unpacked / "links" / "20260101T060000Z-restore-0000.json").unlink()
    assert "is missing" in _report(unpacked, "verify", "--all", code=1)


def test_the_fields_that_auditors_ask_for_are_all_there(reports: Path) -> None:
    stores.add(reports, stores.made(50, whole=True))
    rows = list(csv.DictReader(io.StringIO(_report(reports, "export", "fields", "--since", "2026-01-03"))))
    fields = {row["field"]: row["value"] for row in rows}

    assert {
        "unique id",
        "scenario",
        "participants",
        "retest of",
        "third parties",
        "actions",
        "account",
    } <= fields.keys()
    assert fields["measured recovery time (s)"] == "14.314"
    assert fields["recovery time objective met"] == "yes"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with Chromium(tmp_path_factory.mktemp("chromium")) as found:
        yield found


def _site(reports: Path, folder: Path, *argv: str) -> Path:
    done = CliRunner().invoke(cli, ["report", "site", str(folder), "--reports", str(reports), *argv])

    assert done.exit_code == 0, done.output
    return folder / "index.html"


def _quiet(browser: Chromium) -> bool:
    return not [one for one in browser.events if one.get("method") in ("Log.entryAdded", "Runtime.exceptionThrown")]


def test_the_site_finds_runs_and_leads_to_their_reports(reports: Path, tmp_path: Path, browser: Chromium) -> None:
    for folder in reports.iterdir():
        if folder.is_dir():
            (folder / "report.html").write_text("<title>a report</title>")
    browser.show(_site(reports, tmp_path / "site", "--every", "30d"))

    assert browser.evaluate("document.querySelectorAll('#runs tr').length") == 6
    href = browser.evaluate("document.querySelector('#runs a').href")
    assert Path(href.removeprefix("file://")).is_file()
    browser.evaluate("const box = document.getElementById('words'); box.value = 'staging'; "
                     "box.dispatchEvent(new Event('input'))")  # fmt: skip
    assert browser.evaluate("document.getElementById('said').textContent") == "1 of 6 runs."
    assert browser.evaluate("document.querySelector('#runs tr').cells[3].textContent") == "failed"
    assert _quiet(browser)
    pages = sorted(path.name for path in (tmp_path / "site").glob("*.html"))
    browser.show(tmp_path / "site" / pages[1])
    assert browser.evaluate("document.querySelectorAll('circle').length") > 0
    assert _quiet(browser)


def test_a_site_with_copies_stands_alone_and_shows_what_was_added(
    reports: Path, tmp_path: Path, browser: Chromium
) -> None:
    _report(reports, "annotate", "20260101T0600", "--lesson", "read backups back")
    _site(reports, tmp_path / "site", "--copy")
    page = tmp_path / "site" / "runs" / "20260101T060000Z-restore-0000.html"
    shutil.rmtree(reports)

    assert "read backups back" in page.read_text()


def test_hostile_values_stay_text_in_every_page(tmp_path: Path, browser: Chromium) -> None:
    evil = "</script><img src=x onerror=\"document.title='owned'\">\u2028'\"&{{7*7}}"
    found = stores.made(0)
    found.name, found.environment, found.reasons, found.summary = evil, evil, [], evil
    stores.add(tmp_path / "reports", found)
    index = _site(tmp_path / "reports", tmp_path / "site")
    for page in [index, *(path for path in (tmp_path / "site").glob("*.html") if path != index)]:
        browser.show(page)

        assert browser.evaluate("document.images.length") == 0
        assert browser.evaluate("document.title") in ("All runs", f"{evil} in {evil} over time")
        assert evil.replace("\u2028", "") in browser.evaluate("document.body.innerText").replace("\u2028", "")
    terminal = _report(tmp_path / "reports", "trend", evil)
    assert "\x1b" not in terminal


def test_ten_thousand_runs_are_one_small_page(tmp_path: Path, browser: Chromium) -> None:
    from ftchaos.report import site

    stores.add(tmp_path / "reports", stores.made(0))
    (one,) = store.open(tmp_path / "reports").summaries()
    import dataclasses
    from datetime import UTC, datetime, timedelta

    runs = []
    for number in range(10_000):
        at = f"{datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=number):%Y%m%dT%H%M%SZ}"
        runs.append(dataclasses.replace(one, run_id=f"{at}-restore-{number:04x}", recovery_time_s=number / 7))
    page = tmp_path / "index.html"
    page.write_text(site.index(runs, site.Reports("r/", "/report.html", {}), [], datetime.now(UTC)))
    browser.show(page)

    assert page.stat().st_size < 500_000
    assert browser.evaluate("document.getElementById('said').textContent") == "10,000 of 10,000 runs."
    laid_out = "document.querySelectorAll('#runs tr').length"
    assert browser.evaluate(laid_out) == 100
    browser.evaluate(
        "(() => { const box = document.getElementById('words'); "
        "box.value = '2026-09'; box.dispatchEvent(new Event('input')); })()"
    )
    assert browser.evaluate("document.getElementById('said').textContent") == "720 of 10,000 runs."
    assert browser.evaluate(laid_out) == 100
    assert browser.evaluate("document.querySelector('#runs a').getAttribute('href')").startswith("r/202609")


def test_verifying_the_folder_of_a_run_needs_no_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conclusion, "conclude", evidence.read)
    folder = stores.add(tmp_path / "reports", samples.passed())

    assert verification.verify(folder) == []
    done = CliRunner().invoke(cli, ["report", "verify", str(folder)])
    assert done.exit_code == 0


@pytest.mark.parametrize(("came_to", "leaves_with"), [(0, 3), (1, 1), (4, 4)])
def test_a_run_that_cannot_be_published_has_not_passed(
    came_to: int, leaves_with: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ftchaos import engine, planning

    given: dict[str, Any] = {}
    monkeypatch.setattr(planning, "plan", lambda kind, name, options: given.update(options))
    folder = stores.add(tmp_path / "outbox", stores.made(0))
    found = evidence.read(folder)
    found.exit_code = came_to
    monkeypatch.setattr(engine, "run", lambda plan, progress, verbose: engine.Result(found, folder))
    monkeypatch.setattr(store, "ensure_takes", lambda _: None)  # the bucket was there when the run began
    monkeypatch.setattr(store, "PATIENCE_S", 0)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "none")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "none")

    done = CliRunner().invoke(cli, ["drill", "run", "restore", "--reports", "s3://nobody/here"])

    assert done.exit_code == leaves_with
    assert f"{folder.name} was not published: s3://nobody/here" in done.stderr
    assert f"it is whole in {folder}; `ftchaos report publish --reports s3://nobody/here` tries again" in done.stderr
    assert given["reports"].startswith(str(tmp_path / "state" / "outbox"))


def test_listing_does_not_import_what_reads_evidence(reports: Path) -> None:
    _report(reports, "list")
    program = (
        "import sys; from ftchaos import store; print(len(store.open(sys.argv[1]).summaries())); "
        "print(sorted({'pydantic', 'boto3', 'cryptography'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", program, str(reports)], capture_output=True, text=True, check=True)

    assert done.stdout.split("\n")[:2] == ["6", "[]"]
