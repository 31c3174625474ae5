"""ftchaos proves or refutes the recovery promises of a file-transfer system."""

from __future__ import annotations

__version__ = "0.1.0"
