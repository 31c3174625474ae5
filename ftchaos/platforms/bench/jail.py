"""The jail of a throw-away server: no network, no files but its own, no rights, and nothing survives ftchaos.

A backup that we did not make may be hostile. Its server gets a network namespace without interfaces, a root folder
with the system's programs to read and its scratch folder to write, an ordinary user's id, no capability, and dies
when the process that began it does. See :mod:`ftchaos.platforms.bench.inmate` for what happens inside.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from ftchaos.platforms.bench import inmate

NOBODY = 65534
_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
_ETC = ("ld.so.cache", "nsswitch.conf", "passwd", "group", "localtime", "alternatives", "ssl/openssl.cnf")
_DIE = "--pdeathsig=KILL"  # asked for again, because the kernel forgets the wish when the user changes
_PROBE_S = 20


@dataclass(frozen=True)
class Jail:
    """How programs that touch a backup's bytes are run.

    Attributes:
        walls: whether there are namespaces around them; else they only have another user's id and no listener.
        uid: the user that they run as, seen from outside.
    """

    walls: bool
    uid: int

    def argv(self, folder: Path, programs: Sequence[str], *, write: Iterable[Path]) -> list[str]:
        """What stands before a program's own argv.

        Args:
            folder: an empty folder in the scratch folder: where the new root is mounted.
            programs: the program's argv; what lies outside of the system's folders is shown to it read-only.
            write: folders that it may write; they keep their paths.
        """
        places = [str(path) for path in write]
        if not self.walls:
            return [_setpriv(), *_give_up(self.uid), _DIE] if os.getuid() == 0 else []
        as_root = os.getuid() == 0
        specification = {
            "root": str(folder),
            "read": [*_system(), *_outside(programs, places)],
            "write": places,
            "folder": places[0],
            "give_up": [_setpriv(), *(_give_up(self.uid) if as_root else _give_up(None)), _DIE],
        }
        return [*_unshare(as_root), sys.executable, "-I", inmate.__file__, json.dumps(specification)]

    def own(self, path: Path) -> None:
        """Give a folder and all in it to the user that the programs run as."""
        if os.getuid() == 0:
            for folder, _, files in os.walk(path):
                os.lchown(folder, self.uid, self.uid)
                for name in files:
                    os.lchown(os.path.join(folder, name), self.uid, self.uid)

    @property
    def advice(self) -> str:
        """What may help where a server cannot be begun."""
        if self.walls or os.getuid() != 0:
            return ""
        return (
            f"set FTCHAOS_STATE to a folder that user {self.uid} can reach: without namespaces it needs the real path"
        )

    @property
    def sentence(self) -> str:
        """What keeps the backup in, for people."""
        user = f"user {self.uid}" if os.getuid() == 0 else "your own user"
        if self.walls:
            return f"isolated: no network, no files but its own, {user} without rights"
        return f"this system forbids namespaces: the server has no listener and runs as {user}, but has no walls"


@cache
def strongest() -> Jail:
    """The strongest jail that this machine allows, tried out once."""
    uid = NOBODY if os.getuid() == 0 else os.getuid()
    jail = Jail(True, uid)
    with tempfile.TemporaryDirectory(prefix="ftchaos-") as folder:
        (root := Path(folder) / "root").mkdir()
        (place := Path(folder) / "place").mkdir()
        argv = [*jail.argv(root, (), write=[place]), "test", "-w", "/dev/null"]
        try:
            done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=_PROBE_S)
        except (OSError, subprocess.TimeoutExpired):
            return Jail(False, uid)
    return jail if done.returncode == 0 else Jail(False, uid)


def _unshare(as_root: bool) -> list[str]:
    user = [] if as_root else ["--user", "--map-root-user"]
    return ["unshare", *user, "--mount", "--net", "--pid", "--ipc", "--uts", "--fork", "--kill-child"]


def _setpriv() -> str:
    return shutil.which("setpriv") or "/usr/bin/setpriv"


def _give_up(uid: int | None) -> list[str]:
    identity = [] if uid is None else [f"--reuid={uid}", f"--regid={uid}", "--clear-groups"]
    return [*identity, "--inh-caps=-all", "--bounding-set=-all", "--no-new-privs"]


def _system() -> list[str]:
    etc = (f"/etc/{name}" for name in _ETC)
    return [path for path in (*_SYSTEM, *etc) if os.path.lexists(path) and not _dangling(path)]


def _dangling(path: str) -> bool:
    return os.path.islink(path) and not os.path.exists(path)


def _outside(programs: Sequence[str], write: Sequence[str]) -> list[str]:
    """Absolute paths in an argv that lie neither in the system's folders nor in the writable ones, parents first."""
    found = {
        part.rstrip("/")
        for word in programs
        for part in word.partition("=")[2].split(":") + word.split(":")
        if part.startswith("/") and os.path.exists(part)
    }
    kept: list[str] = []
    for path in sorted(found, key=len):
        if not any(
            path == place or path.startswith(place + "/") for place in (*_SYSTEM, "/etc", "/dev", *write, *kept)
        ):
            kept.append(path)
    return kept
