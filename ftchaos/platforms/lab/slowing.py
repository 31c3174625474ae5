"""A delay line in a zone's cable: a process that passes its packets on, those of some TCP ports later than they came.

``python -m ftchaos.platforms.lab.slowing ZONE-SIDE HUB-SIDE DELAY_S ADDRESS PORT...`` in the hub's network. It says
that it is ready, and passes packets on from the first line of its input on. The kernel's own delay (netem) is missing
from many kernels, and delays all of a cable or needs filters that are missing more often; this is the same everywhere.
"""

from __future__ import annotations

import select
import socket
import sys
import time
from collections import deque
from collections.abc import Collection
from contextlib import suppress

from ftchaos.process import die_with_parent

_ETH_P_ALL = 3
_SOL_PACKET = 263
_PACKET_VNET_HDR = 15  # a header that says what the kernel has still to do: checksums, cutting large segments
_PACKET_IGNORE_OUTGOING = 23
_VNET_HEADER_BYTES = 10
_ETHERNET_BYTES = 14
_FRAME_BYTES = 1 << 17
_AT_ONCE = 64


def line(interface: str) -> socket.socket:
    """A socket that gets all packets that come in at an interface, and sends out there."""
    found = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL))
    found.setsockopt(_SOL_PACKET, _PACKET_VNET_HDR, 1)
    found.setsockopt(_SOL_PACKET, _PACKET_IGNORE_OUTGOING, 1)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
    found.bind((interface, 0))
    found.setblocking(False)
    return found


def concerns(frame: bytes, address: bytes, ports: Collection[int]) -> bool:
    """Whether a packet comes from or goes to one of the TCP ports of an address.

    Args:
        frame: with the kernel's header before the Ethernet one.
    """
    ip = _VNET_HEADER_BYTES + _ETHERNET_BYTES
    if len(frame) < ip + 24 or frame[ip - 2 : ip] != b"\x08\x00" or frame[ip + 9] != socket.IPPROTO_TCP:
        return False
    tcp = ip + (frame[ip] & 0xF) * 4
    if frame[ip + 12 : ip + 16] == address:
        return int.from_bytes(frame[tcp : tcp + 2]) in ports
    return frame[ip + 16 : ip + 20] == address and int.from_bytes(frame[tcp + 2 : tcp + 4]) in ports


class DelayLine:
    """Two ends of a cable, and the packets that are on their way."""

    def __init__(
        self, ends: tuple[socket.socket, socket.socket], delay_s: float, address: str, ports: Collection[int]
    ) -> None:
        self._other = {ends[0]: ends[1], ends[1]: ends[0]}
        self._delay_s = delay_s
        self._address, self._ports = socket.inet_aton(address), ports
        self._waiting: deque[tuple[float, socket.socket, bytes]] = deque()  # in order, for all wait equally long

    def forget_all(self) -> None:
        """Drop what came in so far."""
        for end in self._other:
            with suppress(OSError):
                while end.recv(_FRAME_BYTES):
                    pass

    def pass_on(self) -> None:
        """Pass packets on for ever."""
        while True:
            wait_s = max(0.0, self._waiting[0][0] - time.monotonic()) if self._waiting else None
            ready, _, _ = select.select(list(self._other), [], [], wait_s)
            for end in ready:
                self._take(end)
            while self._waiting and self._waiting[0][0] <= time.monotonic():
                _, end, frame = self._waiting.popleft()
                _send(end, frame)

    def _take(self, end: socket.socket) -> None:
        other = self._other[end]
        for _ in range(_AT_ONCE):
            try:
                frame = end.recv(_FRAME_BYTES)
            except OSError:
                return  # nothing more at this moment, or the cable is down
            if concerns(frame, self._address, self._ports):
                self._waiting.append((time.monotonic() + self._delay_s, other, frame))
            else:
                _send(other, frame)


def _send(end: socket.socket, frame: bytes) -> None:
    with suppress(OSError):  # a full queue and a dead cable lose packets, as networks do
        end.send(frame)


def main(zone_side: str, hub_side: str, delay_s: str, address: str, *ports: str) -> None:
    """Be a delay line until killed."""
    die_with_parent()
    cable = DelayLine((line(zone_side), line(hub_side)), float(delay_s), address, {int(port) for port in ports})
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    cable.forget_all()
    cable.pass_on()


if __name__ == "__main__":
    main(*sys.argv[1:])
