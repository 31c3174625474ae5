"""Makes the modules of this folder, such as ``samples``, importable from every test below it."""

from pathlib import Path

import hypothesis
import pytest

# Examples are not timed: a busy machine is no flaw of what they try.
hypothesis.settings.register_profile("untimed", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("untimed")

# Its assertions are to say what they compared, as those of tests do.
pytest.register_assert_rewrite("stages")

HERE = Path(__file__).parent
ALONE = (
    *("experiments", "drills/test_restore.py", "lab/test_app.py", "lab/test_witness.py", "lab/test_workload"),
    *("cloud/test_aws_drill.py", "cloud/test_aws_experiments.py"),
)
# Those of more than 40 s, the longest first: begun last, one of them would keep a worker busy while others have ended.
# Two that need a whole core, as drills do, stand apart, so that one that mostly waits runs beside each.
LONG = (
    *("drills/test_flaws.py", "lab/test_fault_disk.py", "lab/test_fault_zone.py", "drills/test_killed.py"),
    *("lab/test_fault_redis_masters.py", "lab/test_foreign_restore.py", "drills/test_bad_luck.py"),
    *("lab/test_reaper.py", "lab/test_backup.py", "cloud/test_standin.py", "lab/test_replay.py"),
    *("lab/test_fault_mysql_primary.py", "lab/test_foreign_flaws.py", "drills/test_labs.py"),
    *("lab/test_fault_mysql_replica.py", "lab/test_mysql_server.py", "lab/test_fault_clock.py"),
    *("cloud/test_aws_copies_point.py", "cloud/test_store_s3.py"),
    *("experiments/test_weaknesses.py", "experiments/test_healthy.py", "experiments/test_gameday.py"),
    *("drills/test_restore.py", "cloud/test_aws_experiments.py", "cloud/test_aws_drill.py"),
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what answers for the system, so that `scripts/test` keeps the machine calm; put the longest files first."""
    for item in items:
        if _name(item).startswith(ALONE):
            item.add_marker(pytest.mark.alone)
    items.sort(key=lambda item: LONG.index(_name(item)) if _name(item) in LONG else len(LONG))


def _name(item: pytest.Item) -> str:
    return item.path.relative_to(HERE).as_posix()
