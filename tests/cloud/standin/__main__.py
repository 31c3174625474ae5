"""The process of the stand-in: ``python -m standin FOLDER`` says where it listens, and ends with who began it."""

from __future__ import annotations

import json
import logging
import os
import sys
from pathlib import Path

from ftchaos.process import die_with_parent


def main() -> None:
    """Serve until killed."""
    die_with_parent()
    os.environ.setdefault("MOTO_ALLOW_NONEXISTENT_REGION", "false")
    from moto.moto_api._internal.models import moto_api_backend
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
    from werkzeug.serving import make_server

    from standin.gate import Gate
    from standin.parts import assemble

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    world, handlers, commands = assemble(Path(sys.argv[1]))

    def reset() -> None:
        world.reset()
        moto_api_backend.reset()
        gate.clear()

    gate = Gate(DomainDispatcherApplication(create_backend_app), handlers, {**commands, "reset": reset})
    server = make_server("127.0.0.1", 0, gate, threaded=True, request_handler=MotoRequestHandler)
    print(json.dumps({"endpoint": f"http://127.0.0.1:{server.server_port}", "pid": os.getpid()}), flush=True)  # noqa: T201
    server.serve_forever()


if __name__ == "__main__":
    main()
