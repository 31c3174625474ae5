"""kill -9 of ftchaos after each API call of a restore drill and of a zone outage on AWS, then recover: what is left.

    PYTHONPATH=tests:tests/cloud:tests/drills:. python -m benchmarks.aws_killed drill|zone [--first 1]

Against the stand-in of the tests, with real databases and caches behind its endpoints. A read that is repeated until
its answer will do counts once. Wanted: nothing left, nothing changed, the second recovery with nothing to do.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import tempfile
import time
from pathlib import Path
from typing import Any

import copy_account
import fault_account
from standin import staging
from standin.server import Standin
from workplaces import Workplace

RUNNER = """
import os, signal, sys
from ftchaos.platforms.aws import access
until, made, note = int(sys.argv.pop(1)), [], access.Access._note
def noted(self, context, *rest):
    note(self, context, *rest)
    operation = context["ftchaos"][2]
    if not (operation.startswith(("Describe", "List", "Get")) and made[-1:] == [operation]):
        made.append(operation)
        if len(made) == until:
            print(operation, flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
access.Access._note = noted
from ftchaos.__main__ import main
main()
"""
CONFIGURATION = """\
objectives: {{sustain: 1s, rto: 4m, rpo: 2m, p95: 2s}}
environments:
  staging:
    platform: aws
    account: "{account}"
    region: {region}
    endpoint: {endpoint}
    client_zone: outside
    mysql: {{instance: {instance}, secret: {secret}, database: filetransfer}}
    redis: {{replication_group: {group}}}
    drill: {{subnets: [{subnets}]}}
"""
REFUSED = 5
COMMANDS = {"drill": ["drill", "restore"], "zone": ["experiment", "run", "zone-outage"]}


def state(standin: Standin, made: staging.Staging) -> dict[str, Any]:
    """Everything in the account that either of them could change, once nothing is under way."""
    made.await_available()
    made.await_cache()
    return {**copy_account.state(standin), **fault_account.state(standin)}


class Series:
    """A staging, and a folder in which ftchaos is run against it; built anew where roles have moved too far."""

    def __init__(self, standin: Standin, place: Workplace) -> None:
        self.standin, self.place = standin, place
        (place.folder / "killed_at.py").write_text(RUNNER)

    def build(self) -> None:
        self.standin.reset()
        standin, made = self.standin, staging.build(self.standin, replicas=1)
        subnets = copy_account.ground(standin)[1]
        (self.place.folder / "ftchaos.yaml").write_text(
            CONFIGURATION.format(
                account=standin.account, region=standin.region, endpoint=standin.endpoint, group=staging.GROUP,
                instance=staging.INSTANCE, secret=staging.SECRET, subnets=", ".join(subnets),
            )
        )  # fmt: skip
        self.made = made
        self.before = state(standin, made)

    def kill(self, number: int, command: list[str]) -> tuple[int, str, str]:
        """Kill at a call, then recover: the exit code, the call, and what is wrong afterwards."""
        died = self.place.run(str(number), *command, "--environment", "staging", program="killed_at")
        if died.exit_code != -signal.SIGKILL:
            return died.exit_code, "", died.stderr
        recovered = self.place.run("recover")
        again = self.place.run("recover").stdout
        same = state(self.standin, self.made) == self.before
        whole = recovered.exit_code == 0 and same and "nothing to recover" in again
        return died.exit_code, died.stdout.strip().splitlines()[-1], "" if whole else recovered.stderr or "it differs"


def series(which: str, first: int) -> None:
    standin = Standin()
    folder = Path(tempfile.mkdtemp(prefix="ftchaos-benchmark-"))
    try:
        with fault_account.led_to(standin):
            one, left, number, refused = Series(standin, Workplace(folder)), 0, first, False
            one.build()
            began_s = time.monotonic()
            while True:
                code, call, wrong = one.kill(number, COMMANDS[which])
                if code == REFUSED and not refused:  # the cache's primaries stand in one zone by now, say
                    one.build()
                    refused = True
                    continue
                if code != -signal.SIGKILL:
                    break
                refused = False
                left += bool(wrong)
                print(f"{number:3} after {call:40} {f'LEFT: {wrong}' if wrong else 'whole'}", flush=True)
                number += 1
            print(
                f"{which}: killed at calls {first} to {number - 1}, {left} left something,"
                f" {time.monotonic() - began_s:.0f} s; the run that nobody killed ended with {code} {wrong[-300:]}"
            )
    finally:
        standin.end()
        shutil.rmtree(folder, ignore_errors=True)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("which", choices=sorted(COMMANDS))
    arguments.add_argument("--first", type=int, default=1, help="the first call to be killed at")
    given = arguments.parse_args()
    series(given.which, given.first)


if __name__ == "__main__":
    main()
