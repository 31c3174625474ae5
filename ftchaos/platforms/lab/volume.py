"""A small volume below the binary log of a running MySQL server, which can be full, and the way back from it.

The folder of the binary log gets a tmpfs of its own in the zone's mounts, so that nobody outside sees it. In it the
logs that there are stay readable as links; from the next log on, all that the server writes lands on the small volume.
The way back leaves no log unreadable either: first the logs on the volume become links from the disk, then copies.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from ftchaos.errors import StepFailed
from ftchaos.platforms.lab.database import LOGS
from ftchaos.platforms.lab.lab import Lab
from ftchaos.units import human_size

SIZE = "1m"
BALLAST = "ballast"
_NAMES = "set -eu; log=$1/" + LOGS + "; kept=$1/../log.kept; small=$1/../log.small\n"
# Put in place by one mount, so that the server never sees it half filled.
_MOUNT = f"""
mkdir -p $kept $small
mountpoint -q $kept || mount --bind $log $kept
mountpoint -q $small || mount -t tmpfs -o size={SIZE},mode=700 tmpfs $small
for file in $kept/*; do ln -sf $file $small/; done
for file in $kept/*.index; do cp -p --remove-destination $file $small/; done
mountpoint -q $log || mount --bind $small $log
"""
_FILL = f"""
cat /dev/zero >$log/{BALLAST} 2>/dev/null || true
stat -f -c %a $log
"""
_EMPTY = f"""
mountpoint -q $small || exit 0
rm -f $small/{BALLAST}
mount -o remount,size=50% $small
"""
_LEAVE = """
mountpoint -q $log || exit 0
for file in $small/*; do
    if [ -L $file ]; then continue; fi
    case $file in
        *.index) cp -p $file $kept/ ;;
        *) ln -sf ../../log.small/${file##*/} $kept/ ;;
    esac
done
umount -l $log
"""
_KEEP = """
for file in $log/*; do
    if [ ! -L $file ]; then continue; fi
    cp -p $small/${file##*/} $1/../log.copy
    mv -f $1/../log.copy $file
done
for mounted in $kept $small; do
    if mountpoint -q $mounted; then umount $mounted; fi
    if [ -d $mounted ]; then rmdir $mounted; fi
done
"""


def mount(lab: Lab, zone: str, datadir: Path) -> None:
    """Let the binary log that the server begins next lie on a small volume; idempotent."""
    _in_zone(lab, zone, datadir, _MOUNT)


def fill(lab: Lab, zone: str, datadir: Path) -> None:
    """Leave not one free block on the small volume.

    Raises:
        StepFailed: there is room left.
    """
    if (free := _in_zone(lab, zone, datadir, _FILL).strip()) != "0":
        raise StepFailed(f"the volume with the binary log still has {free} free blocks")


def make_room(lab: Lab, zone: str, datadir: Path) -> None:
    """Let the server write to the small volume again; idempotent."""
    _in_zone(lab, zone, datadir, _EMPTY)


def leave(lab: Lab, zone: str, datadir: Path) -> None:
    """Let the binary log that the server begins next lie on its disk again; idempotent."""
    _in_zone(lab, zone, datadir, _LEAVE)


def keep(lab: Lab, zone: str, datadir: Path) -> None:
    """Bring to the disk what the server wrote to the small volume, and remove that; idempotent."""
    _in_zone(lab, zone, datadir, _KEEP)


def describe(pid: int, datadir: Path) -> str:
    """Where a running server's binary log lies, in words."""
    folder = datadir / LOGS
    if not folder.is_dir():
        return "in the data folder"
    mounts = [line.split()[4] for line in (Path("/proc") / str(pid) / "mountinfo").read_text().splitlines()]
    if str(folder) not in mounts:
        return "on its disk"
    room = os.statvfs(f"/proc/{pid}/root{folder}")
    full = "full" if room.f_bavail == 0 else "not full"
    return f"on a volume of {human_size(room.f_blocks * room.f_frsize)}, {full}"


def _in_zone(lab: Lab, zone: str, datadir: Path, script: str) -> str:
    argv = lab.place_argv(["sh", "-c", _NAMES + script, "sh", str(datadir)], zone)
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)
    if done.returncode:
        raise StepFailed(f"the volume with the binary log of {zone} cannot be changed: {done.stderr.strip()[-300:]}")
    return done.stdout
