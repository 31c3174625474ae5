"""The command ``ftchaos``."""

from __future__ import annotations

from ftchaos.cli import main

if __name__ == "__main__":
    main()
