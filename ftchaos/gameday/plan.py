"""The YAML of a game day: people, a time box, and parts in order, each an experiment, a drill, a pause or a question.

Unknown keys are errors, each with its line. The definitions that it names must be there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictBool, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from ftchaos import definitions
from ftchaos.config import Duration, Weekly
from ftchaos.errors import Invalid
from ftchaos.gameday import cron
from ftchaos.gameday.cron import Cron
from ftchaos.yamlfile import YamlFile, read_yaml

LONGEST_S = 7 * 86400.0
ANSWER_S = 1800.0
_CENTURY = 100
OPTIONS = ("lab", "method", "mysql-flavour", "rpo", "rto", "size", "to", "warm-timeout")
"""What a part may choose of any definition ..."""
OF_EXPERIMENTS = ("durability", "manner", "zone")
OF_RESTORE = ("binlogs", "from")

Kind = Literal["experiment", "drill", "pause", "manual"]


def _parsed(parse: Callable[[Any], Any]) -> BeforeValidator:
    def validate(value: Any) -> Any:
        try:
            return parse(value)
        except Invalid as error:
            raise PydanticCustomError("unit", "{fact}", {"fact": error.fact, "hint": error.hint}) from error

    return BeforeValidator(validate)


Name = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]
Line = Annotated[str, Field(min_length=1, max_length=500, pattern=r"^[^\x00-\x1f\x7f-\x9f]+$")]
Bounded = Annotated[Duration, Field(gt=0, le=LONGEST_S)]
Value = Annotated[str, Field(min_length=1, max_length=500, pattern=r"^[^\x00-\x1f\x7f]+$")] | int | float
Expression = Annotated[Cron, _parsed(cron.parse)]


class _Strict(BaseModel):
    model_config = ConfigDict(
        extra="forbid", frozen=True, hide_input_in_errors=True, str_strip_whitespace=True, arbitrary_types_allowed=True
    )


class Person(_Strict):
    """Who takes part, and as what."""

    name: Line
    role: Line = "participant"


class Schedule(_Strict):
    """When the day comes again.

    Attributes:
        cron: in UTC.
        window: in which alone it may begin.
        start_within: how late a scheduler may begin it; after that it has been missed.
    """

    cron: Expression
    window: Weekly | None = None
    start_within: Bounded = 3600.0


class Part(_Strict):
    """One part of the day; exactly one of the first four is given.

    Attributes:
        manual: what a person is asked to do and to confirm.
        role: who of the people is asked.
        within: how long the answer may take.
        options: of the definition, as on the command line.
        only_if_passed: leave it out unless the part before it, pauses aside, passed.
        continue_on_failure: go on whatever comes of it, but never when it left harm or was interrupted.
    """

    experiment: Name | None = None
    drill: Name | None = None
    pause: Bounded | None = None
    manual: Line | None = None
    name: Name = ""
    role: Line | None = None
    within: Bounded = ANSWER_S
    options: dict[str, Value] = {}
    only_if_passed: StrictBool = False
    continue_on_failure: StrictBool = False

    @model_validator(mode="after")
    def _is_one_thing(self) -> Part:
        given = [kind for kind in ("experiment", "drill", "pause", "manual") if getattr(self, kind) is not None]
        if len(given) != 1:
            raise ValueError("a part is exactly one of experiment, drill, pause and manual")
        if self.options and given[0] in ("pause", "manual"):
            raise ValueError(f"a {given[0]} has no options")
        if given[0] != "manual" and self.model_fields_set & {"role", "within"}:
            raise ValueError("'role' and 'within' belong to a manual part")
        return self

    @property
    def kind(self) -> Kind:
        if self.experiment is not None:
            return "experiment"
        if self.drill is not None:
            return "drill"
        return "manual" if self.pause is None else "pause"

    @property
    def is_run(self) -> bool:
        return self.kind in ("experiment", "drill")

    @property
    def definition(self) -> str:
        """The definition that it plays; empty for a pause and a question."""
        return self.experiment or self.drill or ""

    @property
    def allowed_options(self) -> tuple[str, ...]:
        more = OF_EXPERIMENTS if self.kind == "experiment" else OF_RESTORE if self.drill == "restore" else ()
        return tuple(sorted((*OPTIONS, *more)))

    def arguments(self) -> list[str]:
        """Of ``ftchaos``: kind, command, definition and options, each option one word so that it stays one."""
        chosen = [f"--{key}={value}" for key, value in self.options.items()]
        if self.drill == "restore":  # the only one that takes a backup of one's own
            return ["drill", "restore", *chosen]
        return [self.kind, "run", self.definition, *chosen]


class Plan(_Strict):
    """A checked plan; every part has a name."""

    name: Name
    title: Line
    description: Annotated[str, Field(max_length=2000)] = ""
    environment: Name = "lab"
    people: Annotated[list[Person], Field(max_length=_CENTURY)] = []
    time_box: Bounded
    schedule: Schedule | None = None
    parts: Annotated[list[Part], Field(min_length=1, max_length=_CENTURY)]

    def part(self, name: str) -> Part:
        """The part of that name.

        Raises:
            Invalid: there is none.
        """
        for one in self.parts:
            if one.name == name:
                return one
        known = ", ".join(one.name for one in self.parts)
        raise Invalid(f"no part of {self.name} is called {name!r}", f"its parts: {known}")


@dataclass(frozen=True)
class Loaded:
    """A plan and what it was read from.

    Attributes:
        content: of the file.
    """

    path: Path
    content: bytes
    plan: Plan
    file: YamlFile

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()


def find(name: str) -> Path:
    """The file of a plan by its name, or by its path.

    Raises:
        Invalid: there is none.
    """
    return definitions.find("gameday", name)


def load(path: Path) -> Loaded:
    """Read and check a plan.

    Raises:
        Invalid: something in it is wrong, with the line and the key.
    """
    file = read_yaml(path)
    try:
        plan = Plan.model_validate(file.data)
    except ValidationError as error:
        raise _explained(file, error) from error
    plan = plan.model_copy(update={"parts": _named(file, plan.parts)})
    _ensure_consistent(file, plan)
    return Loaded(path, path.read_bytes(), plan, file)


def ensure_playable(loaded: Loaded) -> None:
    """Check that the definitions of all parts are there and valid.

    Raises:
        Invalid: one is not, with the line of its part.
    """
    for index, part in enumerate(loaded.plan.parts):
        if part.is_run:
            try:
                definitions.load(definitions.find(part.kind, part.definition))
            except Invalid as error:
                raise loaded.file.problem(("parts", index, part.kind), error.fact, error.hint) from error


def _named(file: YamlFile, parts: list[Part]) -> list[Part]:
    """Each part with a name of its own: as given, else its definition's, else its kind and number."""
    found: dict[str, Part] = {}
    for index, part in enumerate(parts):
        name = part.name or part.definition or f"{part.kind}-{index + 1}"
        if name in found:
            raise file.problem(("parts", index), f"the name {name!r} is taken", "give it another 'name'")
        found[name] = part.model_copy(update={"name": name})
    return list(found.values())


def _ensure_consistent(file: YamlFile, plan: Plan) -> None:
    roles = {person.role for person in plan.people}
    for index, part in enumerate(plan.parts):
        at = ("parts", index)
        if part.role is not None and part.role not in roles:
            known = ", ".join(sorted(roles)) or "there are no people"
            raise file.problem((*at, "role"), f"nobody has the role {part.role!r}", f"known here: {known}")
        if unknown := sorted(set(part.options) - set(part.allowed_options)):
            known = ", ".join(part.allowed_options)
            raise file.problem(
                (*at, "options", unknown[0]), f"a {part.kind} takes no option {unknown[0]!r}", f"it takes: {known}"
            )
        if index == 0 and part.only_if_passed:
            raise file.problem((*at, "only_if_passed"), "there is no part before it", "remove it")
    if not any(part.is_run for part in plan.parts):
        raise file.problem(("parts",), "no part is an experiment or a drill", "a game day proves something")
    if sum(part.pause or 0.0 for part in plan.parts) >= plan.time_box:
        raise file.problem(("time_box",), "the pauses alone take longer", "give it more time, or shorten them")
    _ensure_in_window(file, plan.schedule)


def _ensure_in_window(file: YamlFile, schedule: Schedule | None) -> None:
    if schedule is None or schedule.window is None:
        return
    from datetime import UTC, datetime

    at = datetime(2026, 1, 1, tzinfo=UTC)
    for _ in range(60):
        at = schedule.cron.next(at)
        if not schedule.window.holds(at):
            raise file.problem(
                ("schedule", "cron"),
                f"it comes at {at:%a %Y-%m-%d %H:%M} UTC, which is outside the window {schedule.window.text}",
                "widen the window, or choose another time",
            )


def _explained(file: YamlFile, error: ValidationError) -> Invalid:
    """The first problem with its line; an unknown key is answered with those that are known there."""
    first = error.errors(include_url=False)[0]
    location = tuple(part for part in first["loc"] if isinstance(part, str | int))
    # pydantic adds the branch of a union, which no file has.
    while location and location not in file.lines and location[:-1] in file.lines:
        if first["type"] in ("missing", "extra_forbidden"):
            break
        location = location[:-1]
    if first["type"] == "unit":
        return file.problem(location, first["ctx"]["fact"], first["ctx"]["hint"])
    if first["type"] == "extra_forbidden":
        known = ", ".join(sorted(_model(location[:-1]).model_fields))
        return file.problem(location, f"unknown key {location[-1]!r}", f"known here: {known}")
    return file.invalid(error)


def _model(location: tuple[str | int, ...]) -> type[BaseModel]:
    inner: dict[str | int, type[BaseModel]] = {"people": Person, "parts": Part, "schedule": Schedule}
    return inner.get(location[0], Plan) if location else Plan
