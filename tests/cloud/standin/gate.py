"""Where every call comes in: parsed, kept, validated, refused or slowed down on demand, and then answered."""

from __future__ import annotations

import json
import threading
import time
import traceback
from collections.abc import Callable, Iterable
from typing import Any

from standin import call as calls
from standin import validation
from standin.call import Answer, App, Call, Environ, Refused

CONTROL = "/standin/"
Handler = Callable[[Call], Any]
Command = Callable[..., Any]


class Gate:
    """A WSGI application in front of moto's.

    Args:
        app: moto's.
        handlers: what answers in moto's place, by service and operation: it returns a result for the serializer, or
            an :class:`~standin.call.Answer`, or None to let moto answer.
        commands: what ``POST /standin/<name>`` does, with the JSON object in its body as arguments.
    """

    def __init__(self, app: App, handlers: dict[tuple[str, str], Handler], commands: dict[str, Command]) -> None:
        self._app = app
        self._handlers = handlers
        self._lock = threading.Lock()
        self._calls: list[dict[str, Any]] = []
        self._failures: list[dict[str, Any]] = []
        self._commands = {
            "log": self.log,
            "clear": self.clear,
            "fail_next": self.fail_next,
            **commands,
        }

    def __call__(self, environ: Environ, start_response: Any) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if path.startswith(CONTROL):
            answer = self._control(path.removeprefix(CONTROL), environ)
        else:
            call = calls.parse(environ, self._app)
            if call is None:
                return self._app(environ, start_response)
            answer = self._handle(call)
        head = [(name, value) for name, value in answer.headers if name.lower() != "content-length"]
        start_response(f"{answer.status} -", [*head, ("Content-Length", str(len(answer.body)))])
        return [answer.body]

    def fail_next(self, operation: str, code: str, times: int = 1, status: int = 400, after: bool = False) -> None:
        """Let the next calls of an operation fail.

        Args:
            operation: for example ``RebootDBInstance``; ``*`` for all.
            code: of the error.
            times: how often.
            status: of HTTP.
            after: whether the call takes effect nevertheless, as when an answer is lost on its way.
        """
        with self._lock:
            self._failures.append(
                {"operation": operation, "code": code, "times": times, "status": status, "after": after}
            )

    def log(self) -> list[dict[str, Any]]:
        """All calls since the beginning or the last :meth:`clear`, the oldest first."""
        with self._lock:
            return list(self._calls)

    def clear(self) -> None:
        """Forget the calls, and the failures that have not yet come up."""
        with self._lock:
            self._calls.clear()
            self._failures.clear()

    def _handle(self, call: Call) -> Answer:
        entry: dict[str, Any] = {
            "service": call.service,
            "operation": call.operation,
            "region": call.region,
            "params": json.loads(json.dumps(call.params, default=str)),
            "at": time.time(),
            "violations": [],
            "status": 0,
        }
        with self._lock:
            self._calls.append(entry)
            failure = self._failure(call.operation)
        answer = self._answer(call, entry, failure)
        entry["status"] = answer.status
        return answer

    def _answer(self, call: Call, entry: dict[str, Any], failure: dict[str, Any] | None) -> Answer:
        broken = [] if call.service == "s3" else validation.violations(call.model.input_shape, call.params)
        if broken:
            entry["violations"] = broken
            return call.answer(Refused("ValidationError", "; ".join(broken)))
        if failure and not failure["after"]:
            return call.answer(Refused(failure["code"], "as the test demanded", failure["status"]))
        try:
            handler = self._handlers.get((call.service, call.operation))
            result = handler(call) if handler else None
            answer = call.moto() if result is None else result
            if not isinstance(answer, Answer):
                answer = call.answer(answer)
        except Refused as refusal:
            return call.answer(refusal)
        except Exception:  # noqa: BLE001 - the test must see what went wrong in here
            traceback.print_exc()
            entry["crash"] = traceback.format_exc()
            return call.answer(Refused("InternalFailure", traceback.format_exc(limit=-3), 500))
        if failure:
            return call.answer(Refused(failure["code"], "as the test demanded", failure["status"]))
        return answer

    def _failure(self, operation: str) -> dict[str, Any] | None:
        for failure in self._failures:
            if failure["operation"] in (operation, "*"):
                failure["times"] -= 1
                if failure["times"] <= 0:
                    self._failures.remove(failure)
                return failure
        return None

    def _control(self, name: str, environ: Environ) -> Answer:
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        try:
            done = self._commands[name](**json.loads(body or b"{}"))
            status = 200
        except Exception:  # noqa: BLE001 - handed to the test
            done, status = traceback.format_exc(), 500
        text = json.dumps(done, default=str).encode()
        return Answer(status, [("Content-Type", "application/json")], text)
