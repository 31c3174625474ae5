"""What the API server says when it refuses: the Status body, as clients parse it."""

from __future__ import annotations

from typing import Any

from cluster.standin.kinds import Kind

CODES = {
    "BadRequest": 400,
    "Unauthorized": 401,
    "Forbidden": 403,
    "NotFound": 404,
    "MethodNotAllowed": 405,
    "AlreadyExists": 409,
    "Conflict": 409,
    "Expired": 410,
    "Gone": 410,
    "UnsupportedMediaType": 415,
    "Invalid": 422,
    "TooManyRequests": 429,
    "InternalError": 500,
    "ServiceUnavailable": 503,
    "Timeout": 504,
}


class Refused(Exception):
    """An answer other than success.

    Attributes:
        code: the HTTP status.
        reason: the word that clients tell failures apart by.
        details: what it is about; None where the server says nothing.
        retry_after_s: for the ``Retry-After`` header.
    """

    def __init__(
        self, reason: str, message: str, details: dict[str, Any] | None = None, *,
        code: int | None = None, retry_after_s: int | None = None,
    ) -> None:  # fmt: skip
        super().__init__(message)
        self.reason, self.message, self.details, self.retry_after_s = reason, message, details, retry_after_s
        self.code = CODES[reason] if code is None else code

    def body(self) -> dict[str, Any]:
        """The Status."""
        status: dict[str, Any] = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"}
        status |= {"message": self.message, "reason": self.reason}
        details = dict(self.details or {})
        if self.retry_after_s is not None:
            details["retryAfterSeconds"] = self.retry_after_s
        if details:
            status["details"] = details
        return {**status, "code": self.code}


def details(kind: Kind, name: str = "") -> dict[str, Any]:
    """What most refusals are about."""
    found = {"name": name, "group": kind.group, "kind": kind.plural}
    return {key: value for key, value in found.items() if value}


def not_found(kind: Kind, name: str) -> Refused:
    return Refused("NotFound", f'{kind.qualified} "{name}" not found', details(kind, name))


def already_exists(kind: Kind, name: str) -> Refused:
    return Refused("AlreadyExists", f'{kind.qualified} "{name}" already exists', details(kind, name))


def conflict(kind: Kind, name: str, why: str = "") -> Refused:
    why = why or "the object has been modified; please apply your changes to the latest version and try again"
    fact = f'Operation cannot be fulfilled on {kind.qualified} "{name}": {why}'
    return Refused("Conflict", fact, details(kind, name))


def forbidden(kind: Kind, name: str, why: str) -> Refused:
    subject = f'{kind.qualified} "{name}" is' if name else f"{kind.qualified} is"
    return Refused("Forbidden", f"{subject} forbidden: {why}", details(kind, name))


def invalid(kind: Kind, name: str, field: str, why: str, cause: str = "FieldValueInvalid") -> Refused:
    """An object whose field may not be as it is; ``why`` begins with the sort: ``Required value``."""
    about = {"name": name, "group": kind.group, "kind": kind.kind}
    about = {key: value for key, value in about.items() if value}
    causes = [{"reason": cause, "message": why, "field": field}]
    subject = kind.kind + (f".{kind.group}" if kind.group else "")
    return Refused("Invalid", f'{subject} "{name}" is invalid: {field}: {why}', {**about, "causes": causes})


def bad_request(message: str) -> Refused:
    return Refused("BadRequest", message)
