"""Makes the modules of this folder, such as ``samples``, importable from every test below it."""

from pathlib import Path

import pytest

# Its assertions are to say what they compared, as those of tests do.
pytest.register_assert_rewrite("stages")

HERE = Path(__file__).parent
LABS = ("drills", "experiments", "lab")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """With two processes, all tests of labs stay in one: two labs at a time are more than a small machine can do."""
    for item in items:
        folder = item.path.relative_to(HERE).parts[0]
        item.add_marker(pytest.mark.xdist_group("labs" if folder in LABS else "others"))
