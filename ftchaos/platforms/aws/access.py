"""The way to AWS: the only place that makes boto3 sessions and clients, and that knows what they raise.

Never the wrong account: no client is given out before the caller's identity was found to be the one configured; a
local endpoint is a loopback address, and without one nothing but AWS itself is called.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

import boto3  # type: ignore[import-untyped]
import botocore.session  # type: ignore[import-untyped]
import jmespath  # type: ignore[import-untyped]
from botocore import exceptions as said
from botocore.config import Config  # type: ignore[import-untyped]
from botocore.credentials import (  # type: ignore[import-untyped]
    AssumeRoleCredentialFetcher,
    DeferredRefreshableCredentials,
)
from botocore.parsers import ResponseParserError  # type: ignore[import-untyped]

from ftchaos import clock, cloud
from ftchaos.errors import FtchaosError, Inconclusive, Invalid, Refused
from ftchaos.platforms.aws import calls, failures
from ftchaos.platforms.aws.failures import ApiFailed, Denied, NotOffered, Unanswered

if TYPE_CHECKING:
    from ftchaos.config import Environment

__all__ = ["Access", "ApiFailed", "Call", "Denied", "NotOffered", "Place", "Unanswered"]

T = TypeVar("T")

CONNECT_S, READ_S = 5.0, 30.0
ONCE_READ_S = 60.0  # a failover or a create is answered late, and is never asked for twice
ATTEMPTS = 5  # of a read: about 15 s of growing waits in all
CONNECTIONS = 16
OF_AWS = (".amazonaws.com", ".amazonaws.com.cn", ".api.aws", ".api.amazonwebservices.com.cn")
_SESSION_NAME = "ftchaos"


@dataclass(frozen=True)
class Place:
    """Where an environment is; an undo record carries it, so that another process can heal there.

    Attributes:
        account: 12 digits.
        role: the ARN of a role to assume, or empty.
        profile: a profile of the AWS SDK, or empty.
        endpoint: a loopback address that stands for AWS; empty means AWS itself.
    """

    environment: str
    account: str
    region: str
    role: str = ""
    profile: str = ""
    endpoint: str = ""

    @classmethod
    def of(cls, name: str, settings: Environment) -> Place:
        """The place of an environment of the configuration.

        Raises:
            Invalid: it does not say which account and region.
        """
        if settings.lacks:
            raise Invalid(
                f"the environment {name!r} has no {settings.lacks[0]!r}",
                "give account and region in the configuration: without them any account might be meant",
            )
        role, profile, endpoint = settings.role or "", settings.profile or "", settings.endpoint or ""
        return cls(name, settings.account or "", settings.region or "", role, profile, endpoint)

    def to_json(self) -> dict[str, str]:
        return asdict(self)

    @classmethod
    def from_json(cls, kept: dict[str, Any]) -> Place:
        """The place that a record kept.

        Raises:
            Invalid: the record has other keys.
        """
        try:
            return cls(**{str(key): str(value) for key, value in kept.items()})
        except TypeError as error:
            raise Invalid(f"no place on AWS: {error}", "a newer ftchaos may have written it") from error


@dataclass(frozen=True)
class Call:
    """One API call as evidence keeps it: never its parameters, which may hold secrets.

    Attributes:
        at: when it began, in seconds on the monotonic clock.
        error: the code of what went wrong, or empty.
        retries: how often it was tried again before it was answered.
    """

    at: float
    service: str
    operation: str
    region: str
    request_id: str
    error: str = ""
    retries: int = 0


class Access:
    """Calls to one account and region.

    Args:
        on_call: is told of each call when it has ended, on the thread that made it.

    Raises:
        Refused: the endpoint is not a loopback address, or the role is of another account.
        Invalid: no session can be made of this, as with a profile that does not exist.
    """

    def __init__(self, place: Place, on_call: Callable[[Call], None] | None = None) -> None:
        self.place = place
        self.calls: list[Call] = []
        self._on_call = on_call
        self._lock = threading.RLock()
        self._clients: dict[tuple[str, bool, str], _Client] = {}
        self._is_right = False
        if place.endpoint and not cloud.is_loopback(place.endpoint):
            raise Refused(
                f"the endpoint {place.endpoint} of {place.environment!r} is not on this machine",
                "an endpoint stands for AWS in tests: give a loopback address, or none to call AWS itself",
            )
        if place.role and _parts(place.role)[4] != place.account:
            raise Refused(
                f"the role {place.role} is not of the account {place.account}",
                f"correct role or account of {place.environment!r} in the configuration",
            )
        with _translated("sts:GetCallerIdentity", "", False, bool(place.endpoint)):
            self._session = boto3.Session(botocore_session=self._core(), region_name=place.region)

    def ensure_right_place(self) -> None:
        """Ask who we are.

        Raises:
            Refused: the account is not the one of the configuration, or the endpoint is not what it was meant to be.
        """
        identity = self._made("sts", False, self.place.region).get_caller_identity()
        if identity["Account"] != self.place.account:
            raise Refused(
                f"these credentials are of the account {identity['Account']}, and {self.place.environment!r} is in "
                f"{self.place.account}",
                "set the profile or the role of the environment, or AWS_PROFILE",
            )
        self._is_right = True

    def ensure_ours(self, arn: str, *, region: str = "") -> str:
        """The ARN, once its account and region were found to be those of the place.

        Args:
            region: another one that is meant, as of a copy.

        Raises:
            Refused: they are not; an ARN that names no account can be anybody's.
        """
        _, _, _, its_region, its_account, _ = _parts(arn)
        wanted = region or self.place.region
        if its_account != self.place.account or its_region not in ("", wanted):
            raise Refused(
                f"{arn} is not in the account {self.place.account} and the region {wanted}",
                f"ftchaos touches only what is in the place of {self.place.environment!r}",
            )
        return arn

    def client(self, service: str, *, once: bool = False, region: str = "") -> Any:
        """A client of a service, which raises errors of ours; the same one for the same arguments.

        Args:
            once: never try again, as for a failover, a reboot or a create: a second try would do it twice.
            region: another one than the place's.

        Raises:
            Refused: the credentials are of another account.
        """
        with self._lock:
            if not self._is_right:
                self.ensure_right_place()
            return self._made(service, once, region or self.place.region)

    def pages(
        self, service: str, operation: str, key: str, *, region: str = "", **parameters: Any
    ) -> Iterator[dict[str, Any]]:
        """All items of a list call, page by page.

        Args:
            operation: as boto3 names it, like ``describe_db_instances``.
            key: where the items of a page are, like ``DBInstances`` or ``Reservations[].Instances[]``.
            region: another one than the place's.
        """
        client = self.client(service, region=region)
        items = jmespath.compile(key)
        if not client.can_paginate(operation):
            yield from items.search(getattr(client, operation)(**parameters)) or ()
            return
        with client.translated(operation):
            for page in client.get_paginator(operation).paginate(**parameters):
                yield from items.search(page) or ()

    def until(
        self, ask: Callable[[], T], done: Callable[[T], bool], deadline_s: float, what: str, every_s: float = 1.0
    ) -> T:
        """Ask until the answer will do, bearing with a service that is busy or silent for a while.

        Raises:
            Inconclusive: it did not, in this time.
        """
        last_at = clock.now() + deadline_s
        trouble = ""
        while True:
            try:
                answer = ask()
            except (ApiFailed, Unanswered) as error:
                if isinstance(error, ApiFailed) and not error.is_passing:
                    raise
                trouble = f"; at last {error.fact}"
            else:
                if done(answer):
                    return answer
                trouble = ""
            left_s = last_at - clock.now()
            if left_s <= 0:
                raise Inconclusive(f"{what} not within {deadline_s:g} s{trouble}", "see the events of the service")
            time.sleep(min(every_s, left_s))

    def _made(self, service: str, once: bool, region: str) -> _Client:
        with self._lock:
            if (service, once, region) not in self._clients:
                with _translated(f"{service}:", "", once, bool(self.place.endpoint)):
                    made = self._session.client(service, region_name=region, **self._how(once))
                self._ensure_endpoint(made.meta.endpoint_url)
                self._clients[service, once, region] = _Client(made, once, bool(self.place.endpoint))
            return self._clients[service, once, region]

    def _how(self, once: bool) -> dict[str, Any]:
        retries = {"mode": "standard", "total_max_attempts": 1}
        if not once:
            retries = {"mode": "adaptive", "total_max_attempts": ATTEMPTS}
        config: dict[str, Any] = {
            "connect_timeout": CONNECT_S, "read_timeout": ONCE_READ_S if once else READ_S, "retries": retries,
            "max_pool_connections": CONNECTIONS, "user_agent_extra": "ftchaos",
        }  # fmt: skip
        if not self.place.endpoint:
            return {"config": Config(**config)}
        config |= {"s3": {"addressing_style": "path"}, "inject_host_prefix": False}
        return {"config": Config(**config), "endpoint_url": self.place.endpoint}

    def _core(self) -> Any:
        """A session of our own, whose clients report each call and go nowhere else."""
        core = botocore.session.Session(profile=self.place.profile or None)
        if self.place.role:
            # Not a fixed set of keys: a drill takes longer than an assumed role lasts.
            fetcher = AssumeRoleCredentialFetcher(
                client_creator=lambda service, **keys: core.create_client(
                    service, region_name=self.place.region, **self._how(False), **keys
                ),
                source_credentials=core.get_credentials() or _none(),
                role_arn=self.place.role,
                extra_args={"RoleSessionName": _SESSION_NAME},
            )
            core._credentials = DeferredRefreshableCredentials(fetcher.fetch_credentials, "assume-role")
        core.register("before-call", self._begins)
        core.register("before-send", self._leaves)
        core.register("after-call", self._ends)
        core.register("after-call-error", self._breaks)
        return core

    def _ensure_endpoint(self, url: str) -> None:
        host = urlsplit(url).hostname or ""
        if self.place.endpoint:
            if not cloud.is_loopback(url):
                raise Refused(
                    f"{url} is not on this machine, as the endpoint of the environment is", "nothing was sent"
                )
        elif not host.endswith(OF_AWS):
            raise Refused(
                f"{url} is not AWS itself, and the environment {self.place.environment!r} has no endpoint",
                "unset AWS_ENDPOINT_URL, or give the environment `endpoint` if something local was meant",
            )

    def _begins(self, model: Any, context: dict[str, Any], **_: Any) -> None:
        context["ftchaos"] = (clock.now(), model.service_model.service_name, model.name)

    def _leaves(self, request: Any, **_: Any) -> None:
        self._ensure_endpoint(request.url)  # the last look: a redirect may lead elsewhere

    def _ends(self, parsed: dict[str, Any], context: dict[str, Any], **_: Any) -> None:
        about = parsed.get("ResponseMetadata", {})
        error = str(parsed.get("Error", {}).get("Code", ""))
        self._note(context, str(about.get("RequestId", "")), error, int(about.get("RetryAttempts", 0)))

    def _breaks(self, exception: Exception, context: dict[str, Any], **_: Any) -> None:
        self._note(context, "", type(exception).__name__)

    def _note(self, context: dict[str, Any], request_id: str, error: str, retries: int = 0) -> None:
        at, service, operation = context["ftchaos"]
        call = Call(at, service, operation, str(context.get("client_region", "")), request_id, error, retries)
        self.calls.append(call)
        if self._on_call is not None:
            self._on_call(call)


class _Client:
    """A client whose methods raise errors of ours."""

    def __init__(self, client: Any, once: bool, local: bool) -> None:
        self._client, self._once, self._local = client, once, local

    def translated(self, method: str) -> Any:
        """The boundary around calls of one method."""
        service = self._client.meta.service_model.service_name
        name = self._client.meta.method_to_api_mapping.get(method, method)
        return _translated(f"{service}:{name}", calls.action(service, name), self._once, self._local)

    def __getattr__(self, method: str) -> Any:
        found = getattr(self._client, method)
        if method not in self._client.meta.method_to_api_mapping:
            return found

        def call(**parameters: Any) -> Any:
            with self.translated(method):
                return found(**parameters)

        return call


@contextmanager
def _translated(operation: str, action: str, once: bool, local: bool) -> Iterator[None]:
    """What botocore raises, as errors of ours.

    Raises:
        Denied: the permission is missing.
        Invalid: the configuration, or that of the AWS SDK, is of no use.
        ApiFailed: any other answer that is none.
        Unanswered: nothing came back.
    """
    try:
        yield
    except FtchaosError:
        raise
    except said.ClientError as error:
        about = error.response.get("Error", {})
        request_id = str(error.response.get("ResponseMetadata", {}).get("RequestId", ""))
        named = f"{operation.split(':')[0]}:{error.operation_name}"
        code, message = str(about.get("Code", "")), str(about.get("Message", ""))
        raise failures.of_answer(named, action or named, code, message, request_id, local) from error
    except ResponseParserError as error:
        raise failures.of_answer(operation, action, failures.UNREADABLE, _line(error), "", local) from error
    except (
        said.NoCredentialsError, said.PartialCredentialsError, said.CredentialRetrievalError, said.ProfileNotFound,
        said.NoRegionError, said.InvalidRegionError, said.ConfigParseError, said.ConfigNotFound,
        said.UnknownServiceError, said.InvalidConfigError, said.TokenRetrievalError, said.SSOError,
    ) as error:  # fmt: skip
        hint = "check profile, role and region of the environment, and the credentials of the AWS SDK"
        raise Invalid(f"no way to AWS: {_line(error)}", hint) from error
    except said.ParamValidationError as error:
        raise ApiFailed(operation, "ParamValidation", str(error).replace("\n", "; ")) from error
    except (said.HTTPClientError, said.ConnectionError) as error:
        raise Unanswered(operation, _line(error), once) from error
    except (said.BotoCoreError, ValueError, RuntimeError) as error:
        raise ApiFailed(operation, type(error).__name__, _line(error)) from error


def _line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _none() -> Any:
    raise said.NoCredentialsError()


def _parts(arn: str) -> list[str]:
    """``arn:partition:service:region:account:resource`` in its six parts.

    Raises:
        Refused: this is no ARN.
    """
    parts = arn.split(":", 5)
    if len(parts) != 6 or parts[0] != "arn" or not parts[1].startswith("aws"):
        raise Refused(f"{arn!r} is not an ARN", "it begins with arn:aws:")
    return parts
