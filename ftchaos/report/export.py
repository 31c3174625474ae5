"""Runs as others want them: CSV and JSON for a program, the fields that auditors ask for, a bundle for one of them.

The fields are those that several standards have in common: DORA RTS 2024/1774 Art. 25(5), FFIEC VII.K, SOC 2 A1.3,
FedRAMP CP-4 and ISO 22301 8.5. Which of them is satisfied is for an auditor to say; here is what ftchaos knows.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from ftchaos import chain, manifest
from ftchaos.evidence import Evidence
from ftchaos.store.annotation import Annotation, annotated
from ftchaos.store.summary import Summary

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_README = """Evidence of {count} runs, from {location}.

runs       RUN-ID/              one folder a run: report.html for people, evidence.json for programs, raw data
fields     fields.csv           what auditors of disaster recovery tests ask for, a line for each run and field
chain      chain.json, links/   the manifests of all runs, so that none can be missing unseen
sums       SHA256SUMS           verify with: sha256sum --check --quiet SHA256SUMS

With ftchaos, in this folder, without a network:

    ftchaos report verify --all --reports .

It holds every file against its manifest, the manifests against each other, signatures against the keys that
--trust names, and computes each verdict again from the raw data. attestation.json is an in-toto statement in a DSSE
envelope, which other tools verify with the public key alone.
"""


def as_csv(runs: Iterable[Summary]) -> str:
    """One line a run, with the names of the columns first."""
    names = [field.name for field in fields(Summary)]
    return _csv(names, ([getattr(run, name) for name in names] for run in runs))


def as_json(runs: Iterable[Summary]) -> str:
    """A list of runs."""
    return json.dumps([asdict(run) for run in runs], indent=1, ensure_ascii=False) + "\n"


def field_rows(evidence: Evidence, annotations: Sequence[Annotation]) -> Iterator[tuple[str, str]]:
    """What auditors ask of one run, each with what is known; empty where nothing is."""
    e = annotated(evidence, annotations)
    yield from _plan_rows(e)
    yield "measured recovery time (s)", _text(e.recovery.recovery_time_s)
    yield "measured data loss (s)", _text(e.data.data_loss_s)
    yield "recovery time objective met", _met(e.recovery.recovery_time_s, e.objectives.rto_s)
    yield "recovery point objective met", _met(e.data.data_loss_s, e.objectives.rpo_s)
    yield "acknowledged writes", _text(e.data.acknowledged)
    yield "acknowledged writes lost", _text(e.data.lost)
    yield "corrupt writes", _text(e.data.corrupt)
    checks = e.verification.checks
    yield "integrity checks passed", f"{sum(one.passed is True for one in checks)} of {len(checks)}" if checks else ""
    yield "outcome", e.verdict
    yield "reasons", _lines(e.reasons)
    yield "account", _lines(f"{step.began_at or ''} {step.part}: {step.name}: {step.status}" for step in e.steps)
    yield "deviations", _lines(e.follow_up.deviations)
    yield "participants", _lines(e.plan.participants)
    yield "problems and lessons", _lines(e.follow_up.lessons)
    yield "actions", _lines(f"{one.what} ({one.owner}, {one.due}, {one.status})" for one in e.follow_up.actions)
    yield "left harmed", _text(e.undo.failed)


def _plan_rows(e: Evidence) -> Iterator[tuple[str, str]]:
    yield "unique id", e.run_id
    yield "began", e.began_at
    yield "ended", e.ended_at
    yield "systems", _lines(f"{one.name} {one.version} in {one.place}" for one in e.system.servers)
    yield "location", f"{e.environment} ({e.platform})"
    yield "scenario", e.plan.scenario or e.title
    yield "test type", e.plan.test_type or e.kind
    yield "recovery time objective (s)", _text(e.objectives.rto_s)
    yield "recovery point objective (s)", _text(e.objectives.rpo_s)
    yield "assumptions", _lines(e.plan.assumptions)
    yield "preconditions", _lines(e.plan.preconditions)
    yield "expected outcome", e.plan.expected
    yield "third parties", _lines(e.plan.third_parties)
    yield "retest of", e.plan.retest_of
    yield "definition (sha256)", e.definition.sha256 if e.definition else e.system.definition_sha256


def as_fields(runs: Iterable[tuple[Evidence, Sequence[Annotation]]]) -> str:
    """The fields of all runs: run, field, value."""
    rows = ((found.run_id, name, value) for found, said in runs for name, value in field_rows(found, said))
    return _csv(["run_id", "field", "value"], rows)


def bundle(
    path: Path, location: str, folders: Sequence[Path], links: Iterable[tuple[str, bytes]], fields_csv: str
) -> None:
    """A zip with all that is needed to verify runs offline.

    Args:
        path: of the zip.
        location: of the store, for people.
        folders: of the runs and of their annotations.
        links: the manifests of all runs of the store, by their ids; those of other runs stand in for them.
        fields_csv: see :func:`as_fields`.

    Raises:
        OSError: the zip cannot be written.
    """
    chosen = {folder.name for folder in folders}
    partial, sums = path.with_name(f"{path.name}.part"), []
    last = None
    try:
        with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:

            def put(name: str, content: bytes) -> None:
                # No time of its own: the same runs make the same bundle.
                archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
                sums.append(f"{hashlib.sha256(content).hexdigest()}  {name}\n")

            for folder in folders:
                for file in sorted(one for one in folder.rglob("*") if one.is_file() and not one.is_symlink()):
                    put(f"{folder.name}/{file.relative_to(folder).as_posix()}", file.read_bytes())
            for run_id, content in links:
                link = manifest.link(manifest.parse(content, run_id), content)
                last = link if last is None or link.sequence > last.sequence else last
                if run_id not in chosen:
                    put(f"{manifest.KEPT_LINKS}/{run_id}.json", content)
            if last is not None:
                put(chain.FILE, chain.end_bytes(last))
            put("fields.csv", fields_csv.encode())
            put("README.txt", _README.format(count=len(chosen), location=location).encode())
            archive.writestr(zipfile.ZipInfo("SHA256SUMS"), "".join(sums))
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _csv(names: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream)
    writer.writerow(names)
    for row in rows:
        writer.writerow([_cell(value) for value in row])
    return stream.getvalue()


def _cell(value: Any) -> Any:
    """A value that a spreadsheet takes as text, not as a formula."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def _text(value: float | None) -> str:
    return "" if value is None else f"{value:.15g}"


def _met(actual_s: float | None, promised_s: float) -> str:
    return "" if actual_s is None else "yes" if actual_s <= promised_s else "no"


def _lines(values: Iterable[str]) -> str:
    return "\n".join(values)
