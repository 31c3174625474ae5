"""An ordinary user for tests that run as root: no rights, yet the same Python and the same package.

Where an interpreter lies in a folder that only its owner may enter, such as a home of mode 0700,
a private mount namespace lays an open folder over that one, with only what Python needs in it.
"""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path

import ftchaos

USER_ID = 65534


def argv(command: list[str], scratch: Path) -> list[str]:
    """The same command, run by a user without any rights.

    Args:
        scratch: a folder that the user will own; it must be reachable for everybody.
    """
    if os.geteuid() != 0:
        return command
    os.chown(scratch, USER_ID, USER_ID)
    needed = {Path(sys.base_prefix), Path(sys.prefix), Path(ftchaos.__file__).parents[1], Path(__file__).parent}
    needed |= {Path(sys.executable).resolve().parents[1]}
    closed: dict[Path, list[Path]] = {}
    for path in sorted(needed):
        if (barrier := _barrier(path)) is not None:
            closed.setdefault(barrier, []).append(path)
    lines = ["set -e"]
    for number, (barrier, paths) in enumerate(closed.items()):
        held = scratch / f"held-{number}"
        lines += [f"mkdir {_q(held)}", f"mount --rbind {_q(barrier)} {_q(held)}"]
        lines += [f"mount -t tmpfs -o mode=0755 tmpfs {_q(barrier)}"]
        for path in paths:
            lines += [f"mkdir -p {_q(path)}", f"mount --rbind {_q(held / path.relative_to(barrier))} {_q(path)}"]
    lines += [f"exec setpriv --reuid {USER_ID} --regid {USER_ID} --clear-groups -- {shlex.join(command)}"]
    return ["unshare", "-m", "--propagation", "private", "sh", "-c", "\n".join(lines)]


def _barrier(path: Path) -> Path | None:
    """The outermost folder on the way to a path that others may not enter."""
    for folder in [*reversed(path.parents), path]:
        if not folder.stat().st_mode & 0o001:
            return folder
    return None


def _q(path: Path) -> str:
    return shlex.quote(str(path))
