"""The one address of the lab: HAProxy on the edge, before the application and before MySQL.

The application is balanced by its health. The writer is not: it leads where it was pointed last, as
the end point of a managed database does, and a file keeps that, so that it survives HAProxy.
"""

from __future__ import annotations

import os
import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ftchaos import atomic
from ftchaos.errors import MissingProgram, StepFailed
from ftchaos.platforms.lab.layout import (
    API_PORT,
    EDGE,
    MYSQL_PORT,
    PUBLIC_PORT,
    READER_PORT,
    WRITER_PORT,
    ZONES,
    Layout,
)
from ftchaos.platforms.lab.service import ServiceSpec

SOCKET = "haproxy.sock"
BEGIN_S = 1.0  # how long a HAProxy that begins may accept clients, but not commands yet
SERVER = "mysql_writer/writer"

# Debian keeps haproxy where an ordinary user's PATH does not look.
SEARCH_PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin"])

# A request that no server received has certainly changed nothing; 503 is what HAProxy says then.
CONFIG = """global
  nbthread 1
  maxconn 4000
  stats socket unix@{socket} mode 600 level admin
  stats timeout 5s
  log stdout format iso local0 notice

defaults
  log global
  timeout connect 300ms
  timeout queue 300ms
  timeout check 800ms
  timeout client 1h
  timeout server 1h
  retries 2
  option redispatch 1
  default-server inter 200ms fastinter 50ms downinter 100ms fall 3 rise 1

frontend public
  mode http
  bind {address}:{public}
  timeout client 10s
  timeout http-request 5s
  # Longer than clients keep idle connections, or they would send into one that is just being closed.
  timeout http-keep-alive 60s
  use_backend sockets if {{ path_beg /socket.io/ }}
  default_backend api

backend api
  mode http
  balance leastconn
  timeout server 3s
  retry-on conn-failure
  option httpchk GET /health
  http-error status 503 content-type text/plain string "no server" hdr X-Outcome not-committed
  # Requests of a server that is marked down go on: it may still tell whether they were committed.
  default-server observe layer4 error-limit 2 on-error mark-down
{api}

backend sockets
  mode http
  # All requests of a polling Socket.IO client must meet the same process.
  balance source
  hash-type consistent
  timeout tunnel 1h
{tracking}

frontend reader
  mode tcp
  bind {address}:{reader_port}
  default_backend mysql_reader

backend mysql_reader
  mode tcp
  balance leastconn
  option tcp-check
  default-server on-marked-down shutdown-sessions
{reader}

frontend writer
  mode tcp
  # Who falls silent, as a zone without power does, is gone within seconds, and what it had locked is free again.
  option clitcpka
  clitcpka-idle 2s
  clitcpka-intvl 1s
  clitcpka-cnt 2
  bind {address}:{writer_port} tcp-ut 4s
  default_backend mysql_writer
"""

# No check and no second try: whoever fails over decides, and a client learns at once that nobody is there.
WRITER = """backend mysql_writer
  mode tcp
  retries 0
  server writer {address}:{port}
"""


def prepare(layout: Layout, folder: Path, writer: tuple[str, int] | None = None) -> list[ServiceSpec]:
    """Write HAProxy's files below a lab's folder and say how to begin it.

    Args:
        writer: address and port of the primary; by default the MySQL of the first zone.

    Raises:
        MissingProgram: there is no haproxy on this machine.
    """
    program = shutil.which("haproxy", path=SEARCH_PATH)
    if program is None:
        raise MissingProgram("haproxy is not installed", "run: apt-get install haproxy")
    home = home_of(folder)
    home.mkdir(parents=True, exist_ok=True)
    (home / "haproxy.cfg").write_text(config(layout))
    address, port = writer or (layout.address(ZONES[0]), MYSQL_PORT)
    atomic.write(home / "writer.cfg", WRITER.format(address=address, port=port))
    # The socket is named relative to the folder: a path of a socket cannot be longer than 107 bytes.
    argv = (program, "-db", "-C", str(home), "-f", "haproxy.cfg", "-f", "writer.cfg")
    log = str(home / "haproxy.log")
    return [ServiceSpec("haproxy", EDGE, argv, cwd=str(home), log=log, port=PUBLIC_PORT)]


def config(layout: Layout) -> str:
    """HAProxy's configuration but for the writer."""
    api, tracking, reader = [], [], []
    for zone in ZONES:
        letter, address = zone[-1], layout.address(zone)
        api.append(f"  server api-{letter} {address}:{API_PORT} check")
        tracking.append(f"  server api-{letter} {address}:{API_PORT} track api/api-{letter}")
        reader.append(f"  server mysql-{letter} {address}:{MYSQL_PORT} check")
    return CONFIG.format(
        address=layout.address(EDGE),
        socket=SOCKET,
        public=PUBLIC_PORT,
        reader_port=READER_PORT,
        writer_port=WRITER_PORT,
        api="\n".join(api),
        tracking="\n".join(tracking),
        reader="\n".join(reader),
    )


def home_of(folder: Path) -> Path:
    """The folder of HAProxy in a lab's folder."""
    return folder / EDGE / "haproxy"


def point_writer(folder: Path, address: str, port: int) -> None:
    """Lead the writer's address to another server, for HAProxy's next run and for this one.

    Sessions with the server before are shut down; where the writer already leads there, none is.

    Args:
        folder: the lab's folder.

    Raises:
        StepFailed: HAProxy is not running or refused; a later run of it still obeys.
    """
    home = home_of(folder)
    atomic.write(home / "writer.cfg", WRITER.format(address=address, port=port))
    if current_writer(folder) == (address, port):
        return
    # While it is in maintenance nobody can slip in between the old server and the new one.
    said = command(
        folder,
        f"set server {SERVER} state maint",
        f"shutdown sessions server {SERVER}",
        f"set server {SERVER} addr {address} port {port}",
        f"set server {SERVER} state ready",
    )
    if current_writer(folder) != (address, port):
        raise StepFailed(
            f"haproxy does not lead writers to {address}:{port}: {said.strip()}", f"read {home}/haproxy.log"
        )


def move_writer(folder: Path, address: str, port: int) -> None:
    """Lead new sessions of the writer's address to another server; those with the server before live on.

    Args:
        folder: the lab's folder.

    Raises:
        StepFailed: HAProxy is not running or refused; a later run of it still obeys.
    """
    home = home_of(folder)
    atomic.write(home / "writer.cfg", WRITER.format(address=address, port=port))
    said = command(folder, f"set server {SERVER} addr {address} port {port}")
    if current_writer(folder) != (address, port):
        raise StepFailed(
            f"haproxy does not lead writers to {address}:{port}: {said.strip()}", f"read {home}/haproxy.log"
        )


def end_writers(folder: Path) -> None:
    """Shut down all sessions of the writer's address, wherever they lead; their clients connect again.

    Raises:
        StepFailed: HAProxy does not answer.
    """
    command(folder, f"shutdown sessions server {SERVER}")


def current_writer(folder: Path) -> tuple[str, int]:
    """Where the running HAProxy leads writers.

    Raises:
        StepFailed: HAProxy does not answer.
    """
    said = command(folder, "show servers state mysql_writer")
    for line in said.splitlines():
        fields = line.split()
        if len(fields) > 18 and fields[3] == "writer":
            return fields[4], int(fields[18])
    raise StepFailed("haproxy knows no writer", f"read {home_of(folder)}/haproxy.log")


def command(folder: Path, *commands: str) -> str:
    """What HAProxy answers to commands that it carries out one after the other.

    Raises:
        StepFailed: it does not answer.
    """
    home = home_of(folder)
    try:
        with _socket_in(home) as connection:
            connection.sendall((";".join(commands) + "\n").encode())
            answer = b""
            while chunk := connection.recv(65536):
                answer += chunk
    except OSError as error:
        raise StepFailed(f"haproxy does not answer: {error}", f"read {home}/haproxy.log") from error
    return answer.decode(errors="replace")


@contextmanager
def _socket_in(home: Path) -> Iterator[socket.socket]:
    """A connection to the control socket through the folder's descriptor, however long its path is."""
    directory = os.open(home, os.O_PATH | os.O_DIRECTORY)
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(2)
            _connect(connection, f"/proc/self/fd/{directory}/{SOCKET}")
            yield connection
    finally:
        os.close(directory)


def _connect(connection: socket.socket, path: str) -> None:
    deadline = time.monotonic() + BEGIN_S
    while True:
        try:
            return connection.connect(path)
        except (ConnectionRefusedError, FileNotFoundError):
            if time.monotonic() > deadline:
                raise
        time.sleep(0.02)
