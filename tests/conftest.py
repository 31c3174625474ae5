"""Makes the modules of this folder, such as ``samples``, importable from every test below it."""

import pytest

# Its assertions are to say what they compared, as those of tests do.
pytest.register_assert_rewrite("stages")
