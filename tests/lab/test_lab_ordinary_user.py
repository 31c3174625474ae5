"""The lab of an ordinary user: the same places and faults, in an unprivileged user namespace."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import ordinary
import pytest
from residue import gone_within, processes, surroundings

_FULL = """
import json, os, sys
from small_labs import bring_up

lab = bring_up("mine", "mariadb")
dead = [name for name, service in lab.status()["services"].items() if not service["alive"]]
print(json.dumps({"uid": os.geteuid(), "mode": lab.mode, "dead": dead, "services": len(lab.status()["services"])}))
sys.stdout.flush()
sys.stdin.read()
"""
_BARE = """
import json, os, subprocess, sys
from pathlib import Path
from ftchaos.platforms.lab.layout import ZONES
from small_labs import bring_up_bare, small_server

lab = bring_up_bare("mine")
for zone in ZONES:
    lab.call("begin_service", spec=small_server(lab, zone).to_json())
connect = "import socket, sys; socket.create_connection((sys.argv[1], 7000), 0.4)"

def reached():
    argvs = [lab.client_argv([sys.executable, "-S", "-c", connect, lab.layout.address(zone)]) for zone in ZONES]
    return [subprocess.run(argv, capture_output=True).returncode == 0 for argv in argvs]

said = {"uid": os.geteuid(), "mode": lab.mode, "before": reached()}
lab.call("cut_zone", zone="zone-a")
lab.call("kill_zone", zone="zone-b")
said["harmed"] = reached()
lab.call("mend_zone", zone="zone-a")
lab.call("begin_zone", zone="zone-b")
said["healed"] = reached()
said["folder"] = str(lab.folder)
print(json.dumps(said), flush=True)
lab.down()
"""


@pytest.fixture
def scratch() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="ftchaos-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def begin(scratch: Path, script: str) -> subprocess.Popen[str]:
    environment = {
        **{name: value for name, value in os.environ.items() if name != "FTCHAOS_LAB_MODE"},
        "PATH": "/usr/local/bin:/usr/bin:/bin:/usr/local/games:/usr/games",
        "PYTHONPATH": os.pathsep.join(sys.path),
        "PYTHONDONTWRITEBYTECODE": "1",
        "FTCHAOS_STATE": str(scratch),
        "HOME": str(scratch),
    }
    return subprocess.Popen(
        ordinary.argv([sys.executable, "-c", script], scratch),
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd="/",
    )


def test_an_ordinary_user_has_a_lab_with_every_fault(scratch: Path) -> None:
    user = begin(scratch, _BARE)

    output, problems = user.communicate(timeout=60)

    assert user.returncode == 0, problems
    said = json.loads(output)
    assert said["uid"] != 0
    assert said["mode"] == "user"
    assert said["before"] == [True, True, True]
    assert said["harmed"] == [False, False, True]
    assert said["healed"] == [True, True, True]
    assert gone_within(scratch, 2)
    assert not Path(said["folder"]).exists()


def test_kill_9_of_an_ordinary_users_full_lab_leaves_nothing(scratch: Path) -> None:
    before = surroundings()
    user = begin(scratch, _FULL)
    assert user.stdout is not None
    line = user.stdout.readline()
    assert line, user.communicate()[1]
    said = json.loads(line)
    assert said["uid"] != 0
    assert said["mode"] == "user"
    assert said["dead"] == []
    assert len(processes(scratch)) > said["services"]

    user.kill()
    user.communicate()

    assert gone_within(scratch, 3)
    assert surroundings() == before
