"""``ftchaos.yaml``: what was promised, which environments there are, and how to judge a backup of your own.

Unknown keys are errors. No key takes a secret: those come from the environment, from a file, or from the cloud's
secret store, by reference.
"""

from __future__ import annotations

import re
import types
import typing
from collections.abc import Callable, Sequence
from datetime import date
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from ftchaos import cloud, receivers, units, windows
from ftchaos.errors import Invalid
from ftchaos.objectives import LAB_SUSTAIN_S, Objectives
from ftchaos.windows import Window
from ftchaos.yamlfile import YamlFile, read_yaml

DEFAULT = Path("ftchaos.yaml")
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_OF_KEYS = ("extra_forbidden", "model_type", "model_attributes_type", "dict_type")
_OF_AWS = ("fis", "zonal_shift")
_PROTECTION = ("allow", "windows", "approval")


def _parsed(parse: Callable[[Any], Any]) -> BeforeValidator:
    """A parser of ours as pydantic takes it, so that its error gets the line of the value."""

    def validate(value: Any) -> Any:
        try:
            return parse(value)
        except Invalid as error:
            raise PydanticCustomError("unit", "{fact}", {"fact": error.fact, "hint": error.hint}) from error

    return BeforeValidator(validate)


Duration = Annotated[float, _parsed(units.duration_s)]
Share = Annotated[float, _parsed(units.share)]
Weekly = Annotated[Window, _parsed(windows.parse)]
Run = Annotated[str, Field(pattern=r"^(drill|experiment)/[a-z0-9][a-z0-9-]*$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Promises(_Strict):
    """What was promised of every environment; the command line comes before it."""

    rto: Duration = Objectives.rto_s
    rpo: Duration = Objectives.rpo_s
    success: Share = Objectives.success
    p95: Duration = Objectives.p95_s
    sustain: Duration | None = None  # none: 3 s in the lab, 30 s elsewhere

    @field_validator("success")
    @classmethod
    def _is_a_promise(cls, value: float) -> float:
        if value == 0:
            raise ValueError("a success of 0 promises nothing; give a share such as 99.5%")
        return value


class BlastRadius(_Strict):
    """The most that one run may harm.

    Attributes:
        zones: how many may be taken whole.
        share: how much of the servers of one kind may be hit; two of three.
        requests: how many requests a second a fault may send beyond the usual.
    """

    zones: int = Field(default=1, ge=0)
    share: Share = 0.67
    requests: float = Field(default=500.0, gt=0)


class Stop(_Strict):
    """When a run is ended early and all is healed.

    Attributes:
        success: the share of uploads, or without any of writes, below which the service is too bad to go on ...
        longer_than: ... for longer than this.
        after: how long a fault may last; then the reaper heals it.
    """

    success: Share = 0.5
    longer_than: Duration = 60.0
    after: Duration = 900.0


class Environment(_Strict):
    """One place to run in. Only the lab needs no keys of its own.

    Attributes:
        protected: refuse whatever is not on the list, in the window, and confirmed.
        allow: the runs that a protected one takes, such as ``drill/restore``.
        windows: when it takes them, in UTC.
        approval: file that confirms one run once; relative to the configuration.
        stop: None for what the kind of run goes by.
        writes: how many of the usual writes a second the ledger makes, where a database is to bear less.
        role: the ARN of a role to assume on AWS, in the account of the environment.
        endpoint: a loopback address that stands for AWS in tests; without it AWS itself is called.
        tag: what carries it may be harmed: a resource on AWS, a namespace or a node of Kubernetes.
        client_zone: the zone that ftchaos and its clients run in, or ``outside``; without it the machine is asked.
        buckets: those that files are kept in.
        fis: what there is of AWS FIS, for zones that it lets fail.
        zonal_shift: let a zonal shift of the load balancers be the recovery from a zone that failed.
    """

    platform: Literal["lab", "aws", "kubernetes"]
    protected: bool = False
    allow: list[Run] = []
    windows: list[Weekly] = []
    approval: Path | None = None
    stop: Stop | None = None
    writes: Annotated[Share, Field(gt=0)] = 1.0
    account: str | None = Field(default=None, pattern=r"^\d{12}$")
    region: str | None = None
    role: cloud.RoleArn | None = None
    profile: str | None = Field(default=None, min_length=1)
    endpoint: str | None = None
    tag: cloud.TagPair = cloud.TAG
    client_zone: cloud.ClientZone | None = None
    mysql: cloud.Mysql | None = None
    redis: cloud.Redis | None = None
    drill: cloud.Drill | None = None
    backup: cloud.Backup | None = None
    buckets: list[cloud.Bucket] = []
    kubernetes: cloud.Kubernetes | None = None
    fis: cloud.Fis | None = None
    zonal_shift: bool = Field(default=False, strict=True)
    api: str | None = Field(default=None, pattern=r"^https?://")
    blast_radius: BlastRadius | None = None

    @field_validator("account", mode="before")
    @classmethod
    def _is_quoted(cls, value: Any) -> Any:
        if isinstance(
            value, int
        ):  # YAML has dropped leading zeros, or read it as octal: the number is not to be trusted
            raise ValueError('an account is 12 digits in quotes, like "111122223333"')
        return value

    @model_validator(mode="after")
    def _lab_stands_alone(self) -> Environment:
        given = self.model_fields_set - {"platform", "protected", "blast_radius", "stop", "writes", *_PROTECTION}
        if self.platform == "lab" and given:
            raise ValueError(f"the lab takes no {sorted(given)[0]!r}: it is made on this machine")
        return self

    @model_validator(mode="after")
    def _is_alone_on_aws(self) -> Environment:
        given = self.model_fields_set & {*_OF_AWS}
        if given and self.platform != "aws":
            raise ValueError(f"{self.platform} has no {sorted(given)[0]!r}: it is of aws")
        return self

    @model_validator(mode="after")
    def _protects_only_what_is_protected(self) -> Environment:
        given = self.model_fields_set & {*_PROTECTION}
        if given and not self.protected:
            raise ValueError(f"{sorted(given)[0]!r} protects nothing without 'protected: true'")
        return self

    @model_validator(mode="after")
    def _is_a_place_on_aws(self) -> Environment:
        if self.platform == "aws" and not self.protected and self.lacks:
            raise ValueError(f"an environment on aws needs {self.lacks[0]!r}: without it any account might be meant")
        if self.region is not None and not cloud.REGION.fullmatch(self.region):
            raise ValueError(f"{self.region!r} is not a region; write it like us-east-1")
        if self.endpoint is not None and not cloud.is_loopback(self.endpoint):
            raise ValueError("an 'endpoint' stands for AWS in tests and is on this machine, like http://127.0.0.1:5000")
        if self.role is not None and self.account is not None and f"::{self.account}:" not in self.role:
            raise ValueError(f"the 'role' is not in the account {self.account}")
        for name, store in (("mysql", self.mysql), ("redis", self.redis)):
            secret = cloud.ARN.fullmatch(store.secret or "") if store else None
            if secret and self.lacks == [] and (secret["account"], secret["region"]) != (self.account, self.region):
                raise ValueError(
                    f"the 'secret' of {name} is not in the account {self.account} and the region {self.region}"
                )
        return self

    @property
    def lacks(self) -> list[str]:
        """The keys without which nothing on AWS is touched."""
        return [name for name in ("account", "region") if not getattr(self, name)]


class Check(_Strict):
    """A query that a restored backup must answer.

    Attributes:
        expect: the first value of the first row; without it, the query must give at least one row.
    """

    name: str = Field(min_length=1)
    sql: str = Field(min_length=1)
    expect: str | int | float | bool | None = None

    def is_met(self, rows: Sequence[Sequence[object]]) -> bool:
        """Whether these rows are the expected answer; numbers are compared as numbers, all else as text."""
        if not rows or not rows[0]:
            return False
        if self.expect is None:
            return True
        return _same(rows[0][0], self.expect)


class Restore(_Strict):
    """How to judge a backup that ftchaos did not make.

    Attributes:
        checks: queries that it must answer; a bare query must give at least one row.
        newest_row: a query for the UTC time of the newest row: what is younger was lost.
        heartbeat: the same from a heartbeat table, which is preferred.
        accept_backup_age: let the age of the backup stand for the data loss where neither query is given.
    """

    checks: list[Check] = []
    newest_row: str | None = Field(default=None, min_length=1)
    heartbeat: str | None = Field(default=None, min_length=1)
    accept_backup_age: bool = False

    @field_validator("checks", mode="before")
    @classmethod
    def _name_bare_queries(cls, value: Any) -> Any:
        if not isinstance(value, list):
            return value
        return [{"name": item, "sql": item} if isinstance(item, str) else item for item in value]


class Config(_Strict):
    """A checked ``ftchaos.yaml``, or the defaults where there is none."""

    objectives: Promises = Promises()
    environments: dict[str, Environment] = {}
    restore: Restore = Restore()
    notify: dict[str, receivers.Notify] = {}
    metrics: receivers.Metrics = receivers.Metrics()
    _path: Path | None = PrivateAttr(default=None)

    @property
    def path(self) -> Path | None:
        """The file that it was read from."""
        return self._path

    @field_validator("notify")
    @classmethod
    def _receivers_have_plain_names(cls, value: dict[str, receivers.Notify]) -> dict[str, receivers.Notify]:
        for name in value:
            if not _NAME.fullmatch(name) or name in receivers.Metrics.model_fields:
                raise ValueError(
                    "a receiver needs a name of lowercase letters, digits and hyphens, other than those of metrics"
                )
        return value

    @field_validator("environments")
    @classmethod
    def _names_are_plain(cls, value: dict[str, Environment]) -> dict[str, Environment]:
        for name in value:
            if not _NAME.fullmatch(name):  # it becomes the name of a lock file
                raise ValueError(f"the environment {name!r} needs a name of lowercase letters, digits and hyphens")
        return value

    def declared(self, name: str) -> Environment:
        """The environment of that name, for what only looks at it.

        Raises:
            Invalid: there is none.
        """
        known = {"lab": Environment(platform="lab"), **self.environments}
        if name not in known:
            where = self.path or "the defaults (there is no ftchaos.yaml here)"
            raise Invalid(f"no environment is called {name!r} in {where}", f"known here: {', '.join(sorted(known))}")
        return known[name]

    def environment(self, name: str) -> Environment:
        """The environment of that name; ``lab`` is always there.

        Raises:
            Invalid: there is none.
        """
        found = self.declared(name)
        if found.approval is not None and self.path is not None:
            found = found.model_copy(update={"approval": self.path.absolute().parent / found.approval})
        return found

    def promises(self, name: str) -> Objectives:
        """The objectives that a run in this environment is judged by."""
        sustain_s = self.objectives.sustain
        if sustain_s is None:
            in_lab = self.environment(name).platform == "lab"
            sustain_s = LAB_SUSTAIN_S if in_lab else Objectives.sustain_s
        given = self.objectives
        return Objectives(given.rto, given.rpo, given.success, given.p95, sustain_s)


def load(path: Path | None = None) -> Config:
    """The configuration in a file, or in ``./ftchaos.yaml`` when there is one, else the defaults.

    Raises:
        Invalid: the file that was asked for is not there, or something in it is wrong; with the line and the key.
    """
    if path is None and not DEFAULT.exists():
        return Config()
    file = read_yaml(path or DEFAULT)
    try:
        config = Config.model_validate(file.data)
    except ValidationError as error:
        raise _explained(file, error) from error
    config._path = file.path
    return config


def _explained(file: YamlFile, error: ValidationError) -> Invalid:
    """The first problem with its line; an unknown key is answered with those that are known there."""
    first = error.errors(include_url=False)[0]
    location = tuple(part for part in first["loc"] if isinstance(part, str | int))
    if location[:1] in (("notify",), ("metrics",)):
        return _of_receivers(file, location, first["type"], first["msg"], first.get("ctx", {}))
    if first["type"] == "extra_forbidden":
        return file.problem(location, f"unknown key {location[-1]!r}", f"known here: {', '.join(_keys(location[:-1]))}")
    if first["type"] == "unit":
        return file.problem(location, first["ctx"]["fact"], first["ctx"]["hint"])
    if first["type"] == "model_type":
        return file.problem(location, "this must be a mapping", f"known here: {', '.join(_keys(location))}")
    return file.invalid(error)


def _of_receivers(
    file: YamlFile, location: tuple[str | int, ...], kind: str, message: str, context: dict[str, Any]
) -> Invalid:
    """A problem with somebody who is to be told, without the value, as that may be a secret."""
    keys: list[str] = []
    if location[0] == "metrics":
        keys = _keys(location[:-1] if kind == "extra_forbidden" else location) if kind in _OF_KEYS else []
    elif len(location) > 2:  # the third is pydantic's: the kind of the receiver
        keys = sorted(receivers.KINDS[str(location[2])].model_fields)
        location = location[:2] + location[3:]
    if kind.startswith("union_tag"):
        return file.problem(location, "this needs a kind that is known", f"add kind: {', '.join(receivers.KINDS)}")
    if kind == "extra_forbidden":
        return file.problem(location, f"unknown key {location[-1]!r}", f"known here: {', '.join(keys)}")
    if kind == "unit":
        return file.problem(location, context["fact"], context["hint"])
    message = message.removeprefix("Value error, ")
    message = "this must be a mapping" if kind in _OF_KEYS else message[:1].lower() + message[1:]
    known = f"known here: {', '.join(keys)}" if keys and kind in _OF_KEYS else "see docs/telling.md"
    return file.problem(location, message, known)


def _keys(location: Sequence[str | int]) -> list[str]:
    """The keys that a mapping at this location may have."""
    kind: Any = Config
    for part in location:
        # A key of a model leads to that field, a key of a mapping or an index of a list to what these hold.
        kind = kind.model_fields[part].annotation if hasattr(kind, "model_fields") else typing.get_args(kind)[-1]
        if isinstance(kind, types.UnionType):
            kind = typing.get_args(kind)[0]
    return sorted(field.alias or name for name, field in kind.model_fields.items())


def _same(value: object, expected: str | int | float | bool) -> bool:
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if isinstance(value, date):
        return str(value) == str(expected)
    try:
        return Decimal(str(_plain(value))) == Decimal(str(_plain(expected)))
    except InvalidOperation:
        return str(value) == str(expected)


def _plain(value: object) -> object:
    return int(value) if isinstance(value, bool) else value
