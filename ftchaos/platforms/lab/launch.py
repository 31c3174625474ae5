"""Begins the supervisor of a lab: the best mode that this machine allows, the lock, the namespaces."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import ftchaos
from ftchaos.errors import Invalid, MissingProgram
from ftchaos.platforms.lab import control

MODES = ("root", "user", "loopback")
LOG = "supervisor.log"
_UNSHARE = ("-n", "-p", "-m", "-f", "--kill-child", "--mount-proc")
# What the lab does in its namespaces, in small: a bridge, a cable, a place's pid namespace.
_TRIAL = (
    "ip link add hub type bridge && ip link add cable type veth peer name socket && "
    "unshare -n -p -m -f --kill-child --mount-proc true"
)


def choose_mode() -> tuple[str, str]:
    """The best mode to be had here, and why it is not a better one ("" where there is none).

    ``FTCHAOS_LAB_MODE`` forces a mode.

    Raises:
        Invalid: the forced mode does not exist or cannot be had.
    """
    forced = os.environ.get("FTCHAOS_LAB_MODE")
    if forced:
        if forced not in MODES:
            raise Invalid(f"FTCHAOS_LAB_MODE={forced} is no mode of the lab", f"choose one of {', '.join(MODES)}")
        reason = obstacle(forced)
        if reason:
            raise Invalid(f"a lab in mode {forced} cannot be had here: {reason}", "unset FTCHAOS_LAB_MODE")
        return forced, "FTCHAOS_LAB_MODE says so"
    reasons: list[str] = []
    for mode in ("root", "user"):
        reason = obstacle(mode)
        if not reason:
            return mode, "; ".join(reasons)
        reasons.append(f"{mode}: {reason}")
    return "loopback", "; ".join(reasons)


def obstacle(mode: str) -> str:
    """What stands in the way of a mode on this machine, in a few words; "" where nothing does."""
    if mode == "loopback":
        return ""
    if mode == "root" and os.geteuid() != 0:
        return "not root"
    path = search_path()
    for program in ("unshare", "nsenter", "ip"):
        if shutil.which(program, path=path) is None:
            return f"the program {program} is missing"
    argv = ["unshare", *namespace_options(mode), "sh", "-c", _TRIAL]
    done = subprocess.run(
        argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, env={**os.environ, "PATH": path}, check=False
    )
    said = done.stderr.strip().splitlines()
    return "" if done.returncode == 0 else said[-1] if said else f"unshare ended with {done.returncode}"


def namespace_options(mode: str) -> list[str]:
    """Options of unshare for the supervisor's namespaces in a mode."""
    return [*(["-Ur"] if mode == "user" else []), *_UNSHARE]


def search_path() -> str:
    """PATH with the folders of system programs, which an ordinary user's PATH lacks on Debian."""
    path = os.environ.get("PATH", os.defpath)
    missing = [folder for folder in ("/usr/sbin", "/sbin") if folder not in path.split(":")]
    return ":".join([path, *missing])


def take_lock(folder: Path) -> int | None:
    """The lock that says a lab lives, as a descriptor; None where a live lab holds it.

    The lock lies on the folder itself and belongs to the supervisor as long as it lives, so it
    cannot be stale.
    """
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        # Between open and lock somebody may have removed the folder and made another.
        try:
            if os.fstat(descriptor).st_ino == folder.stat().st_ino:
                return descriptor
        except FileNotFoundError:
            pass
        os.close(descriptor)


def launch(
    name: str, folder: Path, lock: int, mode: str, mode_reason: str, *, ephemeral: bool, recipe: dict[str, Any]
) -> subprocess.Popen[bytes]:
    """Begin a supervisor; it answers on the control socket at once.

    Args:
        lock: from :func:`take_lock`; the supervisor holds it from now on.
        ephemeral: whether the lab dies with this process.

    Returns:
        The process at the head of the chain: unshare, or the supervisor itself in loopback mode.
    """
    listener = control.listen(folder)
    host_proc = os.open("/proc", os.O_RDONLY | os.O_DIRECTORY)
    leash = os.pidfd_open(os.getpid())
    settings = {
        "name": name,
        "folder": str(folder),
        "mode": mode,
        "mode_reason": mode_reason,
        "listener": listener.fileno(),
        "lock": lock,
        "host_proc": host_proc,
        "leash": leash,
        "ephemeral": ephemeral,
        "recipe": recipe,
    }
    argv = [sys.executable, "-m", "ftchaos.platforms.lab.supervisor", json.dumps(settings)]
    if mode != "loopback":
        argv = ["unshare", *namespace_options(mode), *argv]
    inherited = [listener.fileno(), lock, host_proc, leash]
    try:
        with (folder / LOG).open("ab") as log:
            return subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=_environment(),
                pass_fds=inherited,
                start_new_session=True,
            )
    except FileNotFoundError as error:
        raise MissingProgram(f"the program {error.filename} is missing", "run `ftchaos doctor`") from None
    finally:
        listener.close()
        for descriptor in (host_proc, leash):
            os.close(descriptor)


def _environment() -> dict[str, str]:
    """The supervisor's environment: system programs on PATH, and this very package importable from any folder."""
    environment = {**os.environ, "PATH": search_path()}
    home = Path(ftchaos.__file__).parents[1]
    if home.name not in ("site-packages", "dist-packages"):
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(home), os.environ.get("PYTHONPATH")]))
    return environment
