"""Evidence on disk: one folder a run below the reports folder, named by the run's id, which sorts by time."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ftchaos import atomic
from ftchaos.errors import Invalid
from ftchaos.evidence.record import Evidence
from ftchaos.evidence.sentence import sentence

FILE = "evidence.json"
SCHEMA_FILE = Path(__file__).resolve().parent.parent / "evidence.schema.json"


def write(evidence: Evidence, folder: Path) -> Evidence:
    """Put ``evidence.json`` into the run's folder, whole or not at all, and only when it is valid.

    Returns:
        The evidence as written, with its sentence.

    Raises:
        Invalid: it breaks its own schema, which is a bug in whoever made it.
        OSError: the folder cannot be written.
    """
    try:
        # Assigned lists are not validated as they grow, so the whole is validated once more here.
        whole = Evidence.model_validate(evidence.model_dump())
    except ValidationError as error:
        raise Invalid(f"the evidence of {evidence.run_id} is not valid: {_first_problem(error)}") from error
    whole.summary = whole.summary or sentence(whole)
    atomic.write(folder / FILE, whole.model_dump_json(indent=1) + "\n")
    return whole


def read(folder: Path) -> Evidence:
    """The evidence of a run's folder.

    Raises:
        Invalid: there is none, it cannot be read, or it is not valid.
    """
    path = folder / FILE
    try:
        return Evidence.model_validate_json(path.read_bytes())
    except OSError as error:
        raise Invalid(
            f"{path} cannot be read: {error.strerror}",
            "a run that was killed has no evidence.json; `ftchaos recover` undoes what it left",
        ) from error
    except ValidationError as error:
        raise Invalid(
            f"{path} is not evidence of this version: {_first_problem(error)}", "`ftchaos report verify` checks files"
        ) from error


def schema_text() -> str:
    """The JSON Schema of ``evidence.json`` as it is shipped, made from the models."""
    schema = Evidence.model_json_schema(by_alias=True, mode="validation")
    return json.dumps({"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}, indent=1) + "\n"


@cache
def schema() -> dict[str, Any]:
    """The shipped JSON Schema."""
    loaded: dict[str, Any] = json.loads(SCHEMA_FILE.read_text())
    return loaded


def _first_problem(error: ValidationError) -> str:
    problem = error.errors()[0]
    return f"{'.'.join(map(str, problem['loc'])) or 'the whole'}: {problem['msg']}"
