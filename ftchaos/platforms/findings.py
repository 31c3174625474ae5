"""What a doctor says of an environment: for each claim whether it is so, and what to do; nothing here does I/O."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

Status = Literal["met", "not met", "unknown", "not asked"]


@dataclass(frozen=True)
class Finding:
    """One claim that was looked at.

    Attributes:
        seen: what was read, or why nothing was.
        hint: what to do about it; empty where it is met.
    """

    claim: str
    status: Status
    seen: str
    hint: str = ""


@dataclass(frozen=True)
class Unread:
    """Something that could not be read.

    Attributes:
        denied: the permission that is missing, if it was that.
        unnamed: the key of the configuration that would say what to read.
        unasked: nobody wants to know, as without that key the claim says nothing: no failure of an examination.
    """

    why: str
    denied: str = ""
    unnamed: str = ""
    unasked: bool = False


def judgement(claim: str, part: Any, judge: Callable[[Any], tuple[bool, str, str]]) -> Iterator[Finding]:
    """A finding from a judgement (is it so, what was seen, what to do), unknown where nothing was read."""
    if isinstance(part, Unread):
        hint = f"name it in the configuration: {part.unnamed}" if part.unnamed else ""
        yield Finding(
            claim,
            "not asked" if part.unasked else "unknown",
            part.why,
            hint or (f"allow {part.denied}" if part.denied else ""),
        )
        return
    met, what, hint = judge(part)
    yield Finding(claim, "met" if met else "not met", what, "" if met else hint)
