"""The lab's network: a hub with a bridge, and a network namespace with an address for each place.

It lives in the supervisor's own namespace, so nothing of it appears on the machine. Cutting a
zone takes down the hub's end of its cable: packets vanish, as they do when a zone loses power. Single
flows between places vanish in the bridge's packet filter.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import socket
import struct
import subprocess
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager

from ftchaos.errors import Invalid, MissingProgram, StepFailed
from ftchaos.platforms.lab import flows, namespaces
from ftchaos.platforms.lab.flows import Flow
from ftchaos.platforms.lab.layout import PLACES, Layout

_SIOCGIFFLAGS = 0x8913
_SIOCSIFFLAGS = 0x8914
_IFF_UP = 1
_BRIDGE = "hub"


class Network:
    """Places that are network namespaces, joined by a bridge."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._home = os.open("/proc/self/ns/net", os.O_RDONLY)
        self._places = {place: namespaces.new_network() for place in PLACES}
        self._down: set[str] = set()
        self._blocked: set[Flow] = set()
        self._slow: dict[str, tuple[float, subprocess.Popen[bytes]]] = {}
        # The namespaces are named to ip by descriptors, which needs no /run/netns.
        self._ip(
            "link set lo up",
            f"link add {_BRIDGE} type bridge",
            f"addr add {layout.hub}/24 dev {_BRIDGE}",
            f"link set {_BRIDGE} up",
            *(f"link add {p} type veth peer name eth0 netns /proc/self/fd/{fd}" for p, fd in self._places.items()),
            *(f"link set {place} master {_BRIDGE} up" for place in PLACES),
        )
        for place in PLACES:
            with self.inside(place):
                self._ip("link set lo up", f"addr add {layout.address(place)}/24 dev eth0", "link set eth0 up")

    @contextmanager
    def inside(self, place: str) -> Iterator[None]:
        """Sockets and processes made within belong to the place; nothing may be awaited within."""
        with namespaces.inside(self._places[place], self._home):
            yield

    def cut(self, place: str) -> None:
        """Let every packet from and to the place vanish; idempotent."""
        self._set(place, up=False)
        self._down.add(place)

    def mend(self, place: str) -> None:
        """Undo :meth:`cut`; idempotent."""
        self._set(place, up=True)
        self._down.discard(place)

    def is_cut(self, place: str) -> bool:
        """Whether the place's cable is down."""
        return place in self._down

    def block(self, unwanted: Collection[Flow]) -> None:
        """Let all packets of these flows vanish, also those of connections that are open; idempotent.

        Raises:
            MissingProgram: there is no packet filter.
            StepFailed: the kernel has none for bridges.
        """
        self._filter(self._blocked | set(unwanted))

    def unblock(self, wanted: Collection[Flow]) -> None:
        """Undo :meth:`block`; idempotent."""
        if self._blocked & set(wanted):
            self._filter(self._blocked - set(wanted))

    def blocked(self) -> list[Flow]:
        """The flows that vanish at this moment."""
        return sorted(self._blocked)

    def slow(self, place: str, delay_s: float, ports: Collection[int]) -> None:
        """Let each packet from and to these TCP ports of a place come later; idempotent.

        Raises:
            StepFailed: the cable cannot be lengthened.
        """
        self.quicken(place)
        outer, inner = f"slow-{place}", f"wait-{place}"
        self._ip(
            f"link add {outer} type veth peer name {inner}",
            f"link set {inner} up",
            f"link set {outer} master {_BRIDGE} up",
        )
        what = [place, inner, str(delay_s), self._layout.address(place), *map(str, ports)]
        argv = [sys.executable, "-m", "ftchaos.platforms.lab.slowing", *what]
        line = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._slow[place] = delay_s, line
        if line.stdout is None or line.stdin is None or line.stdout.readline() != b"ready\n":
            self.quicken(place)
            raise StepFailed(f"the cable of {place} cannot be lengthened", "read supervisor.log in the lab's folder")
        self._ip(f"link set {place} nomaster")
        line.stdin.write(b"go\n")
        line.stdin.flush()

    def quicken(self, place: str) -> None:
        """Undo :meth:`slow`; idempotent."""
        if place not in self._slow:
            return
        _, line = self._slow.pop(place)
        line.kill()
        line.communicate()
        self._ip(f"link set {place} master {_BRIDGE}", f"link del slow-{place}")

    def slowed_s(self, place: str) -> float:
        """By how much packets from and to the place come later; 0.0 when they do not."""
        return self._slow[place][0] if place in self._slow else 0.0

    def _filter(self, unwanted: set[Flow]) -> None:
        program = shutil.which("nft") or shutil.which("nft", path="/usr/sbin:/sbin")
        if program is None:
            raise MissingProgram("the program nft is missing", "apt-get install nftables")
        done = subprocess.run(
            [program, "-f", "-"], input=flows.ruleset(unwanted), text=True, capture_output=True, check=False
        )
        if done.returncode != 0:
            raise StepFailed(
                f"packets cannot be filtered: {done.stderr.strip() or done.returncode}", "`ftchaos doctor` says why"
            )
        self._blocked = unwanted

    def _set(self, place: str, *, up: bool) -> None:
        # ioctl instead of ip: 20 times faster, and an instant of injection deserves that.
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as hub:
            name = place.encode()
            (flags,) = struct.unpack_from("H", fcntl.ioctl(hub, _SIOCGIFFLAGS, struct.pack("16sH14x", name, 0)), 16)
            flags = flags | _IFF_UP if up else flags & ~_IFF_UP
            fcntl.ioctl(hub, _SIOCSIFFLAGS, struct.pack("16sH14x", name, flags))

    def _ip(self, *commands: str) -> None:
        program = shutil.which("ip")
        if program is None:
            raise MissingProgram("the program ip is missing", "apt-get install iproute2")
        done = subprocess.run(
            [program, "-b", "-"],
            input="\n".join(commands) + "\n",
            text=True,
            capture_output=True,
            pass_fds=list(self._places.values()),
            check=False,
        )
        if done.returncode != 0:
            raise StepFailed(f"the lab's network cannot be set up: {done.stderr.strip() or done.returncode}")


class Loopback:
    """Places that are loopback addresses: nothing to set up, nothing to cut."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout

    @contextmanager
    def inside(self, place: str) -> Iterator[None]:
        """The machine itself."""
        yield

    def cut(self, place: str) -> None:
        """Refused: loopback addresses cannot be cut.

        Raises:
            Invalid: always.
        """
        raise Invalid(
            f"{place} cannot be cut: this lab runs on loopback addresses",
            "run as root, or allow unprivileged user namespaces; `ftchaos doctor` says how",
        )

    def mend(self, place: str) -> None:
        """Nothing to mend."""

    def is_cut(self, place: str) -> bool:
        """Never."""
        return False

    def block(self, unwanted: Collection[Flow]) -> None:
        """Refused, as :meth:`cut`.

        Raises:
            Invalid: always.
        """
        raise Invalid(
            f"{', '.join(map(str, unwanted))} cannot be cut: this lab runs on loopback addresses",
            "run as root, or allow unprivileged user namespaces; `ftchaos doctor` says how",
        )

    def unblock(self, wanted: Collection[Flow]) -> None:
        """Nothing to mend."""

    def slow(self, place: str, delay_s: float, ports: Collection[int]) -> None:
        """Refused, as :meth:`cut`.

        Raises:
            Invalid: always.
        """
        raise Invalid(
            f"{place} cannot be slowed: this lab runs on loopback addresses",
            "run as root, or allow unprivileged user namespaces; `ftchaos doctor` says how",
        )

    def quicken(self, place: str) -> None:
        """Nothing to mend."""

    def slowed_s(self, place: str) -> float:
        """Never."""
        return 0.0

    def blocked(self) -> list[Flow]:
        """None ever."""
        return []


def ensure_free(address: str, port: int) -> None:
    """Return when nobody listens at the address; call it inside the place.

    Raises:
        Invalid: the port is taken.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((address, port))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            raise Invalid(
                f"port {port} of {address} is taken by another program",
                f"find it with `ss -ltnp 'sport = :{port}'` and end it, or give the lab another name",
            ) from None
