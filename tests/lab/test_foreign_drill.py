"""`ftchaos drill restore --from PATH`, whole, as a person runs it: verdict, exit code, evidence, and nothing left."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from foreign_backups import HEARTBEAT, Source, taken

from ftchaos import evidence

CONFIGURATION = f"""
restore:
  heartbeat: {HEARTBEAT}
  checks:
    - name: both customers are there
      sql: SELECT COUNT(*) FROM shop.customers
      expect: 2
"""


@pytest.fixture
def source(tmp_path_factory: pytest.TempPathFactory) -> Source:
    return taken("mariadb", tmp_path_factory)


def run(
    folder: Path, *arguments: str, program: str = "ftchaos", **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", program, *arguments],
        cwd=folder,
        env={**os.environ, "FTCHAOS_STATE": str(folder / "state"), **environment},
        capture_output=True,
        text=True,
        timeout=240,
    )


def drill(folder: Path, *arguments: str) -> tuple[int, Any]:
    done = run(folder, "drill", "restore", "--json", *arguments)
    assert done.stdout, done.stderr
    found = json.loads(done.stdout)
    jsonschema.validate(found, evidence.schema())
    assert list((folder / "state" / "bench").iterdir()) == []
    assert (found["undo"]["recorded"], found["undo"]["failed"]) == (found["undo"]["healed"], 0)
    return done.returncode, found


def test_a_backup_with_its_logs_passes(source: Source, tmp_path: Path) -> None:
    (tmp_path / "ftchaos.yaml").write_text(CONFIGURATION)

    exit_code, found = drill(
        tmp_path, "--from", str(source.folder / "full"), "--binlogs", str(source.logs), "--rpo", "1h"
    )

    assert (exit_code, found["verdict"], found["reasons"]) == (0, "passed", [])
    assert [phase["name"] for phase in found["recovery"]["phases"]] == [
        "decide", "provision", "restore", "verify", "replay", "verify",
    ]  # fmt: skip
    assert 0 < found["recovery"]["recovery_time_s"] < 120
    assert 0 < found["data"]["data_loss_s"] < 3600
    assert found["data"]["source"] == "heartbeat"
    assert found["data"]["backup_age_s"] > found["data"]["data_loss_s"]
    assert found["replay"]["transactions"] > 60
    assert found["system"]["mode"] == "jail"
    assert run(tmp_path, "report", "verify").returncode == 0


def test_without_a_heartbeat_the_data_loss_is_unknown_unless_the_age_is_accepted(
    source: Source, tmp_path: Path
) -> None:
    exit_code, found = drill(tmp_path, "--from", str(source.folder / "all.sql.zst"))
    (tmp_path / "ftchaos.yaml").write_text("restore: {accept_backup_age: true}\n")
    accepted, _ = drill(tmp_path, "--from", str(source.folder / "all.sql.zst"), "--rpo", "4h")
    missed, late = drill(tmp_path, "--from", str(source.folder / "all.sql.zst"), "--rpo", "1s")

    assert (exit_code, found["data"]["data_loss_s"]) == (3, None)
    assert found["data"]["backup_age_s"] > 0
    assert accepted == 0
    assert missed == 1
    assert "The backup's age" in late["reasons"][0]


def test_a_backup_with_a_flaw_fails_and_one_that_cannot_be_restored_is_inconclusive(
    source: Source, tmp_path: Path
) -> None:
    text = (source.folder / "all.sql").read_bytes()
    data, trailer, date = text.rpartition(b"-- Dump completed")
    (evil := tmp_path / "evil.sql").write_bytes(data + b"SELECT 1 INTO OUTFILE '/tmp/owned';\n" + trailer + date)
    (cut := tmp_path / "cut.sql").write_bytes(text[:-200])

    failed, found = drill(tmp_path, "--from", str(evil))
    inconclusive, unmet = drill(tmp_path, "--from", str(cut))

    assert failed == 1
    assert "INTO OUTFILE" in found["reasons"][0]
    assert inconclusive == 3
    assert "steady state" in unmet["reasons"][0]


def test_a_path_that_is_no_backup_is_a_mistake_of_the_command(tmp_path: Path) -> None:
    done = run(tmp_path, "drill", "restore", "--from", str(tmp_path / "nothing"))

    assert done.returncode == 2
    assert "there is nothing at" in done.stderr
    assert "HINT" in done.stderr


def test_chaos_toolkit_alone_plays_the_same_drill(source: Source, tmp_path: Path) -> None:
    drills = Path(__file__).parents[2] / "dr_drills"

    done = run(
        tmp_path,
        "run",
        str(drills / "restore-backup.yaml"),
        program="chaostoolkit",
        FTCHAOS_BACKUP=str(source.folder / "full"),
    )

    (folder,) = (path.parent for path in (tmp_path / "reports").glob("*/run.json"))
    found = json.loads((folder / "evidence.json").read_text())
    assert len(found["reasons"]) == 1, done.stderr[-2000:]
    assert found["reasons"][0].startswith("The data loss is unknown")
    assert list((tmp_path / "state" / "bench").iterdir()) == []
