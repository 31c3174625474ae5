"""A file is there whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from ftchaos import atomic


def test_a_file_is_replaced_whole_and_nothing_else_remains(tmp_path: Path) -> None:
    path = tmp_path / "evidence.json"
    atomic.write(path, "old")
    atomic.write(path, b"new")

    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]
    assert path.stat().st_mode & 0o777 == 0o644


def test_a_write_that_fails_leaves_the_old_file_and_no_rest(tmp_path: Path) -> None:
    path = tmp_path / "evidence.json"
    path.mkdir()
    (path / "inside").touch()

    with pytest.raises(OSError, match="directory"):
        atomic.write(path, "new")

    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        atomic.write(tmp_path / "nowhere" / "evidence.json", "new")
