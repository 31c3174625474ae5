"""Who is told of runs: the sections ``notify`` and ``metrics`` of ``ftchaos.yaml``.

They hold addresses, and the names of environment variables and files that hold secrets; never a secret. As somebody
will write one here all the same, no error of this module repeats a value.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal, get_args
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from ftchaos.errors import Invalid

EventName = Literal["begin", "stop", "end", "verdict"]
Verdict = Literal["passed", "failed", "inconclusive"]
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,126}")
_ADDRESS = re.compile(r"[!-~]+")  # what stands in an URL as it is sent: neither blanks nor line breaks


def address(text: str) -> str:
    """An HTTP address that can be sent to.

    Raises:
        Invalid: it is none, or has a password in it. The error does not repeat it, as it may be secret.
    """
    try:
        parts = urlsplit(text)
        known = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        known = False
    if not known or not _ADDRESS.fullmatch(text):
        raise Invalid("this is not an address", "write it like https://example.com/path")
    if "@" in parts.netloc:
        raise Invalid("a name or a password in an address is not accepted", "see docs/telling.md for where they go")
    return text


def _refused(fact: str, hint: str) -> PydanticCustomError:
    return PydanticCustomError("unit", "{fact}", {"fact": fact, "hint": hint})


def _address(value: Any) -> str:
    try:
        return address(value if isinstance(value, str) else "")
    except Invalid as error:
        raise _refused(error.fact, error.hint) from error


def _variable(value: Any) -> str:
    if not isinstance(value, str) or not _VARIABLE.fullmatch(value):
        raise _refused(
            "this is not the name of an environment variable",
            "put the secret into a variable, and the variable's name here; if a secret stood here, replace it",
        )
    return value


def _file(value: Any) -> Path:
    if not isinstance(value, str) or not value or not value.isprintable() or "://" in value:
        raise _refused("this is not the path of a file", "a secret goes into a file, and the file's path stands here")
    return Path(value)


def _report(value: Any) -> str:
    if "{run_id}" not in str(value):
        raise _refused("this has no {run_id} in it", "write it like https://example.com/reports/{run_id}/report.html")
    return _address(str(value).replace("{run_id}", "RUN")) and str(value)


Address = Annotated[str, BeforeValidator(_address)]
Variable = Annotated[str, BeforeValidator(_variable)]
PlainPath = Annotated[Path, BeforeValidator(_file)]
Report = Annotated[str, BeforeValidator(_report)]


class Strict(BaseModel):
    """Whatever takes keys here: none that is unknown, and secrets by reference."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    def reference(self, name: str) -> tuple[str | None, Path | None]:
        """Where a secret of this receiver is: an environment variable, or a file."""
        return getattr(self, f"{name}_env"), getattr(self, f"{name}_file")

    def _ensure_one(self, name: str, *others: str, needed: bool = True) -> None:
        keys = [*others, f"{name}_env", f"{name}_file"]
        given = [key for key in keys if getattr(self, key) is not None]
        if len(given) > 1:
            raise _refused(f"{given[0]!r} and {given[1]!r} do not go together", "keep one of them")
        if needed and not given:
            raise _refused(f"one of the keys {', '.join(map(repr, keys))} is missing", "add one")


class Receiver(Strict):
    """What all of ``notify`` have in common.

    Attributes:
        environments: whose runs are told; all where it is empty.
        report_url: where people find the page of a run.
    """

    environments: list[str] = []
    report_url: Report | None = None


class Slack(Receiver):
    """An incoming webhook of Slack; its address is the secret.

    Attributes:
        verdicts: only runs with one of these are told of at their end; all where it is empty.
    """

    kind: Literal["slack"]
    url_env: Variable | None = None
    url_file: PlainPath | None = None
    events: list[EventName] = ["begin", "stop", "verdict"]
    verdicts: list[Verdict] = []

    @model_validator(mode="after")
    def _has_its_address(self) -> Slack:
        self._ensure_one("url")
        return self


class Pagerduty(Receiver):
    """An integration of PagerDuty's Events API v2; its key is the secret.

    Attributes:
        trigger: what opens an alert. One for a begin is resolved at the end of the run; one for a verdict when the
            same run passes. A harm that was not healed always opens one.
    """

    kind: Literal["pagerduty"]
    key_env: Variable | None = None
    key_file: PlainPath | None = None
    url: Address = "https://events.pagerduty.com/v2/enqueue"
    trigger: list[Literal["begin", "failed", "inconclusive"]] = ["failed"]

    @model_validator(mode="after")
    def _has_its_key(self) -> Pagerduty:
        self._ensure_one("key")
        return self


class Webhook(Receiver):
    """Anything that takes JSON; with a secret, each body is signed with HMAC-SHA256."""

    kind: Literal["webhook"]
    url: Address | None = None
    url_env: Variable | None = None
    url_file: PlainPath | None = None
    secret_env: Variable | None = None
    secret_file: PlainPath | None = None
    events: list[EventName] = ["begin", "stop", "end", "verdict"]
    verdicts: list[Verdict] = []

    @model_validator(mode="after")
    def _has_its_address(self) -> Webhook:
        self._ensure_one("url", "url")
        self._ensure_one("secret", needed=False)
        return self


class Grafana(Receiver):
    """A Grafana that gets annotations for the fault and the recovery.

    Attributes:
        dashboard: uid of the only dashboard that is to show them.
    """

    kind: Literal["grafana"]
    url: Address
    token_env: Variable | None = None
    token_file: PlainPath | None = None
    dashboard: str | None = Field(default=None, pattern=r"^[A-Za-z0-9_-]{1,40}$")

    @model_validator(mode="after")
    def _has_its_token(self) -> Grafana:
        self._ensure_one("token")
        return self


class Opentelemetry(Receiver):
    """A receiver of OTLP over HTTP; ``/v1/traces`` is added to its address.

    Attributes:
        headers_env, headers_file: headers as ``OTEL_EXPORTER_OTLP_HEADERS`` has them: ``name=value,name=value``.
    """

    kind: Literal["opentelemetry"]
    url: Address
    headers_env: Variable | None = None
    headers_file: PlainPath | None = None

    @model_validator(mode="after")
    def _has_one_source(self) -> Opentelemetry:
        self._ensure_one("headers", needed=False)
        return self


Notify = Annotated[Slack | Pagerduty | Webhook | Grafana | Opentelemetry, Field(discriminator="kind")]
KINDS: dict[str, type[Receiver]] = {
    get_args(one.model_fields["kind"].annotation)[0]: one for one in (Slack, Pagerduty, Webhook, Grafana, Opentelemetry)
}


class Pushgateway(Strict):
    """Where metrics are pushed to; with a user, by basic authentication."""

    url: Address
    user: str | None = Field(default=None, min_length=1, pattern=r"^[^:\s]+$")
    password_env: Variable | None = None
    password_file: PlainPath | None = None

    @model_validator(mode="after")
    def _has_both_or_none(self) -> Pushgateway:
        self._ensure_one("password", needed=self.user is not None)
        if self.user is None and self.reference("password") != (None, None):
            raise _refused("a password without a user", "add 'user'")
        return self


class Metrics(Strict):
    """Where the metrics of a run go to at its end.

    Attributes:
        textfile: the folder from which a node exporter takes ``*.prom``; relative to the configuration.
        environments: whose runs; all where it is empty.
    """

    textfile: PlainPath | None = None
    pushgateway: Pushgateway | None = None
    environments: list[str] = []
