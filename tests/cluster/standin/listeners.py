"""Real TCP listeners behind pods that a test chose, so that a witness sees them go down.

A pod with the annotation ``standin/listen`` gets an address out of 127.0.0.0/8 as its pod IP when it begins, and while
it runs something really listens there on its first container port: it answers every HTTP request with the pod's name,
and says nothing else. It stops when the pod does, when its node dies, when its application is sick (the listener stays,
but answers no more), and while a NetworkPolicy lets nobody outside of the cluster come in. A client whose own address
is that of such a pod is judged as that pod.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import struct
from typing import Any

from cluster.standin.controllers.kubelets import LISTEN, Kubelets
from cluster.standin.controllers.loop import Loop, key_of
from cluster.standin.policies import OUTSIDE, Policies
from cluster.standin.store import Change, Key

Obj = dict[str, Any]


class Listeners:
    """What listens for pods."""

    def __init__(self, loop: Loop, kubelets: Kubelets, policies: Policies) -> None:
        self._loop, self._registry, self._kubelets, self._policies = loop, loop.registry, kubelets, policies
        self._servers: dict[Key, tuple[str, asyncio.Server]] = {}
        self._begun: set[Key] = set()
        self._open: dict[Key, set[asyncio.StreamWriter]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        loop.on("pods", lambda change: self._due(change))
        for plural in ("networkpolicies", "namespaces"):
            loop.on(plural, lambda change: self.look())
        kubelets.changed.append(self.look)

    def reset(self) -> None:
        for key in list(self._servers):
            self._close(key)

    def look(self) -> None:
        """Look again at all pods that listen or should."""
        for pod in self._loop.store.objects("pods"):
            if LISTEN in (pod["metadata"].get("annotations") or {}):
                self._loop.due(self._reconcile, *key_of(pod))

    def _due(self, change: Change) -> None:
        if LISTEN in (change.record.obj["metadata"].get("annotations") or {}):
            self._loop.due(self._reconcile, *key_of(change.record.obj))

    def _reconcile(self, namespace: str, name: str) -> None:
        key, pod = (namespace, name), self._registry.get("pods", namespace, name)
        runs = (
            pod is not None
            and pod["status"].get("phase") == "Running"
            and pod["spec"]["nodeName"] not in self._kubelets.dead
        )
        open_ = pod is not None and runs and self._policies.allows(pod, OUTSIDE, anybody=True)
        address = pod["status"].get("podIP", "") if pod and open_ else ""
        if key in self._servers and self._servers[key][0] != address:
            self._close(key)
        if key in self._begun:
            return  # it is looked at again once it listens
        if address and key not in self._servers:
            self._listen(key, address, port_of(pod or {}))
        elif address and pod:
            self._cut(key, pod)

    def _listen(self, key: Key, address: str, port: int) -> None:
        made = socket.create_server((address, port), backlog=64)
        made.setblocking(False)
        self._begun.add(key)

        async def serve() -> None:
            server = await asyncio.start_server(lambda reader, writer: self._answer(key, reader, writer), sock=made)
            self._begun.discard(key)
            self._servers[key] = address, server
            self._loop.due(self._reconcile, *key)

        task = asyncio.get_running_loop().create_task(serve())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _close(self, key: Key) -> None:
        _, server = self._servers.pop(key)
        server.close()
        for writer in self._open.pop(key, set()):
            writer.transport.abort()

    def _cut(self, key: Key, pod: Obj) -> None:
        """Close the connections of those who may not come in any more."""
        for writer in list(self._open.get(key, ())):
            if not self._policies.allows(pod, writer.get_extra_info("peername")[0]):
                writer.transport.abort()

    async def _answer(self, key: Key, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        pod = self._registry.get("pods", *key)
        if pod is None or not self._policies.allows(pod, writer.get_extra_info("peername")[0]):
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
            return
        self._open.setdefault(key, set()).add(writer)
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                if key not in self._kubelets.sick and head.startswith((b"GET ", b"HEAD ")):
                    body = json.dumps({"namespace": key[0], "pod": key[1], "node": pod["spec"]["nodeName"]}).encode()
                    length = f"Content-Length: {len(body)}\r\n\r\n".encode()
                    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n" + length + body)
                    await writer.drain()
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError):
            pass  # it has gone, or speaks no HTTP
        finally:
            self._open.get(key, set()).discard(writer)
            with contextlib.suppress(OSError):
                writer.close()


def port_of(pod: Obj) -> int:
    """The first container port of a pod."""
    ports = [port["containerPort"] for one in pod["spec"]["containers"] for port in one.get("ports") or []]
    return int(ports[0]) if ports else 8080
