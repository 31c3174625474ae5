"""The command ``ftchaos``; its general help lies in a file, because importing click takes longer than all the rest."""

from __future__ import annotations

import os
import sys

HELP = os.path.join(os.path.dirname(__file__), "help.txt")


def main() -> None:
    """Answer ``ftchaos --help`` at once; leave all else to the command line."""
    if sys.argv[1:] in (["--help"], ["-h"]) and _is_wide():
        with open(HELP, encoding="utf-8") as text:
            sys.stdout.write(text.read())
        return
    # What else is installed has no say in how evidence is checked, and looking for it takes a tenth of a short command.
    os.environ["PYDANTIC_DISABLE_PLUGINS"] = "__all__"
    from ftchaos import cli

    cli.main()


def _is_wide() -> bool:
    """Whether the lines of the stored help fit; click breaks them anew where they do not."""
    try:
        return os.get_terminal_size().columns >= 80
    except OSError:
        return True


if __name__ == "__main__":
    main()
