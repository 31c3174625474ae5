"""The HTTP server: who asks, whether they may, and the answer; commands of tests beside it."""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable
from typing import Any

from aiohttp import web
from cluster.standin import discovery
from cluster.standin.asked import Asked, ensure_served, take_apart
from cluster.standin.failures import Refused, forbidden
from cluster.standin.gate import HungUp
from cluster.standin.kinds import Kind
from cluster.standin.rbac import User
from cluster.standin.watching import Watch
from cluster.standin.world import World

Commands = dict[str, Callable[..., Any]]


class Front:
    """Answers HTTP requests."""

    def __init__(self, world: World, commands: Commands, address: str = "") -> None:
        self._world, self._commands, self.address = world, commands, address

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        content = await request.read()
        if request.path.startswith("/standin/"):
            return self._command(request.path.rpartition("/")[2], content)
        asked = Asked(
            request.method, request.path, request.query, content=content, agent=request.headers.get("User-Agent", ""),
            content_type=request.headers.get("Content-Type", "application/json").partition(";")[0].strip(),
        )  # fmt: skip
        take_apart(asked, self._world.kinds)
        entry = self._world.gate.note(asked)
        try:
            asked.user = self._user(request)
            entry["user"] = asked.user.name
            mishaps, stops = await self._world.gate.before(asked)
            status, body = await self._answer(request, asked, entry)
            await self._world.gate.after(mishaps, stops)
        except Refused as refusal:
            entry["status"] = refusal.code
            late = {} if refusal.retry_after_s is None else {"Retry-After": str(refusal.retry_after_s)}
            return _json(refusal.code, refusal.body(), late)
        except HungUp:
            entry["status"] = entry["status"] or -1
            if request.transport is not None:
                request.transport.abort()
            return web.Response()
        except Exception as error:  # noqa: BLE001 - a flaw in here is a 500, and fails the test that asked
            traceback.print_exc()
            entry["status"] = 500
            return _json(500, Refused("InternalError", f"Internal error occurred: {error!r}").body())
        if isinstance(body, web.StreamResponse):
            return body
        entry["status"] = status
        return _json(status, body)

    def _user(self, request: web.BaseRequest) -> User:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        user = self._world.api.tokens.get(token) if scheme.lower() == "bearer" else None
        if user is None:
            raise Refused("Unauthorized", "Unauthorized")
        return user

    async def _answer(self, request: web.BaseRequest, asked: Asked, entry: dict[str, Any]) -> tuple[int, Any]:
        world = self._world
        if not world.authorizer.allows(asked.user, asked.attributes):
            raise _forbidden(asked)
        if not asked.resource:
            found = discovery.answer(asked.path, world.kinds, self.address)
            if found is None:
                raise Refused("NotFound", "the server could not find the requested resource", {})
            return 200, found
        if asked.subresource == "portforward":
            # The upgrade is a GET, and since 1.35 whoever asks for it must be allowed to create as well.
            asked.verb = "create"
            if not world.authorizer.allows(asked.user, asked.attributes):
                raise _forbidden(asked)
            ensure_served(asked)
            entry["status"] = 101
            return 101, await world.forwarding.serve(request, asked)
        if asked.verb != "watch":
            answer = world.api.answer(asked)
            entry["status"] = answer[0]
            return answer
        watch = Watch(world.store, world.settings, world.gate, ensure_served(asked), asked)
        stream = web.StreamResponse(headers={"Content-Type": "application/json"})
        stream.enable_chunked_encoding()
        try:
            await stream.prepare(request)
            entry["status"] = 200
            await watch.run(stream.write)
        except (ConnectionError, OSError):
            pass  # the client has gone
        finally:
            watch.end()
        return 200, stream

    def _command(self, name: str, content: bytes) -> web.Response:
        try:
            return _json(200, self._commands[name](**json.loads(content or b"{}")))
        except Exception as error:  # noqa: BLE001 - who commanded is told
            return _json(500, repr(error))


def _json(status: int, body: Any, headers: dict[str, str] | None = None) -> web.Response:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return web.Response(status=status, body=content, headers={"Content-Type": "application/json", **(headers or {})})


def _forbidden(asked: Asked) -> Refused:
    if not asked.resource:
        fact = f'forbidden: User "{asked.user.name}" cannot {asked.verb} path "{asked.path}"'
        return Refused("Forbidden", fact, {})
    wanted = asked.attributes
    where = f'in the namespace "{asked.namespace}"' if asked.namespace else "at the cluster scope"
    why = f'User "{asked.user.name}" cannot {asked.verb} resource "{wanted.full}" in API group "{asked.group}" {where}'
    kind = asked.kind or Kind(asked.group, asked.version, asked.resource, "")
    return forbidden(kind, asked.name, why)
