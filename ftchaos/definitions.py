"""The YAML of experiments and drills: found by name, read without trust, and held to what Chaos Toolkit really does.

Chaos Toolkit lets several definitions through that later crash it or skip its rollbacks (a tolerance that
cannot be compared, a module that is not there, a control that is silently missing). Those are refused here,
before anything is touched.
"""

from __future__ import annotations

import hashlib
import importlib
import inspect
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from ftchaos.config import Duration, Share
from ftchaos.errors import Invalid
from ftchaos.promises import Promises
from ftchaos.yamlfile import YamlFile, read_yaml

FOLDERS = {"drill": "dr_drills", "experiment": "experiments"}
PLANS = {"gameday": "gamedays"}
"""What else is found as definitions are: plans of game days, which are made of them."""
CONTROL = "ftchaos.control"
PLATFORMS: tuple[Literal["lab", "aws", "kubernetes"], ...] = ("lab", "aws", "kubernetes")
_NAME = re.compile(r"[a-z0-9][a-z0-9-]*")
_PACKAGE = Path(__file__).resolve().parent


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", populate_by_name=True)


class Provider(_Strict):
    """Only Python functions: a process or an HTTP call has no undo and no witness."""

    type: Literal["python"]
    module: str = Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*$")
    func: str = Field(default="", pattern=r"^[A-Za-z_]*[A-Za-z0-9_]*$")
    arguments: dict[str, Any] = {}


class Pauses(_Strict):
    before: float = Field(default=0, ge=0, le=3600)
    after: float = Field(default=0, ge=0, le=3600)


class Activity(_Strict):
    type: Literal["action", "probe"]
    name: str = Field(min_length=1)
    provider: Provider
    pauses: Pauses | None = None
    background: Literal[False] = False
    tolerance: Any = None

    @field_validator("provider")
    @classmethod
    def _has_function(cls, provider: Provider) -> Provider:
        if not provider.func:
            raise ValueError("a provider of an action or a probe needs 'func'")
        return provider


class Hypothesis(_Strict):
    title: str = Field(min_length=1)
    probes: list[Activity] = Field(min_length=1)


class ControlBlock(_Strict):
    name: str
    provider: Provider


class FromEnvironment(_Strict):
    """A value from the environment; chaoslib's other kinds would run a program before the guard has had its say."""

    type: Literal["env"]
    key: str = Field(min_length=1)
    default: str | bool | int | float | None = None
    env_var_type: Literal["str", "int", "float", "bool"] | None = None


class Promised(_Strict):
    """What an experiment promises; see :class:`ftchaos.promises.Promises`."""

    recovery_time: Duration | None = None
    lost: dict[str, Annotated[int, Field(ge=0)]] = {}
    success: Share | None = None
    jobs: bool = False
    scaling: Duration | None = None

    def promises(self) -> Promises:
        """The same as it is judged."""
        return Promises(self.recovery_time, self.lost, self.success, self.jobs, self.scaling)


class Extension(_Strict):
    """What ftchaos adds to a definition; it ends in the evidence and tells an auditor what was meant.

    ``harms`` is false for a rehearsal that injects no fault, ``workload`` for one without clients of ours.
    ``beyond_quorum`` allows a fault that takes a cluster's quorum away. ``platforms`` are those that have
    what is harmed, ``manners`` those in which its fault may be done: evidence of a polite one under the name
    of an abrupt one would prove too much. Without any, whatever the platform can do may be.
    """

    name: Literal["ftchaos"]
    kind: Literal["drill", "experiment"]
    id: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    scenario: str
    test_type: str
    expected: str
    harms: bool = True
    workload: bool = True
    beyond_quorum: bool = False
    platforms: list[Literal["lab", "aws", "kubernetes"]] = Field(default=[*PLATFORMS], min_length=1)
    manners: list[str] = []
    promises: Promised = Promised()
    preconditions: list[str] = []
    assumptions: list[str] = []
    participants: list[str] = []


class Definition(_Strict):
    """An experiment or drill as ftchaos accepts it: a part of what Chaos Toolkit accepts."""

    title: str = Field(min_length=1)
    description: str = Field(min_length=1)
    version: str | None = None
    tags: list[str] = []
    contributions: dict[str, Literal["high", "medium", "low", "none"]] = {}
    configuration: dict[str, str | bool | int | float | FromEnvironment] = {}
    controls: list[ControlBlock] = Field(min_length=1, max_length=1)
    extensions: list[Extension] = Field(min_length=1, max_length=1)
    hypothesis: Hypothesis = Field(alias="steady-state-hypothesis")
    method: list[Activity] = Field(min_length=1)
    rollbacks: list[Activity] = []


@dataclass(frozen=True)
class Loaded:
    """A definition that can be run.

    Attributes:
        path: the file.
        data: the parsed YAML, as Chaos Toolkit takes it.
        definition: the same, checked.
        sha256: of the data, so that it is the same however the file was read.
    """

    path: Path
    data: dict[str, Any]
    definition: Definition
    sha256: str

    @property
    def name(self) -> str:
        return self.extension.id

    @property
    def extension(self) -> Extension:
        return self.definition.extensions[0]


def folders(kind: str) -> list[Path]:
    """Where definitions of a kind are looked for: the user's own folder first, then those that ftchaos ships."""
    name = {**FOLDERS, **PLANS}[kind]
    shipped = [_PACKAGE / "definitions" / name, _PACKAGE.parent / name]
    return [folder for folder in (Path.cwd() / name, *shipped) if folder.is_dir()]


def names(kind: str) -> list[str]:
    """The names of all definitions of a kind."""
    return sorted({path.stem for folder in folders(kind) for path in folder.glob("*.yaml")})


def names_for(kind: str, platform: str) -> list[str]:
    """The names of those that are for a platform; one that is broken stays in, so that it is not passed over."""
    return [name for name in names(kind) if platform in _platforms(find(kind, name))]


def _platforms(path: Path) -> Sequence[str]:
    try:
        return load(path).extension.platforms
    except Invalid:
        return PLATFORMS


def find(kind: str, name: str) -> Path:
    """The file of a definition by its name, or by its path.

    Raises:
        Invalid: there is none.
    """
    if name.endswith((".yaml", ".yml")) and Path(name).is_file():
        return Path(name)
    if _NAME.fullmatch(name):
        for folder in folders(kind):
            if (folder / f"{name}.yaml").is_file():
                return folder / f"{name}.yaml"
    known = ", ".join(names(kind)) or "none"
    raise Invalid(f"no {kind} is called {name!r}", f"known here: {known}; or name a YAML file")


def load(path: Path) -> Loaded:
    """Read and check one definition.

    Raises:
        Invalid: anything in it that Chaos Toolkit would stumble over, with the file, the line and the key.
    """
    return _checked(read_yaml(path))


def check(data: Mapping[str, Any]) -> Loaded:
    """The same for a definition that Chaos Toolkit has read already, so without lines."""
    plain = {key: value for key, value in data.items() if key != "dry"}
    return _checked(YamlFile(Path("the definition"), plain, {}))


def _checked(file: YamlFile) -> Loaded:
    try:
        definition = Definition.model_validate(file.data)
    except ValidationError as error:
        raise file.invalid(error) from error
    _ensure_control(file, definition)
    _ensure_manners(file, definition)
    for part, activities in (
        ("steady-state-hypothesis", definition.hypothesis.probes),
        ("method", definition.method),
        ("rollbacks", definition.rollbacks),
    ):
        for index, activity in enumerate(activities):
            at: tuple[str | int, ...] = (part, "probes", index) if part == "steady-state-hypothesis" else (part, index)
            _ensure_callable(file, at, activity)
            if part == "steady-state-hypothesis":
                _ensure_tolerance(file, at, activity)
    names = [activity.name for activity in definition.method]
    for index, name in enumerate(names):
        if name in names[:index]:
            raise file.problem(
                ("method", index, "name"),
                f"a second activity is called {name!r}",
                "name each so that one that never ran shows",
            )
    canonical = json.dumps(file.data, sort_keys=True, default=str).encode()
    return Loaded(file.path, file.data, definition, hashlib.sha256(canonical).hexdigest())


def _ensure_control(file: YamlFile, definition: Definition) -> None:
    if [control.provider.module for control in definition.controls].count(CONTROL) != 1:
        raise file.problem(
            ("controls",),
            f"the control {CONTROL} must stand here once",
            "without it nothing is guarded, undone or measured",
        )


def _ensure_manners(file: YamlFile, definition: Definition) -> None:
    """What is done when nobody chooses is one of the manners that may be."""
    manners, chosen = definition.extensions[0].manners, definition.configuration.get("manner")
    default = chosen.default if isinstance(chosen, FromEnvironment) else chosen
    if manners and default not in manners:
        raise file.problem(
            ("extensions", 0, "manners"),
            f"the default of the manner is {default!r}, which is none of {', '.join(manners)}",
            "say under 'configuration' manner: {type: env, key: FTCHAOS_MANNER, default: one of them}",
        )


def _ensure_callable(file: YamlFile, at: tuple[str | int, ...], activity: Activity) -> None:
    """The function exists, belongs to ftchaos, and takes these arguments."""
    module, func = activity.provider.module, activity.provider.func
    if not module.startswith(("ftchaos.actions.", "ftchaos.probes.")):
        raise file.problem(
            (*at, "provider", "module"), f"{module} is not a module of ftchaos.actions or ftchaos.probes",
            "functions from elsewhere have no undo and no witness here; `chaos discover ftchaos` lists ours",
        )  # fmt: skip
    try:
        function = getattr(importlib.import_module(module), func)
    except (ImportError, AttributeError) as error:
        raise file.problem(
            (*at, "provider"), f"there is no {module}.{func}", "`chaos discover ftchaos` lists what there is"
        ) from error
    accepted = inspect.signature(function).parameters
    given = set(activity.provider.arguments)
    needed = {
        name
        for name, parameter in accepted.items()
        if parameter.default is inspect.Parameter.empty and name not in ("configuration", "secrets")
    }
    if unknown := sorted(given - set(accepted)):
        raise file.problem(
            (*at, "provider", "arguments", unknown[0]), f"{func} takes no argument {unknown[0]!r}",
            f"it takes: {', '.join(sorted(set(accepted) - {'configuration', 'secrets'})) or 'none'}",
        )  # fmt: skip
    if missing := sorted(needed - given):
        raise file.problem((*at, "provider"), f"{func} needs the argument {missing[0]!r}", "add it under 'arguments'")


def _ensure_tolerance(file: YamlFile, at: tuple[str | int, ...], activity: Activity) -> None:
    """Only what chaoslib can compare with any output: others crash it, and a crash skips the rollbacks."""
    if isinstance(activity.tolerance, bool | int | str) and not isinstance(activity.tolerance, float):
        return
    raise file.problem(
        (*at, "tolerance"), f"the tolerance {activity.tolerance!r} can crash Chaos Toolkit when the probe has no value",
        "use true, an integer or a text, and let the probe decide; ftchaos probes answer true or false",
    )  # fmt: skip
