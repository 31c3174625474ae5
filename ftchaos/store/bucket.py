"""A prefix of an S3 bucket: the only place that knows boto3, and the errors of a network.

Nothing is ever overwritten but the remembered end of the chain, and nothing is ever deleted, so that a bucket with an
Object Lock keeps every version for as long as it promises. Credentials, region and endpoint are those of the AWS SDK.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import boto3  # type: ignore[import-untyped]
from botocore.config import Config  # type: ignore[import-untyped]
from botocore.exceptions import (  # type: ignore[import-untyped]
    BotoCoreError,
    ClientError,
    ConnectionError,
    HTTPClientError,
)

from ftchaos.errors import Away, Inconclusive, Invalid

_ADDRESS = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])((?:/[A-Za-z0-9!_.*'()=-]+)*)/?")
_TAKEN = {"PreconditionFailed", "412"}
_RACE = {"ConditionalRequestConflict", "OperationAborted", "409"}
_ABSENT = {"NoSuchKey", "NotFound", "404"}
LARGEST_BYTES = 256 << 20
CONNECTIONS = 16
ATTEMPTS = 4


class Unreachable(Inconclusive):
    """The bucket said no."""


@dataclass(frozen=True)
class Listed:
    """One object as a listing has it."""

    key: str
    etag: str
    size: int


def address(location: str) -> tuple[str, str]:
    """Bucket and prefix of ``s3://bucket/prefix``; the prefix ends with a slash, or is empty.

    Raises:
        Invalid: this is no such address.
    """
    match = _ADDRESS.fullmatch(location)
    if match is None or any(part in (".", "..") for part in match[2].split("/")):
        raise Invalid(f"{location!r} is not the address of a bucket", "write it like s3://bucket/prefix")
    return match[1], f"{match[2]}/".lstrip("/")


class Bucket:
    """The objects below one prefix; keys are relative to it.

    Args:
        location: ``s3://bucket/prefix``.

    Raises:
        Invalid: this is no such address.
    """

    def __init__(self, location: str) -> None:
        self._bucket, self._prefix = address(location)
        self.location = f"s3://{self._bucket}/{self._prefix}".rstrip("/")
        with self._answers("no client for it"):
            self._client: Any = boto3.client(
                "s3",
                config=Config(
                    connect_timeout=5,
                    read_timeout=30,
                    max_pool_connections=CONNECTIONS,
                    retries={"total_max_attempts": ATTEMPTS, "mode": "standard"},
                ),
            )

    def put_new(self, key: str, body: bytes | BinaryIO, sha256: str) -> bool:
        """Put an object that must not be there yet; the bucket checks its content against the digest.

        Returns:
            Whether it was put; False when something is there already.
        """
        checksum = base64.b64encode(bytes.fromhex(sha256)).decode()
        return self._put(key, Body=body, ChecksumSHA256=checksum, IfNoneMatch="*")

    def replace(self, key: str, body: bytes, etag: str) -> bool:
        """Put an object in place of one with this etag, or where nothing is when it is empty."""
        condition = {"IfMatch": etag} if etag else {"IfNoneMatch": "*"}
        return self._put(key, Body=body, ChecksumAlgorithm="SHA256", **condition)

    def _put(self, key: str, **how: Any) -> bool:
        with self._answers(key):
            try:
                self._client.put_object(Bucket=self._bucket, Key=self._prefix + key, **how)
            except ClientError as error:
                if _code(error) in _TAKEN | _RACE:
                    return False
                raise
        return True

    def get(self, key: str) -> tuple[bytes, str] | None:
        """The content of an object and its etag; None where there is none."""
        with self._answers(key):
            try:
                answer = self._client.get_object(Bucket=self._bucket, Key=self._prefix + key)
            except ClientError as error:
                if _code(error) in _ABSENT:
                    return None
                raise
            if answer["ContentLength"] > LARGEST_BYTES:
                raise Invalid(
                    f"{self.location}/{key} has {answer['ContentLength']:,} bytes", "ftchaos wrote no such thing"
                )
            return answer["Body"].read(), answer["ETag"]

    def download(self, key: str, path: Path, most_bytes: int) -> bool:
        """An object as a file, of one that is too long only the begin; False where there is none."""
        with self._answers(key):
            try:
                answer = self._client.get_object(Bucket=self._bucket, Key=self._prefix + key)
            except ClientError as error:
                if _code(error) in _ABSENT:
                    return False
                raise
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("wb") as stream:
                for part in answer["Body"].iter_chunks(1 << 20):
                    stream.write(part)
                    if stream.tell() > most_bytes:
                        break
        return True

    def listed(self, below: str, after: str = "") -> Iterator[Listed]:
        """The objects whose keys begin with something, in order, from one on."""
        start = {"StartAfter": self._prefix + after} if after else {}
        with self._answers(below):
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=self._prefix + below, **start
            )
            for page in pages:
                for one in page.get("Contents", ()):
                    yield Listed(one["Key"].removeprefix(self._prefix), one["ETag"], one["Size"])

    @contextmanager
    def _answers(self, what: str) -> Iterator[None]:
        """Translate what a network or a service may say.

        Raises:
            Away: it said nothing, or that it cannot now.
            Unreachable: it said no.
        """
        try:
            yield
        except ClientError as error:
            said = f"{_code(error)}: {error.response.get('Error', {}).get('Message', '')}"
            late = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0) >= 500
            raise (Away if late else Unreachable)(
                f"{self.location} ({what}): {said}", "check the bucket, its policy and the region"
            ) from error
        except (BotoCoreError, ValueError) as error:
            hint = "check the network, AWS_ENDPOINT_URL and the credentials of the AWS SDK"
            late = isinstance(error, ConnectionError | HTTPClientError)
            raise (Away if late else Unreachable)(
                f"{self.location} ({what}): {str(error).splitlines()[0]}", hint
            ) from error


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))
