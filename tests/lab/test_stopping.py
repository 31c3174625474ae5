"""A stop is obeyed within a second, whatever the main thread is blocked by."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

_BLOCKED = """
import subprocess, sys, time
from pathlib import Path
from ftchaos import stop
from ftchaos.undo import UndoLog
folder = Path(sys.argv[1])
undo = UndoLog(folder / "undo.jsonl")
undo.record("lab", "fault", {}, "harm")
began_at = time.monotonic()

def heal(record):
    print(f"healed by {'main' if ended else 'watch'} {time.monotonic() - began_at:.3f}", flush=True)
    return "done"

def obey(reason):
    undo.stop(reason)
    undo.heal(heal)

ended = False
watch = stop.Watch([lambda: "the file is there" if (folder / "stop").exists() else ""], obey)
watch.begin()
(folder / "stop").write_text("")
try:
    exec(sys.argv[2])
    print("not interrupted", flush=True)
finally:
    watch.end()
    ended = True
    undo.heal(heal)
    print(f"over {time.monotonic() - began_at:.3f} {watch.reason}", flush=True)
"""


@pytest.mark.alone
@pytest.mark.parametrize(
    "blocking",
    [
        "time.sleep(60)",
        "subprocess.run(['sleep', '60'])",
        "subprocess.Popen(['sleep', '5'], stdout=-3, stderr=-3, start_new_session=True).wait()",
        "while True: pass",
        "import threading; threading.Event().wait(60)",
        "import socket; a, b = socket.socketpair(); a.recv(1)",
        "import fcntl; f = open(sys.argv[1] + '/f', 'w'); g = open(sys.argv[1] + '/f'); "
        "fcntl.flock(f, 2); fcntl.flock(g, 2)",
    ],
)
def test_blocked_main_thread_hinders_neither_the_heal_nor_its_own_end(tmp_path: Path, blocking: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _BLOCKED, str(tmp_path), blocking],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

    lines = [line.split(maxsplit=3) for line in done.stdout.splitlines()]
    assert [["healed", "by", "watch"], ["over"]] == [lines[0][:3], lines[1][:1]], done.stderr
    assert float(lines[0][3]) < 1
    assert (3, "the file is there") == (done.returncode, " ".join(lines[1][2:]))


def test_interrupted_heal_of_the_main_thread_is_over_in_a_moment(tmp_path: Path) -> None:
    """The main thread waits for the heal that the watch has begun, and is interrupted in that wait."""
    blocking = "time.sleep(0.3); undo.heal(lambda _: time.sleep(60)); time.sleep(60)"
    done = subprocess.run(
        [sys.executable, "-c", _BLOCKED, str(tmp_path), blocking],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

    assert 3 == done.returncode, done.stderr
    assert 1 == done.stdout.count("healed by watch")
