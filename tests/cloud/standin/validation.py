"""Whether a call keeps to botocore's model: what ``ParamValidator`` checks, and enums, patterns and lengths beside."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from botocore.validate import ParamValidator


def violations(shape: Any, params: dict[str, Any]) -> list[str]:
    """One sentence for each parameter that the model does not allow.

    Args:
        shape: the input shape of the operation; None when it takes nothing.
        params: its parameters.
    """
    if shape is None:
        return []
    report = ParamValidator().validate(params, shape)
    return [*filter(None, [report.generate_report()]), *_walk(shape, params, shape.name)]


def _walk(shape: Any, value: Any, place: str) -> Iterator[str]:
    if shape.type_name == "structure" and isinstance(value, dict):
        for name, below in value.items():
            if name in shape.members:
                yield from _walk(shape.members[name], below, f"{place}.{name}")
    elif shape.type_name == "list" and isinstance(value, list):
        for number, below in enumerate(value):
            yield from _walk(shape.member, below, f"{place}[{number}]")
    elif shape.type_name == "map" and isinstance(value, dict):
        for key, below in value.items():
            yield from _walk(shape.value, below, f"{place}.{key}")
    elif isinstance(value, str) and shape.type_name == "string":
        yield from _string(shape, value, place)


def _string(shape: Any, value: str, place: str) -> Iterator[str]:
    allowed = getattr(shape, "enum", None)
    if allowed and value not in allowed:
        yield f"{place}: {value!r} is none of {', '.join(allowed)}"
    longest = shape.metadata.get("max")
    if longest is not None and len(value) > longest:
        yield f"{place}: {len(value)} characters are more than {longest}"
    pattern = shape.metadata.get("pattern")
    if pattern:
        try:
            matched = re.fullmatch(pattern, value, re.DOTALL)
        except re.error:
            return  # some are written for Java's expressions only
        if matched is None and re.search(pattern, value) is None:
            yield f"{place}: {value!r} does not match {pattern}"
