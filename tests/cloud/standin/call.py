"""One API call as botocore's model of its service understands it, and the answer in the words of its protocol."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from moto.core.exceptions import ServiceException
from moto.core.model import OperationModel
from moto.core.parse import PROTOCOL_PARSERS
from moto.core.request import Request, determine_request_protocol
from moto.core.routing import get_service_router
from moto.core.serialize import XFormedAttributePicker, get_serializer_class
from moto.core.utils import get_service_model

# Signing names that are not the names of botocore's models.
_SERVICES = {
    "elasticloadbalancing": "elbv2",
    "monitoring": "cloudwatch",
    "tagging": "resourcegroupstaggingapi",
    "servicequotas": "service-quotas",
}
Environ = dict[str, Any]
App = Callable[[Environ, Any], Iterable[bytes]]


class Refused(ServiceException):
    """An error as the service gives it."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(code, message)
        self.status = status


@dataclass(frozen=True)
class Answer:
    """A finished HTTP answer."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    @property
    def ok(self) -> bool:
        return self.status < 300


@dataclass
class Call:
    """A call of an operation.

    Attributes:
        service: name of botocore's model, for example ``rds``.
        operation: for example ``DescribeDBInstances``.
        region: where it was sent to.
        params: the parameters by their names in the model.
        moto: lets moto answer this call.
    """

    service: str
    operation: str
    region: str
    params: dict[str, Any]
    model: OperationModel
    protocol: str
    moto: Callable[[], Answer]

    def answer(self, result: Any) -> Answer:
        """A result, or an error, as its protocol writes it."""
        serializer = get_serializer_class(self.service, self.protocol)(
            operation_model=self.model, value_picker=XFormedAttributePicker()
        )
        done = serializer.serialize(result)
        status = getattr(result, "status", None) if isinstance(result, Refused) else None
        body = done["body"]
        return Answer(
            status or done["status_code"],
            [(name, str(value)) for name, value in done["headers"].items()],
            body.encode() if isinstance(body, str) else body,
        )


def parse(environ: Environ, app: App) -> Call | None:
    """What is called; None for what is no call of a known operation (moto's own pages, unsigned requests).

    The body is put back, so that the application can read it again.
    """
    scope = _scope(environ.get("HTTP_AUTHORIZATION", ""))
    if scope is None:
        return None
    region, signing = scope
    service = _SERVICES.get(signing, signing)
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))

    def moto() -> Answer:
        return collect(app, {**environ, "wsgi.input": io.BytesIO(body)})

    environ["wsgi.input"] = io.BytesIO(body)
    request = Request({**environ, "wsgi.input": io.BytesIO(body)})
    try:
        model = get_service_model(service)
        protocol = determine_request_protocol(model, request.content_type)
        found: dict[str, Any] = {}
        if protocol in ("query", "ec2"):
            name = request.values.get("Action", "")
        elif protocol == "json":
            name = request.headers.get("X-Amz-Target", "").rpartition(".")[2]
        else:
            operation, found = get_service_router(service).match(request)
            name = operation.name
        operation = model.operation_model(name)
    except Exception:  # noqa: BLE001 - moto's routing of what it does not know fails in many ways
        return None
    parser = PROTOCOL_PARSERS[protocol](operation)
    params = parser.parse(
        {
            "method": request.method,
            "values": request.values,
            "headers": request.headers,
            "body": body,
            "url_path": request.path,
            "url_params": found,
        }
    )
    return Call(service, name, region, dict(params), operation, protocol, moto)


def collect(app: App, environ: Environ) -> Answer:
    """The answer of a WSGI application."""
    head: list[Any] = []
    body = app(environ, lambda status, headers, _=None: head.extend((status, headers)))
    try:
        text = b"".join(body)
    finally:
        if hasattr(body, "close"):
            body.close()
    return Answer(int(head[0].split()[0]), head[1], text)


def _scope(authorization: str) -> tuple[str, str] | None:
    """Region and service that a request was signed for."""
    for part in authorization.replace(",", " ").split():
        if part.startswith("Credential=") and part.count("/") >= 4:
            _, _, region, service, _ = part.removeprefix("Credential=").rsplit("/", 4)
            return region, service
    return None
