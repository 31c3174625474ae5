"""kill -9 of ftchaos after each API call of a restore drill and of a zone outage on AWS, then recover: what is left.

    PYTHONPATH=tests:tests/cloud:tests/drills:. python -m benchmarks.aws_killed drill|zone [--every 1]

Against the stand-in of the tests, with real databases and caches behind its endpoints. A read that is repeated until
its answer will do counts once. Wanted: nothing left, nothing changed, the second recovery with nothing to do.
"""

from __future__ import annotations

import argparse
import shutil
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
COMMANDS = {"drill": ["drill", "restore"], "zone": ["experiment", "run", "zone-outage"]}


def state(standin: Standin, made: staging.Staging) -> dict[str, Any]:
    """Everything in the account that either of them could change, once nothing is under way."""
    made.await_available()
    made.await_cache()
    return {**copy_account.state(standin), **fault_account.state(standin)}


def series(which: str, every: int) -> None:
    standin = Standin()
    folder = Path(tempfile.mkdtemp(prefix="ftchaos-benchmark-"))
    try:
        with fault_account.led_to(standin):
            made = staging.build(standin, replicas=1)
            place = Workplace(folder)
            (folder / "killed_at.py").write_text(RUNNER)
            subnets = copy_account.ground(standin)[1]
            (folder / "ftchaos.yaml").write_text(
                CONFIGURATION.format(
                    account=standin.account, region=standin.region, endpoint=standin.endpoint, group=staging.GROUP,
                    instance=staging.INSTANCE, secret=staging.SECRET, subnets=", ".join(subnets),
                )
            )  # fmt: skip
            before, kills, left = state(standin, made), 0, 0
            began_s = time.monotonic()
            while True:
                number = 1 + kills * every
                died = place.run(str(number), *COMMANDS[which], "--environment", "staging", program="killed_at")
                if died.exit_code != -9:
                    break
                kills += 1
                recovered = place.run("recover")
                again = place.run("recover").stdout
                same = state(standin, made) == before
                whole = recovered.exit_code == 0 and same and "nothing to recover" in again
                left += not whole
                after = died.stdout.strip().splitlines()[-1]
                print(f"{number:3} after {after:40} {'whole' if whole else 'LEFT: ' + recovered.stderr}", flush=True)
            print(
                f"{which}: killed at {kills} calls, {left} left something, {time.monotonic() - began_s:.0f} s;"
                f" the run that nobody killed ended with {died.exit_code}"
            )
    finally:
        standin.end()
        shutil.rmtree(folder, ignore_errors=True)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("which", choices=sorted(COMMANDS))
    arguments.add_argument("--every", type=int, default=1, help="only every so many calls")
    given = arguments.parse_args()
    series(given.which, given.every)


if __name__ == "__main__":
    main()
