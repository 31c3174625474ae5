"""``gate.yaml``: which runs must have passed, how lately, for what, and who let which requirement pass for how long.

Unknown keys are errors, each with its line. A policy without requirements is none, as it would let everything through.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, ValidationError

from ftchaos.errors import Invalid
from ftchaos.gate import confidence
from ftchaos.gate.values import MOST_PASSES, Day, Duration, Key, Limit, Name, Rate, Run, Words
from ftchaos.options import COMMIT, IMAGE, ensure_identity
from ftchaos.yamlfile import Location, YamlFile, read_yaml

DEFAULT = Path("gate.yaml")
SAME = "same"
NO_OPEN_HARM = "no-open-harm"
_SKEW_S = 300.0
_WAIVER_S = 30 * 86400.0


class _Strict(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        str_strip_whitespace=True,
        arbitrary_types_allowed=True,
        defer_build=True,
    )


class Objectives(_Strict):
    """What was promised; a run that was held against less is held against this here."""

    rto: Duration | None = None
    rpo: Duration | None = None


class Requirement(_Strict):
    """One thing that must have been proven.

    Attributes:
        run: the definition, such as ``drill/restore``.
        max_age: every run that counts ended at most so long ago.
        every: the newest run that counts ended at most so long ago, and as long before it the one before: a run that
            was left out shows, also after it was made up for.
        environment: where; None for the one that the gate is asked about.
        commit, image: of the system under test: ``same`` as the gate is asked about, or this one.
        definition: SHA-256 of the YAML that was run.
        recovery_time, data_loss: the most of them, as a share of the objective or in seconds.
        lost: the most acknowledged writes that may be lost.
        passes: how many runs must have passed in a row.
        success_rate: that such a row must prove at 95 %; what takes more runs holds.
        signed_by: keys of which one must have signed each run.
        waivable: whether a waiver may let it pass.
    """

    run: Run
    name: Name | None = None
    max_age: Duration | None = None
    every: Duration | None = None
    environment: Name | None = None
    platform: Literal["lab", "aws", "kubernetes"] | None = None
    commit: Literal["same"] | Annotated[str, Field(pattern=COMMIT)] | None = None
    image: Literal["same"] | Annotated[str, Field(pattern=IMAGE)] | None = None
    definition: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    recovery_time: Limit | None = None
    data_loss: Limit | None = None
    lost: Annotated[StrictInt, Field(ge=0)] | None = None
    passes: Annotated[StrictInt, Field(ge=1, le=MOST_PASSES)] = 1
    success_rate: Rate | None = None
    signed_by: list[Key] = []
    waivable: StrictBool = True

    @property
    def title(self) -> str:
        """Its name, or that of the definition."""
        return self.name or self.run.partition("/")[2]

    @property
    def needed(self) -> int:
        """How many runs in a row must have passed."""
        return max(self.passes, confidence.passes_for(self.success_rate) if self.success_rate else 1)


class Waiver(_Strict):
    """A person lets a requirement pass until a day, for a reason.

    Attributes:
        until: the last day, in UTC.
    """

    requirement: Name
    person: Words
    reason: Words
    until: Day


class Policy(_Strict):
    """A checked ``gate.yaml``.

    Attributes:
        clock_skew: how far the clocks of two machines may differ; evidence from further ahead is a no.
        signed_by: keys of which one must have signed every run that counts.
        longest_waiver: how far ahead the end of a waiver may lie.
    """

    requirements: Annotated[list[Requirement], Field(min_length=1, max_length=200)]
    title: Annotated[str, Field(max_length=200)] = ""
    objectives: Objectives = Objectives()
    clock_skew: Duration = _SKEW_S
    signed_by: list[Key] = []
    forbid_waivers: StrictBool = False
    longest_waiver: Duration = _WAIVER_S
    waivers: Annotated[list[Waiver], Field(max_length=200)] = []


@dataclass(frozen=True)
class Loaded:
    """A policy and what it was read from.

    Attributes:
        sha256: of the file.
    """

    policy: Policy
    path: Path
    sha256: str


def load(path: Path) -> Loaded:
    """The policy in a file.

    Raises:
        Invalid: it is not there, it is empty, or something in it is wrong; with the line and the key.
    """
    file = read_yaml(path)
    try:
        policy = Policy.model_validate(file.data)
    except ValidationError as error:
        raise _explained(file, error) from error
    _ensure_consistent(file, policy)
    return Loaded(policy, path, hashlib.sha256(path.read_bytes()).hexdigest())


def _ensure_consistent(file: YamlFile, policy: Policy) -> None:
    names: dict[str, Requirement | None] = {NO_OPEN_HARM: None}
    for index, one in enumerate(policy.requirements):
        at: Location = ("requirements", index)
        if one.title in names:
            taken = f"the name {one.title!r} is taken" + ("" if names[one.title] else ": it is required in any case")
            raise file.problem((*at, "name" if one.name else "run"), taken, "give it another 'name'")
        names[one.title] = one
        if one.max_age is None and one.every is None:
            raise file.problem(at, "neither 'max_age' nor 'every' is given", "evidence that never ages proves nothing")
    if policy.forbid_waivers and policy.waivers:
        raise file.problem(("waivers", 0), "the policy forbids waivers", "remove it, or 'forbid_waivers'")
    for index, waiver in enumerate(policy.waivers):
        at = ("waivers", index, "requirement")
        if waiver.requirement not in names:
            known = ", ".join(sorted(names))
            raise file.problem(at, f"no requirement is called {waiver.requirement!r}", f"known here: {known}")
        found = names[waiver.requirement]
        if found is not None and not found.waivable:
            raise file.problem(at, f"the requirement {waiver.requirement!r} cannot be waived", "meet it")
        if waiver.requirement in [one.requirement for one in policy.waivers[:index]]:
            raise file.problem(at, f"{waiver.requirement!r} is waived twice", "keep one of the two")


def _explained(file: YamlFile, error: ValidationError) -> Invalid:
    first = error.errors(include_url=False)[0]
    parts: Sequence[Any] = first["loc"]
    location = tuple(part for part in parts if isinstance(part, str | int))
    while location and location not in file.lines and isinstance(location[-1], str) and location[:-1] in file.lines:
        if first["type"] in ("missing", "extra_forbidden"):
            break
        location = location[:-1]  # pydantic adds the branch of a union, which no file has
    if first["type"] == "unit":
        return file.problem(location, first["ctx"]["fact"], first["ctx"]["hint"])
    if first["type"] == "too_short" and location == ("requirements",):
        return file.problem(location, "a policy without requirements would let everything through", "require something")
    if first["type"] == "extra_forbidden":
        known = ", ".join(sorted(_model(location[:-1]).model_fields))
        return file.problem(location, f"unknown key {location[-1]!r}", f"known here: {known}")
    if location[-1:] in (("commit",), ("image",)):
        hint = {"commit": "write 'same', or all digits of a commit, in quotes", "image": "write 'same', or a digest"}
        return file.problem(location, f"this is no {location[-1]}", hint[str(location[-1])])
    return file.invalid(error)


def _model(location: Location) -> type[BaseModel]:
    inner: dict[str | int, type[BaseModel]] = {
        "requirements": Requirement,
        "waivers": Waiver,
        "objectives": Objectives,
    }
    return inner[location[0]] if location else Policy


def ensure_answerable(loaded: Loaded, commit: str, image: str) -> None:
    """Refuse a question that leaves out what the policy asks about.

    Raises:
        Invalid: the commit or the image is missing, or says too little.
    """
    for index, one in enumerate(loaded.policy.requirements):
        at = f"{loaded.path}, requirements.{index}"
        if one.commit == SAME and not commit:
            raise Invalid(f"{at}.commit: the commit is not known", "say it: --commit SHA")
        if one.image == SAME and not image:
            raise Invalid(f"{at}.image: the image is not known", "say it: --image REF@sha256:...")
    ensure_identity(commit, image)
