"""One-time approvals: a file that lets one run into a protected environment once, for where nobody can type a name.

``{"run": "drill/restore", "environment": "production", "expires": "2026-11-28T06:00:00Z"}``; more keys, such as who
gave it, are passed over. Using it renames it, which only one run can do.
"""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path

from ftchaos.clock import iso
from ftchaos.errors import Refused

_HINT = 'it must hold {"run": "%s", "environment": "%s", "expires": a UTC time}; `docs/safety.md` has an example'


def ensure_approved(path: Path, run: str, environment: str, at: datetime) -> None:
    """Check an approval without using it.

    Raises:
        Refused: it is not there, broken, for something else, or too old.
    """
    hint = _HINT % (run, environment)
    try:
        data = json.loads(path.read_bytes())
        given = {"run": str(data["run"]), "environment": str(data["environment"])}
        expires = datetime.fromisoformat(data["expires"])
    except FileNotFoundError as error:
        raise Refused(
            f"the environment '{environment}' was not confirmed, and there is no approval {path}",
            f"say --confirm {environment}, or have the approval written; {hint}",
        ) from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Refused(f"the approval {path} cannot be used: {error!r}", hint) from error
    for key, wanted in (("run", run), ("environment", environment)):
        if given[key] != wanted:
            raise Refused(f"the approval {path} is for the {key} {given[key]!r}, not {wanted!r}", hint)
    expires = expires.replace(tzinfo=UTC) if expires.tzinfo is None else expires
    if expires <= at:
        raise Refused(f"the approval {path} expired at {iso(expires)}", "have a new one written")


def use(path: Path, run_id: str) -> Path:
    """Use an approval up: it gets the run's name, in one instant.

    Returns:
        Where it lies now.

    Raises:
        Refused: another run has used it, or it cannot be renamed.
    """
    used = path.with_name(f"{path.name}.used-by-{run_id}")
    try:
        os.rename(path, used)
    except FileNotFoundError as error:
        raise Refused(f"the approval {path} has just been used by another run", "have a new one written") from error
    except OSError as error:
        raise Refused(
            f"the approval {path} cannot be used up: {error.strerror}", "its folder must be yours to write"
        ) from error
    return used
