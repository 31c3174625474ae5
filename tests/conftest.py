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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what `scripts/test` runs by itself: a machine busy with other tests would answer for the system."""
    for item in items:
        if str(item.path.relative_to(HERE)).startswith(ALONE):
            item.add_marker(pytest.mark.alone)
