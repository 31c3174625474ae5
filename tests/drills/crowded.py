"""A drill whose disk becomes full half way: ``python crowded.py STEP ROOM_BYTES FOLDER ARGUMENTS...``.

Before that step of the recovery a file fills the disk that the folder is on but for so much room.
"""

from __future__ import annotations

import os
import shutil
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from ftchaos.cli import main
from ftchaos.platforms.lab.recovery import LabRecovery

FILLER = "filler"


def fill(folder: Path, room_bytes: int) -> None:
    """Leave so much room, for ever: also of what others give back."""
    with (folder / FILLER).open("wb") as filler:
        while True:
            more = shutil.disk_usage(folder).free - room_bytes
            if more > 0:
                with suppress(OSError):  # somebody was quicker
                    os.posix_fallocate(filler.fileno(), os.fstat(filler.fileno()).st_size, more)
            time.sleep(0.002)


def fill_before(step: str, folder: Path, room_bytes: int) -> None:
    """Fill the disk right before a step of the recovery."""
    real = getattr(LabRecovery, step)

    def crowded(recovery: LabRecovery, *args: Any) -> Any:
        threading.Thread(target=fill, args=(folder, room_bytes), daemon=True).start()
        while shutil.disk_usage(folder).free > room_bytes:
            time.sleep(0.01)
        return real(recovery, *args)

    setattr(LabRecovery, step, crowded)


if __name__ == "__main__":
    fill_before(sys.argv[1], Path(sys.argv[3]), int(sys.argv[2]))
    sys.argv[1:4] = []
    main()
