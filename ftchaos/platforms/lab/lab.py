"""A lab as the rest of ftchaos holds it: bring it up, attach to it, call its supervisor, take it down."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ftchaos import state
from ftchaos.errors import Invalid, StepFailed
from ftchaos.platforms.lab import control, launch
from ftchaos.platforms.lab import recipe as recipes
from ftchaos.platforms.lab.layout import CLIENT, Layout

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,30}")
_DOWN_TIMEOUT_S = 15.0
_BRING_UP_TIMEOUT_S = 300.0
_CALL_TIMEOUT_S = 300.0
_HANG_S = 5.0
# Labs that this process began: whoever ends one of them must also reap it.
_heads: dict[Path, subprocess.Popen[bytes]] = {}


@dataclass(frozen=True)
class Lab:
    """A lab that is up, or was when this was made.

    Attributes:
        folder: everything of the lab that is kept in files.
        layout: its addresses.
    """

    name: str
    folder: Path
    mode: str
    layout: Layout

    @classmethod
    def up(
        cls,
        name: str,
        *,
        flavour: str | None,
        size_bytes: int,
        ephemeral: bool,
        progress: Callable[[str], None],
        bare: bool = False,
    ) -> Lab:
        """Bring up a lab and return when all of its services are ready.

        Args:
            flavour: ``mysql``, ``mariadb``, or None for the one that is found.
            size_bytes: how much the database holds to begin with.
            ephemeral: whether the lab ends with this process, however that ends.
            progress: told what happens, in a few words at a time.
            bare: the places and their network only, without services.

        Raises:
            Invalid: a lab of that name is up, or the name cannot be used.
            MissingProgram: a server is not installed.
            StepFailed: a service did not come up; everything is torn down again.
        """
        folder = folder_of(name)
        lock = _lock_of_the_dead(folder)
        if lock is None:
            raise Invalid(
                f"the lab {name!r} is up already", "use it, end it with `ftchaos lab down`, or choose another --name"
            )
        try:
            _reap(folder)
            _clear(folder)
            mode, reason = launch.choose_mode()
            recipe = {} if bare else recipes.provide(flavour, size_bytes, progress)
            if mode == "loopback":
                progress(f"the lab runs on loopback addresses, because {reason}")
            _heads[folder] = launch.launch(name, folder, lock, mode, reason, ephemeral=ephemeral, recipe=recipe)
            try:
                control.call(folder, "bring_up", {}, progress, _BRING_UP_TIMEOUT_S)
            except ConnectionError:
                raise StepFailed(*_last_words(folder)) from None
        except BaseException:
            _abandon(folder)
            raise
        finally:
            os.close(lock)
        return cls.attach(name)

    @classmethod
    def attach(cls, name: str) -> Lab:
        """The lab of that name, which is up.

        Raises:
            Invalid: it is not.
        """
        folder = folder_of(name)
        try:
            facts = control.call(folder, "status", {})
        except (ConnectionError, FileNotFoundError):
            facts = {"up": False}
        if not facts["up"]:
            raise Invalid(f"the lab {name!r} is not up", "bring it up with `ftchaos lab up`")
        return cls(name, folder, facts["mode"], Layout(facts["mode"], facts["base"]))

    @classmethod
    def take_down(cls, name: str) -> bool:
        """End a lab and remove its folder, also that of a dead lab; idempotent.

        Returns:
            Whether there was anything to remove.

        Raises:
            StepFailed: it does not end.
        """
        folder = folder_of(name)
        if not folder.exists():
            return False
        lock = launch.take_lock(folder)
        if lock is None:
            _ask_down(folder)
            deadline_at = time.monotonic() + _DOWN_TIMEOUT_S
            while (lock := launch.take_lock(folder)) is None:
                if time.monotonic() > deadline_at:
                    raise StepFailed(
                        f"the lab {name!r} does not end", f"kill its supervisor, whose pid is in {folder}/lab.json"
                    )
                time.sleep(0.01)
        try:
            _reap(folder)
            _clear(folder)
            folder.rmdir()
        finally:
            os.close(lock)
        return True

    @property
    def facts(self) -> dict[str, Any]:
        """What ``lab.json`` says at this moment."""
        facts: dict[str, Any] = json.loads((self.folder / "lab.json").read_text())
        return facts

    @property
    def flavour(self) -> str:
        """``mysql`` or ``mariadb``."""
        return str(self.facts["flavour"])

    @property
    def secret(self) -> str:
        """The password of all database accounts of the lab."""
        return (self.folder / "secret").read_text().strip()

    def call(self, call: str, /, **args: Any) -> Any:
        """The result of one call to the supervisor; :mod:`ftchaos.platforms.lab.supervisor` has the calls.

        Raises:
            Invalid: the lab is not up any more.
            FtchaosError: what the call raised.
        """
        try:
            return control.call(self.folder, call, args, timeout_s=_CALL_TIMEOUT_S, whole=True)
        except (ConnectionError, FileNotFoundError):
            raise Invalid(f"the lab {self.name!r} is not up any more", "bring it up with `ftchaos lab up`") from None

    def status(self) -> dict[str, Any]:
        """What runs, where, in which mode, and which faults cannot be had."""
        status: dict[str, Any] = self.call("status")
        return status

    def client_argv(self, argv: Sequence[str], place: str = CLIENT) -> list[str]:
        """Arguments that run a program where clients stand: reached by nothing, reaching the public addresses.

        Args:
            place: a zone, for a client inside it.
        """
        return [*self._enter(place, "-n"), *argv]

    def place_argv(self, argv: Sequence[str], place: str) -> list[str]:
        """Arguments that run a program in a place, with its network, its processes and its mounts.

        Raises:
            Invalid: there is no such place, or it is dead.
        """
        self.layout.address(place)
        return [*self._enter(place, "-n", "-p", "-m"), *argv]

    def shell_argv(self, place: str) -> list[str]:
        """Arguments that open a shell in a place, with its network and its processes.

        Raises:
            Invalid: there is no such place, or it is dead.
        """
        return self.place_argv([os.environ.get("SHELL") or "/bin/sh"], place)

    def down(self) -> None:
        """End this lab and remove its folder; idempotent."""
        self.take_down(self.name)

    def _enter(self, place: str, *namespaces: str) -> list[str]:
        if self.mode == "loopback":
            return []
        pid = self.facts["places"][place]["pid"]
        if pid is None:
            raise Invalid(f"{place} is dead", "begin it first")
        user = ["-U", "--preserve-credentials"] if self.mode == "user" else []
        return ["nsenter", "-t", str(pid), *user, *namespaces, "--"]


def down(name: str) -> bool:
    """See :meth:`Lab.take_down`."""
    return Lab.take_down(name)


def dead() -> list[str]:
    """The labs whose supervisor is gone, so that nothing of them is left but their folder."""
    home = state.root() / "lab"
    found = []
    for folder in sorted(home.iterdir()) if home.is_dir() else []:
        lock = _lock_of_the_dead(folder) if folder.is_dir() else None
        if lock is not None:
            os.close(lock)
            found.append(folder.name)
    return found


def _abandon(folder: Path) -> None:
    """Tear down a lab of ours that did not come up, whatever became of it."""
    _ask_down(folder)  # also where a signal came while it was begun, so that we never learned of its process
    if folder in _heads:
        _heads[folder].kill()
        _reap(folder)
    with suppress(StepFailed, OSError):  # why it did not come up matters more
        _clear(folder)
        folder.rmdir()


def _ask_down(folder: Path) -> None:
    """Ask a supervisor to end; kill one that does not listen."""
    try:
        control.call(folder, "down", {}, timeout_s=_HANG_S)
    except (ConnectionError, FileNotFoundError):
        return  # it died: that was the question
    except TimeoutError:
        with suppress(FileNotFoundError, ProcessLookupError):
            os.kill(json.loads((folder / "lab.json").read_text())["pid"], signal.SIGKILL)


def _lock_of_the_dead(folder: Path) -> int | None:
    """The lab's lock; None where a live lab holds it. The last of a dying one is waited for."""
    deadline_at = time.monotonic() + _HANG_S
    while (lock := launch.take_lock(folder)) is None and time.monotonic() < deadline_at:
        try:
            control.call(folder, "status", {}, timeout_s=_HANG_S)
        except (ConnectionError, FileNotFoundError):
            time.sleep(0.01)
        except TimeoutError:
            return None
        else:
            return None
    return lock


def folder_of(name: str) -> Path:
    """Where everything lies that a lab of that name keeps in files.

    Raises:
        Invalid: it cannot be the name of a lab.
    """
    if not _NAME.fullmatch(name):
        raise Invalid(f"{name!r} cannot be the name of a lab", "use up to 31 of a-z, 0-9 and -")
    return state.root() / "lab" / name


def _clear(folder: Path) -> None:
    """Empty a lab's folder; what dies may still write for a moment."""
    for attempt in range(50):
        for path in folder.iterdir():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
        if not any(folder.iterdir()):
            return
        time.sleep(0.02 if attempt else 0)
    raise StepFailed(f"{folder} cannot be emptied", "look who owns the files in it")


def _reap(folder: Path) -> None:
    head = _heads.pop(folder, None)
    if head is not None:
        head.wait()


def _last_words(folder: Path) -> tuple[str, str]:
    log = folder / launch.LOG
    lines = log.read_text(errors="replace").strip().splitlines() if log.exists() else []
    said = f": {lines[-1]}" if lines else ""
    return f"the lab's supervisor died while the lab came up{said}", "run `ftchaos doctor`"
