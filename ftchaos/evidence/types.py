"""The kinds of values in evidence: instants, bounded texts and bounded lists.

Evidence is written when things have gone wrong, so a text that is too long is cut and a list that is
too long keeps its head: refusing to write would lose the rest. What is kept stays within bounds, so
that a report of any run remains a small file.
"""

from __future__ import annotations

import json
import math
import re
from typing import Annotated, Any, TypeVar

from pydantic import BeforeValidator, Field

TEXT_CHARACTERS = 2000
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
_SECRET = re.compile(r"passw|secret|token|credential|(^|_)key$|apikey|api_key", re.IGNORECASE)
HIDDEN = "(hidden)"

Item = TypeVar("Item")


def _bounded_text(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    # A server's message may carry escape sequences or bytes that no XML or terminal should see.
    clean = _CONTROL.sub("\N{REPLACEMENT CHARACTER}", value)
    return clean if len(clean) <= TEXT_CHARACTERS else clean[: TEXT_CHARACTERS - 1] + "…"


def _first(count: int) -> BeforeValidator:
    return BeforeValidator(lambda value: list(value)[:count] if isinstance(value, list | tuple) else value)


def settings(values: Any) -> Any:
    """A mapping of settings or arguments, flat, where whatever is named like a secret is hidden."""
    if not isinstance(values, dict):
        return values
    return {name: _flat(value) for name, value in _without_secrets(values).items()}


def _without_secrets(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            str(name): HIDDEN if _SECRET.search(str(name)) and inner else _without_secrets(inner)
            for name, inner in value.items()
        }
    return [_without_secrets(inner) for inner in value] if isinstance(value, list | tuple) else value


def _flat(value: Any) -> Any:
    if isinstance(value, list | dict):
        return json.dumps(value, default=str, ensure_ascii=False)
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value if isinstance(value, str | int | float | None) else str(value)


Text = Annotated[str, BeforeValidator(_bounded_text), Field(max_length=TEXT_CHARACTERS)]
Instant = Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z$")]
Seconds = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=0)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Scalar = bool | int | float | Text | None
Settings = Annotated[dict[str, Scalar], BeforeValidator(settings)]

# A type alias per bound, as the bound is part of the published schema.
UpTo20 = Annotated[list[Item], _first(20), Field(max_length=20)]
UpTo100 = Annotated[list[Item], _first(100), Field(max_length=100)]
UpTo200 = Annotated[list[Item], _first(200), Field(max_length=200)]
UpTo600 = Annotated[list[Item], _first(600), Field(max_length=600)]
