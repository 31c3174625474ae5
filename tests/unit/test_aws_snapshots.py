"""How old a snapshot is: by the data that it holds, not by when the copy of it was made."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from ftchaos.platforms.aws.copies.snapshot import _held_at

WRITTEN, TAKEN, COPIED = (datetime(2026, 11, day, tzinfo=UTC) for day in (1, 2, 20))


@pytest.mark.parametrize(
    ("snapshot", "at"),
    [
        ({"SnapshotDatabaseTime": WRITTEN, "OriginalSnapshotCreateTime": TAKEN, "SnapshotCreateTime": COPIED}, WRITTEN),
        ({"OriginalSnapshotCreateTime": TAKEN, "SnapshotCreateTime": COPIED}, TAKEN),
        ({"SnapshotCreateTime": TAKEN}, TAKEN),
    ],
)
def test_a_snapshot_that_was_copied_is_as_old_as_its_data(snapshot: dict[str, Any], at: datetime) -> None:
    assert at == _held_at(snapshot)
