"""The load on an autoscaler: a process of ours, begun, held where it is, and ended from its undo record alone.

What it needs lies in one folder, which the undo record names before the process is there. A heal first gives that
folder another name: a process that has not said in it who it is cannot any more, and sends nothing. It dies with
ftchaos, by the kernel, so on another machine, or after a kill, nothing runs; a heal finds that and removes the folder.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import ftchaos
from ftchaos import notes, scaling
from ftchaos.clock import now
from ftchaos.errors import FtchaosError, HealFailed, StepFailed
from ftchaos.notes import Note
from ftchaos.process import Identity
from ftchaos.workload import pressure

OWN, CONFIG, ERRORS, LOG = "process.json", "config.json", "errors.log", "load.jsonl"
TIMEOUT_S = 10.0
BEGIN_S, END_S = 20.0, 10.0


def begin(arguments: Mapping[str, Any], run_id: str) -> None:
    """Begin what an undo record has announced, and return when it sends.

    Args:
        arguments: its ``load``: ``folder``, and what is sent as :class:`ftchaos.workload.pressure.Config` takes it.
        run_id: whose folder gets what it tells; empty for none.

    Raises:
        StepFailed: it does not begin.
    """
    folder, log = Path(arguments["folder"]), log_of(arguments, run_id)
    folder.mkdir(parents=True, exist_ok=True)
    log.parent.mkdir(exist_ok=True)
    config = {**arguments, "own": str(folder / OWN), "log": str(log), "parent_pid": os.getpid()}
    (folder / CONFIG).write_text(json.dumps(config, indent=1) + "\n")
    with (folder / ERRORS).open("wb") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "ftchaos.workload.pressure", str(folder / CONFIG)],
            stdin=subprocess.DEVNULL, stdout=errors, stderr=errors, start_new_session=True,
            env={**os.environ, "PYTHONPATH": str(Path(ftchaos.__file__).parent.parent)},
        )  # fmt: skip
    threading.Thread(target=process.wait, daemon=True).start()  # whoever ends it, its remains are taken away
    deadline = now() + BEGIN_S
    while not read(log):
        if process.returncode is not None or now() > deadline:
            raise StepFailed(f"the load does not begin: {_said(folder)}", "see the address of the application")
        time.sleep(0.02)


def log_of(arguments: Mapping[str, Any], run_id: str) -> Path:
    """Where it tells how far it has come: in the folder of the run, where there is one."""
    with suppress(FtchaosError):
        note = Note.read(notes.note(run_id)) if run_id else None
        if note is not None:
            return Path(note.folder) / scaling.LOAD_FILE
    return Path(arguments["folder"]) / LOG


def hold(arguments: Mapping[str, Any]) -> None:
    """Let it rise no more."""
    own = Identity.read(Path(arguments["folder"]) / OWN)
    if own is not None:
        own.signal(pressure.HOLD)


def ensure_alive(arguments: Mapping[str, Any]) -> None:
    """Check that it goes on.

    Raises:
        StepFailed: it has ended, of itself or by somebody else.
    """
    own = Identity.read(Path(arguments["folder"]) / OWN)
    if own is None or not own.alive:
        raise StepFailed(
            f"the load ended early: {_said(Path(arguments['folder']))}", "let it last longer than the run is watched"
        )


def _said(folder: Path) -> str:
    with suppress(OSError):  # a heal has removed it
        return (folder / ERRORS).read_text(errors="replace").strip()[-300:] or "its time was up, or somebody ended it"
    return "somebody ended it"


def read(log: Path) -> list[dict[str, Any]]:
    """What it told until now, line by line."""
    return scaling.load_lines(log.read_bytes()) if log.exists() else []


def lately(told: list[dict[str, Any]], since_at: float) -> float | None:
    """Which share of the requests that were due since an instant was answered; None where none was due."""
    before = next((one for one in reversed(told) if one["at"] <= since_at), None) or dict.fromkeys(
        ("sent", "answered", "held_back"), 0
    )
    last = told[-1] if told else before
    due = sum(last[name] - before[name] for name in ("sent", "held_back"))
    return min(1.0, (last["answered"] - before["answered"]) / due) if due > 0 else None


def end(arguments: Mapping[str, Any]) -> str:
    """End the process, from its undo record alone; however often.

    Raises:
        HealFailed: it does not end.
    """
    folder, began_at = Path(arguments["folder"]), now()
    aside = folder.with_name(f"{folder.name}.ended")
    try:
        with suppress(FileNotFoundError):
            folder.rename(aside)
        own = Identity.read(aside / OWN)
        ended = own.end(END_S) if own is not None else False
    except (OSError, TimeoutError) as error:
        raise HealFailed(f"the load does not end: {error}", f"kill the process that {aside / OWN} names") from error
    with suppress(OSError):
        shutil.rmtree(aside)
    return f"the load was ended within {now() - began_at:.1f} s" if ended else "the load had ended"
