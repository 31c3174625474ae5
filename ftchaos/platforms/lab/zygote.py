"""Forks the lab's Python services from one process that has imported what they need.

Importing what the application needs costs more than anything else in a lab's bring-up; here it
is paid once for all zones, and so is the memory. A service is forked into its place: its network
and its pid namespace, so that it dies with the place like every other.

``python -m ftchaos.platforms.lab.zygote``; begun and asked like a place's process 1.
"""

from __future__ import annotations

import gc
import importlib
import os
import runpy
import signal
import sys
import traceback
from typing import Any, NoReturn

from ftchaos.platforms.lab import init, namespaces
from ftchaos.process import die_with_parent, name_process


class Zygote(init.Init):
    """An :class:`~ftchaos.platforms.lab.init.Init` whose services are modules; requests also have ``place_pid``."""

    def prepare(self, request: dict[str, Any]) -> None:
        """Import what the module needs, so that its forks share it."""
        module = request["argv"][2]
        importlib.import_module(module)
        # It runs as __main__ later; what it imported stays.
        del sys.modules[module]
        gc.collect()
        gc.freeze()

    def become(self, tell: int, parent: int, request: dict[str, Any]) -> None:
        """Enter the place and run the module there; this process remains outside to wait for it."""
        die_with_parent(parent)
        self.channel.close()
        namespaces.enter(request["place_pid"])
        # Only a child is inside the pid namespace.
        child = os.fork()
        if child:
            os.close(tell)
            status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            os._exit(status if status >= 0 else 128 - status)
        init.dress(tell, None, self.host_proc, request)
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)  # as every Python program has it
        name_process(request["name"], request["argv"])
        os.close(tell)
        _run(request["argv"][2:])


def _run(argv: list[str]) -> NoReturn:
    """Run a module as ``python -m`` would, and end as that would."""
    sys.argv = argv
    status = 1
    try:
        runpy.run_module(argv[0], run_name="__main__", alter_sys=True)
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 1 if end.code else 0
    finally:
        if error := sys.exception():
            traceback.print_exception(error)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    init.run(Zygote)
