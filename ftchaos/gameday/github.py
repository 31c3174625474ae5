"""A plan as a workflow of GitHub Actions: on its schedule and by hand, one at a time, evidence kept as an artifact."""

from __future__ import annotations

import math
import re
from typing import Any

import yaml

from ftchaos.errors import Invalid
from ftchaos.gameday.schedule import Wanted

_PATH = re.compile(r"[A-Za-z0-9._][A-Za-z0-9._/-]{0,200}")
LONGEST_S = 6 * 3600
"""What a job on GitHub's own machines is given at the most."""


def workflow(wanted: Wanted) -> str:
    """The workflow's file.

    Raises:
        Invalid: the day takes longer than a job may.
    """
    if wanted.longest_s > LONGEST_S:
        raise wanted.loaded.file.problem(
            ("time_box",), "with the time to heal it is longer than the 6 hours of a job", "shorten the day"
        )
    return yaml.safe_dump(document(wanted), sort_keys=False, allow_unicode=True, width=120)


def document(wanted: Wanted) -> dict[str, Any]:
    """The same as data."""
    plan = wanted.given
    if not _PATH.fullmatch(plan) or ".." in plan.split("/"):
        raise Invalid(
            f"{plan!r} is no file of the repository", "name it from the repository's root, as in gamedays/x.yaml"
        )
    return {
        "name": f"Game day: {wanted.loaded.plan.name}",
        "on": {"schedule": [{"cron": wanted.schedule.cron.plain}], "workflow_dispatch": {}},
        "permissions": {"contents": "read"},
        "concurrency": {"group": f"gameday-{wanted.environment}", "cancel-in-progress": False},
        "jobs": {
            "gameday": {
                "runs-on": "ubuntu-24.04",
                "timeout-minutes": math.ceil(wanted.longest_s / 60),
                "steps": [
                    {"uses": "actions/checkout@v4", "with": {"persist-credentials": False}},
                    {"name": "Install ftchaos", "run": "scripts/install"},
                    {
                        "name": "Hold the game day",
                        # By the environment, so that no name can turn into a command.
                        "env": {"PLAN": plan, "ENVIRONMENT": wanted.environment},
                        "run": '.venv/bin/ftchaos gameday run "$PLAN" --environment "$ENVIRONMENT"',
                    },
                    {
                        "name": "Undo what is left",
                        "if": "always()",
                        "run": ".venv/bin/ftchaos recover",
                    },
                    {
                        "name": "Keep the evidence",
                        "if": "always()",
                        "uses": "actions/upload-artifact@v4",
                        "with": {"name": "reports", "path": "reports/", "if-no-files-found": "error"},
                    },
                ],
            }
        },
    }
