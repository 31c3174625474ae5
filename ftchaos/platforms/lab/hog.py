"""Takes what a MySQL server has left for new connections and keeps it: ``python -m ...hog ADDRESS PORT SECRET SAYS``.

A server that gets no more memory from the kernel still lives on what it has kept: idle threads, their stacks, freed
blocks. Whoever else comes would take those up in time; here that is done at once. The file ``SAYS`` appears, with the
server's words, as soon as it refuses.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import NoReturn

import pymysql

from ftchaos.platforms.lab.layout import MYSQL_PORT
from ftchaos.platforms.lab.service import ServiceSpec

USER = "monitor"
TRY_S = 0.01
LOGIN_S = 2.0
# A server that allows no more connections has run out of those, not of memory.
TOO_MANY_CONNECTIONS = 1040


def spec(name: str, zone: str, address: str, secret: Path, home: Path) -> ServiceSpec:
    """How the supervisor begins one beside a server."""
    home.mkdir(parents=True, exist_ok=True)
    (home / "refused").unlink(missing_ok=True)
    argv = (sys.executable, "-m", __name__, address, str(MYSQL_PORT), str(secret), str(home / "refused"))
    return ServiceSpec(name, zone, argv, cwd=str(home), log=str(home / "hog.log"))


def take(address: str, port: int, secret: Path, says: Path) -> NoReturn:
    """Log in again and again, and hold every connection that comes about."""
    password = secret.read_text().strip()
    held = []
    while True:
        try:
            held.append(
                pymysql.connect(
                    host=address,
                    port=port,
                    user=USER,
                    password=password,
                    connect_timeout=LOGIN_S,
                    read_timeout=LOGIN_S,
                    ssl_disabled=True,
                )
            )
        except (pymysql.err.MySQLError, OSError) as error:
            if error.args[0] == TOO_MANY_CONNECTIONS:
                sys.exit(f"{len(held)} connections, and it has memory for all")
            if not says.exists():
                says.write_text(f"{error.args[-1]}\n")
            time.sleep(TRY_S)


if __name__ == "__main__":
    take(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]), Path(sys.argv[4]))
