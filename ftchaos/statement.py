"""What a signature says of a run: an in-toto statement, so that tools that know no ftchaos can verify and judge it.

Its subjects are the manifest and every file of the run. Its predicate is in-toto's *test result*: ``PASSED`` for a
run that passed and nothing else, as an inconclusive run proves nothing.

Source: in-toto Attestation Framework, Statement v1 and the predicate test-result v0.1.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT = "https://in-toto.io/Statement/v1"
TEST_RESULT = "https://in-toto.io/attestation/test-result/v0.1"
REMARK = "urn:ftchaos:annotation:1"
EVIDENCE = "evidence.json"


def build(folder: Path, manifest: str, content: bytes, files: Mapping[str, Any]) -> bytes:
    """The statement about a folder.

    Args:
        folder: of the run, with its evidence; or of an annotation, which has none.
        manifest: the name of its manifest.
        content: that of the manifest.
        files: sha256 and size of every other file by its path.
    """
    kind, predicate = _predicate(folder)
    stated = {
        "_type": STATEMENT,
        "subject": subjects(manifest, content, files),
        "predicateType": kind,
        "predicate": predicate,
    }
    return json.dumps(stated).encode()


def subjects(manifest: str, content: bytes, files: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The manifest and every file, with their digests."""
    digests = {manifest: hashlib.sha256(content).hexdigest(), **{name: file["sha256"] for name, file in files.items()}}
    return [{"name": name, "digest": {"sha256": digest}} for name, digest in digests.items()]


def is_about(stated: Any, manifest: str, content: bytes, files: Mapping[str, Any]) -> bool:
    """Whether a statement is about exactly these files."""
    return (
        isinstance(stated, dict)
        and stated.get("_type") == STATEMENT
        and stated.get("subject") == subjects(manifest, content, files)
    )


def _predicate(folder: Path) -> tuple[str, dict[str, Any]]:
    path = folder / EVIDENCE
    if not path.is_file():
        return REMARK, {}
    evidence: dict[str, Any] = json.loads(path.read_bytes())
    definition = evidence.get("definition") or {"path": evidence["name"], "sha256": ""}
    passed = evidence["verdict"] == "passed"
    return TEST_RESULT, {
        "result": "PASSED" if passed else "FAILED",
        "configuration": [{"name": definition["path"], "digest": {"sha256": definition["sha256"]}}],
        "passedTests" if passed else "failedTests": [evidence["name"]],
        "ftchaos": {
            key: evidence[key]
            for key in ("run_id", "kind", "name", "environment", "began_at", "ended_at", "verdict", "exit_code")
        },
    }
