"""The process of the stand-in, ``python -m cluster.standin TOKEN FOLDER`` says where, and dies with its parent."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

from aiohttp import web
from cluster.standin.commands import commands
from cluster.standin.front import Front
from cluster.standin.world import World

from ftchaos.process import die_with_parent


async def _serve(token: str, folder: Path) -> None:
    world = World(token, folder)
    front = Front(world, commands(world))
    runner = web.ServerRunner(web.Server(front.handle, access_log=None))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    front.address = f"127.0.0.1:{port}"
    print(json.dumps({"endpoint": f"http://127.0.0.1:{port}", "pid": os.getpid()}), flush=True)  # noqa: T201
    await asyncio.Event().wait()


def main() -> None:
    """Serve until killed."""
    die_with_parent()
    asyncio.run(_serve(sys.argv[1], Path(sys.argv[2])))


if __name__ == "__main__":
    main()
