"""The values in a policy as people write them, each refused with its own words."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

from ftchaos import units
from ftchaos.errors import Invalid
from ftchaos.gate import confidence

MOST_PASSES = 1000
_CENTURY_S = 36525 * 86400.0


@dataclass(frozen=True)
class Margin:
    """The most that a figure may be: a share of its objective, or seconds.

    Attributes:
        text: as it was written.
    """

    text: str
    share: float | None = None
    seconds: float | None = None

    def limit_s(self, objective_s: float) -> float:
        """In seconds, beside this objective; never more than the objective itself."""
        if self.share is not None:
            return self.share * objective_s
        return objective_s if self.seconds is None else min(objective_s, self.seconds)


def _wrong(fact: str, hint: str) -> PydanticCustomError:
    return PydanticCustomError("unit", "{fact}", {"fact": fact, "hint": hint})


def _duration_s(value: Any) -> float:
    try:
        seconds = units.duration_s(value)
    except Invalid as error:
        raise _wrong(error.fact, error.hint) from error
    if not 0 < seconds <= _CENTURY_S:
        raise _wrong(f"{value!r} is no length of time that can pass", "write it like 12h, 31d or 90d")
    return seconds


def _share(value: Any) -> float:
    try:
        share = units.share(value)
    except Invalid as error:
        raise _wrong(error.fact, error.hint) from error
    if not 0 < share < 1:
        raise _wrong(f"{value!r} lies not between 0 and 100 %", "write it like 95%; no number of passes proves 100 %")
    if confidence.passes_for(share) > MOST_PASSES:
        raise _wrong(f"{value!r} would take more than {MOST_PASSES} passes in a row", "99.7% is the most")
    return share


def _margin(value: Any) -> Margin:
    text = str(value).strip()
    if not isinstance(value, str):
        raise _wrong(f"{text[:40]!r} is no margin", "write a share of the objective like 50%, or a time like 30s")
    if text.endswith("%"):
        try:
            share = units.share(text)
        except Invalid as error:
            raise _wrong(error.fact, "write a share of the objective like 50%") from error
        return Margin(text, share=share)
    try:
        return Margin(text, seconds=units.duration_s(text))
    except Invalid as error:
        raise _wrong(error.fact, "write a share of the objective like 50%, or a time like 30s") from error


def _date(value: Any) -> date:
    # pydantic would take a number for seconds since 1970; YAML gives a date or a text.
    if type(value) is date:
        return value
    if isinstance(value, str) and re.fullmatch(r"\d{4}-\d\d-\d\d", value.strip()):
        try:
            return date.fromisoformat(value.strip())
        except ValueError:
            pass  # such as the 31st of February: refused below
    raise _wrong(f"{str(value)[:40]!r} is no date", "write the last day like 2026-12-31")


Duration = Annotated[float, BeforeValidator(_duration_s)]
Rate = Annotated[float, BeforeValidator(_share)]
Limit = Annotated[Margin, BeforeValidator(_margin)]
Day = Annotated[date, BeforeValidator(_date)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
Run = Annotated[str, Field(pattern=r"^(drill|experiment|gameday)/[a-z0-9][a-z0-9-]{0,99}$")]
Key = Annotated[str, Field(min_length=1, max_length=200)]
Words = Annotated[str, Field(min_length=1, max_length=500)]
