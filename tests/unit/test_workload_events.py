"""The subscribers' file: as it is written, and as it is read."""

from __future__ import annotations

from pathlib import Path

import pytest

from ftchaos.errors import Inconclusive
from ftchaos.workload import events


def test_what_was_heard_is_read_back_with_what_was_heard_twice(tmp_path: Path) -> None:
    log = events.Log(tmp_path / "heard")
    log.add(at=1.0, user=1, connected=True)
    log.add(at=2.5, user=1, upload_key=2**63)
    log.add(at=2.75, user=1, upload_key=2**63)
    log.add(at=2.8, user=2, upload_key=5)
    log.add(at=3.0, user=1, connected=False)
    read_while_written = events.read(tmp_path / "heard")
    log.close()

    assert events.Events({2**63: (2.5, 2.75), 5: (2.8,)}, ((1.0, 1, True), (3.0, 1, False))) == read_while_written


@pytest.mark.parametrize(
    "line", ['{"at": 1.0, "user": 1', "[]", '{"at": 1.0, "user": 1}', '{"user": 1, "upload_key": 1}', '{"at": "x"}']
)
def test_damaged_line_is_an_error(tmp_path: Path, line: str) -> None:
    (tmp_path / "heard").write_text('{"at": 1.0, "user": 1, "connected": true}\n' + line)

    with pytest.raises(Inconclusive, match="line 2"):
        events.read(tmp_path / "heard")


def test_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(Inconclusive, match="cannot be read"):
        events.read(tmp_path / "heard")
