"""``pods/portforward`` over a websocket, as clients of ``v4.channel.k8s.io`` speak it.

Each port has two channels, of data and of errors, and on each the first frame says which port that is. A kubelet
connects within the pod, where no NetworkPolicy is in the way. A connection that ends, ends the websocket; one to a node
that is dead says nothing any more, as the API server does not learn of it.
"""

from __future__ import annotations

import asyncio
import contextlib

from aiohttp import WSMsgType, web
from cluster.standin import addresses
from cluster.standin.asked import Asked
from cluster.standin.controllers.kubelets import Kubelets
from cluster.standin.failures import Refused, bad_request
from cluster.standin.processes import Processes
from cluster.standin.registry import Registry

PROTOCOL = "v4.channel.k8s.io"
_CHUNK = 65_536


class Forwarding:
    """Forwards ports of pods."""

    def __init__(self, registry: Registry, kubelets: Kubelets, processes: Processes) -> None:
        self._registry, self._kubelets, self._processes = registry, kubelets, processes

    async def serve(self, request: web.BaseRequest, asked: Asked) -> web.StreamResponse:
        """Until one end is gone.

        Raises:
            Refused: there is no such pod, or no websocket is asked for.
        """
        assert asked.kind is not None
        pod = self._registry.need(asked.kind, asked.namespace, asked.name)
        if request.headers.get("Upgrade", "").lower() != "websocket":
            raise bad_request("Upgrade request required")
        try:
            ports = [int(one) for one in asked.query.get("ports", "").split(",")]
        except ValueError as error:
            raise bad_request(f"unable to parse ports: {error}") from error
        if pod["spec"].get("nodeName") in self._kubelets.dead:
            await asyncio.sleep(1)
            raise Refused("InternalError", "error dialing backend: dial tcp: i/o timeout", code=500)
        socket = web.WebSocketResponse(protocols=(PROTOCOL,), max_msg_size=0, compress=False, autoclose=True)
        key, uid = (asked.namespace, asked.name), str(pod["metadata"]["uid"])
        address = str((pod.get("status") or {}).get("podIP", ""))
        writers: dict[int, asyncio.StreamWriter] = {}
        tasks = []
        try:
            await socket.prepare(request)
            for number, port in enumerate(ports):
                for channel in (2 * number, 2 * number + 1):
                    await socket.send_bytes(bytes((channel, port % 256, port // 256)))
                target = addresses.inside(address) if key in self._processes.runs else address
                try:
                    reader, writers[number] = await asyncio.open_connection(target, port)
                except OSError as error:
                    said = f"error forwarding port {port} to pod {uid}: failed to connect to localhost:{port}: {error}"
                    await socket.send_bytes(bytes((2 * number + 1,)) + said.encode())
                    continue
                tasks.append(asyncio.create_task(self._up(socket, 2 * number, reader, str(pod["spec"]["nodeName"]))))
            async for message in socket:
                if message.type is WSMsgType.BINARY and (writer := writers.get(message.data[0] // 2)):
                    writer.write(message.data[1:])
                    await writer.drain()
        except OSError:
            pass  # the pod or the client is gone
        finally:
            for task in tasks:
                task.cancel()
            for writer in writers.values():
                writer.close()
        return socket

    async def _up(self, socket: web.WebSocketResponse, channel: int, reader: asyncio.StreamReader, node: str) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(_CHUNK):
                await socket.send_bytes(bytes((channel,)) + data)
        if node not in self._kubelets.dead:
            await socket.close()
