"""The stand-in as a test sees it: a process of its own, where it listens, and what can be commanded."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from standin.certificates import CA

ACCOUNT = "123456789012"
REGION = "us-east-1"


class Standin:
    """A stand-in that runs until :meth:`end`, or until the process that began it dies.

    Attributes:
        folder: where it keeps its files.
        endpoint: its URL, for ``AWS_ENDPOINT_URL``.
        ca: the certificates that its databases are verified by, where TLS is wanted; as the bundle of RDS.
        account: the account that every key belongs to.
        region: where the staging is.
    """

    account = ACCOUNT
    region = REGION

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="ftchaos-standin-"))
        # It removes the folder once this process is gone, in whatever way.
        self._broom = subprocess.Popen(
            ["sh", "-c", 'cat; sleep 0.2; rm -rf "$0"', str(self.folder)],
            stdin=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip
        cloud, root = Path(__file__).parents[1], Path(__file__).parents[3]
        with (self.folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "standin", str(self.folder)],
                env={**os.environ, "PYTHONPATH": f"{cloud}:{root}", "PYTHONDONTWRITEBYTECODE": "1"},
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log,
            )  # fmt: skip
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the stand-in does not come up: {self.messages()}")
        self.endpoint: str = json.loads(line)["endpoint"]

    @property
    def ca(self) -> Path:
        return self.folder / CA

    @property
    def environment(self) -> dict[str, str]:
        """Variables that lead boto3, in this process or another, here."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_DEFAULT_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def client(self, service: str, region: str = REGION) -> Any:
        """A client of boto3 that is led here, whatever the environment says; it never tries again."""
        return boto3.client(
            service, region_name=region, endpoint_url=self.endpoint,
            aws_access_key_id="testing", aws_secret_access_key="testing",
            config=Config(retries={"total_max_attempts": 1}, read_timeout=60),
        )  # fmt: skip

    def command(self, name: str, **arguments: Any) -> Any:
        """What a command of the stand-in answers.

        Raises:
            RuntimeError: it failed in there.
        """
        request = urllib.request.Request(
            f"{self.endpoint}/standin/{name}", json.dumps(arguments).encode(), {"Content-Type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.loads(answer.read())
        except urllib.error.HTTPError as error:
            raise RuntimeError(json.loads(error.read())) from error

    def settings(self, **values: Any) -> None:
        """Change durations and mishaps; see :class:`standin.settings.Settings`."""
        self.command("settings", **values)

    def fail_next(self, operation: str, code: str, times: int = 1, *, status: int = 400, after: bool = False) -> None:
        """Let the next calls of an operation fail; with ``after`` they take effect nevertheless."""
        self.command("fail_next", operation=operation, code=code, times=times, status=status, after=after)

    def throttle(self, operation: str, times: int = 1) -> None:
        """Let the next calls of an operation be too many."""
        self.fail_next(operation, "Throttling", times)

    def calls(self, operation: str | None = None) -> list[dict[str, Any]]:
        """The calls since :meth:`clear`: service, operation, region, params, at, status, violations."""
        found: list[dict[str, Any]] = self.command("log")
        return [call for call in found if operation in (None, call["operation"])]

    def violations(self) -> list[str]:
        """What calls did that botocore's models do not allow."""
        return [f"{call['operation']}: {one}" for call in self.calls() for one in call["violations"]]

    def clear(self) -> None:
        """Forget the calls and the failures that have not come up."""
        self.command("clear")

    def reset(self) -> None:
        """An empty account again, with the usual settings."""
        self.command("reset")

    def messages(self) -> str:
        """What it wrote last on its standard error."""
        return (self.folder / "log").read_text(errors="replace")[-4000:]

    def end(self) -> None:
        """Kill it, and remove its files; its servers die with it."""
        self._process.kill()
        self._process.wait()
        assert self._broom.stdin is not None
        self._broom.stdin.close()
        self._broom.wait()
