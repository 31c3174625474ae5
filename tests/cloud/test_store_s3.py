"""The store in a bucket, against a real server: whole or not at all, one chain for all writers, nothing overwritten."""

from __future__ import annotations

import json
import resource
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import boto3  # type: ignore[import-untyped]
import pytest
import stores
from botocore.exceptions import ClientError
from click.testing import CliRunner

from ftchaos import conclusion, engine, evidence, manifest, signing, store
from ftchaos.cli import cli
from ftchaos.errors import Inconclusive, Invalid, Refused
from ftchaos.gameday import live
from ftchaos.store import annotation, bucket, s3


def _published(location: str, count: int, first: int = 0) -> list[str]:
    names = []
    for number in range(first, first + count):
        folder = stores.add(store.staging(location), stores.made(number))
        store.publish(location, folder)
        names.append(folder.name)
    return names


def _said(location: str) -> dict[str, list[str]]:
    return {name: problems for name, problems in store.open(location).examine() if problems}


def _objects(client: Any, location: str, below: str = "") -> list[str]:
    name, _, prefix = location.removeprefix("s3://").partition("/")
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=name, Prefix=f"{prefix}/{below}")
    return [one["Key"] for page in pages for one in page.get("Contents", ())]


def _forget(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Look with the eyes of a machine that has seen nothing."""
    monkeypatch.setenv("FTCHAOS_CACHE", str(tmp_path / f"cache-{time.monotonic_ns()}"))


def _become(account: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Go on as one of the accounts that may do less."""
    for variable in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(variable, account)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)  # it keeps the account that it began with


def test_an_empty_bucket_has_no_runs_and_no_problem(location: str) -> None:
    assert store.open(location).summaries() == []
    assert _said(location) == {}


def test_a_published_run_is_listed_fetched_and_verified_elsewhere(
    location: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = _published(location, 3)
    local = store.staging(location) / names[1]
    _forget(monkeypatch, tmp_path)
    there = store.open(location)

    assert [one.run_id for one in there.summaries()] == names[::-1]
    assert there.verify(names) == {name: [] for name in names}
    fetched = there.folder(names[1])
    assert evidence.read(fetched) == evidence.read(local)
    assert manifest.digests(fetched) == manifest.digests(local)
    assert manifest.read(fetched) == manifest.read(local)


def test_a_bucket_that_takes_runs_is_tried_before_them_and_holds_one_object_more(client: Any, location: str) -> None:
    for _ in range(2):
        store.ensure_takes(location)
    assert _objects(client, location) == ["team/runs/tried"]
    names = _published(location, 1)
    store.ensure_takes(location)

    assert [one.run_id for one in store.open(location).summaries()] == names
    assert _said(location) == {}


@pytest.mark.parametrize("account", ["nothing", "list", "read", "write"])
@pytest.mark.parametrize("tried", [False, True], ids=["new", "in use"])
def test_a_bucket_that_would_say_no_at_the_end_refuses_the_run_before_it_begins(
    location: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, account: str, tried: bool
) -> None:
    """A drill restores a whole database before it publishes: it is told before that it could not."""
    if tried:
        store.ensure_takes(location)
    _become(account, monkeypatch)
    began: list[object] = []
    monkeypatch.setattr(engine, "run", lambda *given, **_: began.append(given))
    with pytest.raises(Refused, match="the evidence of a run could not be kept"):
        CliRunner().invoke(cli, ["drill", "restore", "--reports", location], catch_exceptions=False)

    assert [] == began
    assert not list(tmp_path.glob("state/**/*.json"))


def test_a_game_day_is_refused_where_its_evidence_could_not_be_kept(
    location: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _become("read", monkeypatch)

    with pytest.raises(Refused, match="the evidence of a run could not be kept"):
        CliRunner().invoke(cli, ["gameday", "run", "monthly-restore", "--reports", location], catch_exceptions=False)

    assert live.unfinished() is None


def test_the_list_of_drills_knows_the_runs_in_a_bucket(location: str) -> None:
    newest = _published(location, 2)[-1]

    done = CliRunner().invoke(cli, ["drill", "list", "--json", "--reports", location], catch_exceptions=False)

    assert {one["name"]: one["run_id"] for one in json.loads(done.output)}["restore"] == newest


def test_a_bucket_that_is_not_there_is_an_error_with_a_hint(location: str) -> None:
    with pytest.raises(Inconclusive, match="NoSuchBucket"):
        store.open("s3://there-is-no-such-bucket/x").summaries()


def test_signed_runs_are_signed_in_their_place_in_the_bucket(
    location: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = signing.generate(tmp_path / "key.pem")
    monkeypatch.setenv(signing.VARIABLE, str(tmp_path / "key.pem"))
    _published(location, 2)

    assert {one.signed_by for one in store.open(location).summaries()} == {key}
    assert _said(location) == {}


def test_publishing_twice_changes_nothing(location: str, client: Any) -> None:
    (name,) = _published(location, 1)
    before = _objects(client, location)
    store.publish(location, store.staging(location) / name)

    assert _objects(client, location) == before
    assert len(store.open(location).summaries()) == 1


def test_another_run_of_the_same_id_is_refused(location: str) -> None:
    (name,) = _published(location, 1)
    other = store.staging(location).parent / "other"
    folder = stores.add(other, stores.made(0), files=3)
    (folder / "ledger" / "db-0.outcomes").write_bytes(b"other")
    (folder / "manifest.json").unlink()
    (other / "chain.json").unlink()
    manifest.write(folder)

    with pytest.raises(Inconclusive, match="is there with another content"):
        store.publish(location, folder)
    assert _said(location)[name] == ["extra: ledger/db-2.outcomes"]


def test_many_writers_form_one_chain(location: str) -> None:
    below = store.staging(location)
    folders = [stores.add(below, stores.made(number)) for number in range(12)]
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda folder: store.publish(location, folder), folders))

    assert len(store.open(location).summaries()) == 12
    assert _said(location) == {}


def test_a_new_machine_reads_hundreds_of_runs_from_a_few_objects(
    location: str, client: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3, "_BLOCK", 4)
    names = _published(location, 9)
    _forget(monkeypatch, tmp_path)
    fetched: list[str] = []
    get = bucket.Bucket.get
    monkeypatch.setattr(bucket.Bucket, "get", lambda self, key: fetched.append(key) or get(self, key))

    assert [one.run_id for one in store.open(location).summaries()] == names[::-1]
    assert sorted(fetched) == ["chain/0000000009.json", *(f"index/{n:010}.json" for n in (4, 8, 12))]
    assert _said(location) == {}


@pytest.mark.parametrize("way", ["lie", "garbage"])
def test_summaries_of_many_that_lie_are_found_out(
    way: str, location: str, client: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3, "_BLOCK", 2)
    names = _published(location, 5)
    name, key = location.removeprefix("s3://").split("/", 1)[0], _objects(client, location, "index/")[0]
    content = client.get_object(Bucket=name, Key=key)["Body"].read()
    content = content.replace(b'"passed"', b'"failed"') if way == "lie" else b"[" * 100_000
    client.put_object(Bucket=name, Key=key, Body=content)
    _forget(monkeypatch, tmp_path)

    said = store.open(location).verify(names)

    assert [bool(said[one]) for one in names] == [way == "lie", way == "lie", False, False, False]


def test_annotations_are_published_too(location: str) -> None:
    (name,) = _published(location, 1)
    there = store.open(location)
    run = there.summaries()[0]
    folder = annotation.write(annotation.new(name, run.manifest_sha256, "Ada", lessons=["read back"]), there.outbox)
    there.publish(folder)

    assert [one.lessons for one in there.annotations(name)] == [["read back"]]
    assert len(there.summaries()) == 1
    assert _said(location) == {}


@pytest.mark.parametrize("number", [1, 2, 4])
def test_a_deleted_run_shows(number: int, location: str, client: Any) -> None:
    names = _published(location, 4)
    client.delete_object(Bucket=location.split("/")[2], Key=_objects(client, location, "chain/")[number - 1])

    assert names[number - 1] in " ".join(_said(location)[""])
    assert len(store.open(location).summaries()) == 3


def test_deleted_altered_and_added_files_show(location: str, client: Any) -> None:
    (name,) = _published(location, 1)
    where = location.split("/")[2]
    files = {key.rpartition("/")[2]: key for key in _objects(client, location, "runs/")}
    client.delete_object(Bucket=where, Key=files["db-0.outcomes"])
    client.put_object(Bucket=where, Key=files["db-1.outcomes"], Body=b"x" * 100_000)
    client.put_object(Bucket=where, Key=files["evidence.json"] + ".old", Body=b"x")

    assert _said(location)[name] == [
        "altered: ledger/db-1.outcomes",
        "missing: ledger/db-0.outcomes",
        "extra: evidence.json.old",
    ]


def test_exchanged_links_show(location: str, client: Any) -> None:
    names = _published(location, 3)
    where, keys = location.split("/")[2], _objects(client, location, "chain/")
    bodies = [client.get_object(Bucket=where, Key=key)["Body"].read() for key in keys]
    client.put_object(Bucket=where, Key=keys[0], Body=bodies[2])
    client.put_object(Bucket=where, Key=keys[2], Body=bodies[0])

    assert "its link is not where it belongs" in " ".join(_said(location)[""])
    assert store.open(location).verify([names[0]])[names[0]] != []


def test_a_link_that_leads_outside_is_refused(location: str, client: Any, tmp_path: Path) -> None:
    _published(location, 1)
    where, (key,) = location.split("/")[2], _objects(client, location, "chain/")
    link = json.loads(client.get_object(Bucket=where, Key=key)["Body"].read())
    link["manifest"] = link["manifest"].replace("ledger/db-0.outcomes", "../../../escaped")
    client.put_object(Bucket=where, Key=key, Body=json.dumps(link).encode())

    assert store.open(location).summaries() == []
    assert "chain/0000000001.json" in " ".join(_said(location)[""])
    assert not list(tmp_path.rglob("escaped"))


def test_an_object_lock_is_honoured(client: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    client.create_bucket(Bucket="locked-evidence", ObjectLockEnabledForBucket=True)
    retention = {"DefaultRetention": {"Mode": "COMPLIANCE", "Days": 1}}
    client.put_object_lock_configuration(
        Bucket="locked-evidence", ObjectLockConfiguration={"ObjectLockEnabled": "Enabled", "Rule": retention}
    )
    location = "s3://locked-evidence/runs"
    names = _published(location, 3)
    versions = client.list_object_versions(Bucket="locked-evidence")["Versions"]
    counts = {one["Key"]: sum(other["Key"] == one["Key"] for other in versions) for one in versions}

    assert {key for key, count in counts.items() if count > 1} == {"runs/chain.json"}
    for one in versions:
        with pytest.raises(ClientError, match="AccessDenied"):
            client.delete_object(Bucket="locked-evidence", Key=one["Key"], VersionId=one["VersionId"])
    # A marker hides a link from listings, but the chain misses it.
    client.delete_object(Bucket="locked-evidence", Key="runs/chain/0000000002.json")
    assert names[1] in " ".join(_said(location)[""])


def test_a_writer_that_is_killed_leaves_whole_runs_only(location: str, tmp_path: Path) -> None:
    folders = [stores.add(store.staging(location), stores.made(number)) for number in range(4)]
    program = "import sys; from pathlib import Path; from ftchaos import store\n"
    program += "for one in sys.argv[2:]: store.publish(sys.argv[1], Path(one))"
    for delay_s in (0.6, 0.8, 1.0, 1.3):
        writer = subprocess.Popen([sys.executable, "-c", program, location, *map(str, folders)])
        time.sleep(delay_s)
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        there = store.open(location)
        for run in there.summaries():
            assert manifest.verify(there.folder(run.run_id)).altered == ()
    for folder in there.pending():
        store.publish(location, folder)
    store.publish(location, folders[-1])

    assert _said(location) == {}
    assert len(store.open(location).summaries()) == 4


def test_a_full_disk_is_said_and_the_run_can_be_fetched_later(location: str, tmp_path: Path) -> None:
    (name,) = _published(location, 1)
    program = (
        "import resource, sys; from ftchaos import store; "
        "found = store.open(sys.argv[1]); found.summaries(); "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000)); "
        "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
        "found.folder(sys.argv[2])"
    )
    done = subprocess.run([sys.executable, "-c", program, location, name], capture_output=True, text=True, check=False)

    assert "cannot be fetched" in done.stderr
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 1000
    assert evidence.read(store.open(location).folder(name)).run_id == name


def test_readers_beside_a_writer_never_see_half_a_run(location: str) -> None:
    folders = [stores.add(store.staging(location), stores.made(number)) for number in range(6)]
    halves, ended = [], threading.Event()

    def look() -> None:
        while not ended.is_set():
            there = store.open(location)
            for run in there.summaries():
                found = manifest.verify(there.folder(run.run_id))
                if found.altered or found.missing or found.extra:
                    halves.append(run.run_id)

    reader = threading.Thread(target=look)
    reader.start()
    try:
        for folder in folders:
            store.publish(location, folder)
    finally:
        ended.set()
        reader.join()

    assert halves == []


@pytest.mark.parametrize("address", ["s3://", "s3://B", "s3://bucket/../x", "s3://bucket/a//b", "s3://bucket/\x1b[2J"])
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(Invalid, match="not the address of a bucket"):
        store.open(address)


def test_every_command_reads_a_bucket(location: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conclusion, "conclude", evidence.read)
    names = _published(location, 2)
    waiting = stores.add(store.staging(location), stores.made(5))

    def said(*argv: str) -> str:
        done = CliRunner().invoke(cli, ["report", *argv, "--reports", location], catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return done.output

    assert f"{waiting.name} is in {location}" in said("publish")
    assert "nothing waits" in said("publish")
    said("annotate", names[0], "--lesson", "read backups back", "--by", "Ada")
    assert len(said("list").splitlines()) == 3
    assert "read backups back" in said("show", names[0])
    assert said("verify", "--all").count("every file is as it was") == 4
    said("export", "bundle", "-o", str(tmp_path / "bundle.zip"))
    assert "3 runs" in said("site", str(tmp_path / "site"), "--copy")
    assert "restore: 3 runs" in said("trend", "restore")
