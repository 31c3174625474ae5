"""A game day on disk: its folder among the runs, from the begin to the manifest.

``plan.yaml`` and ``gameday.jsonl`` are the raw data; ``gameday.json``, ``evidence.json`` and the reports are made from
these two alone, at the end of the day and again whenever somebody doubts it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

from ftchaos import atomic, conclusion, evidence, guard, manifest, store
from ftchaos.config import load as load_config
from ftchaos.errors import Inconclusive, Invalid, Locked, Refused
from ftchaos.evidence import Evidence
from ftchaos.gameday import day as days
from ftchaos.gameday import live, plan
from ftchaos.gameday.day import Day
from ftchaos.gameday.live import Note
from ftchaos.gameday.plan import Loaded
from ftchaos.gameday.record import Began, Record, began
from ftchaos.options import ensure_identity

PLAN_FILE = "plan.yaml"


def about(
    loaded: Loaded, run_id: str, environment: str, config: Path | None, commit: str = "", image: str = ""
) -> Began:
    """What a day begins with.

    Raises:
        Invalid: the configuration or the environment cannot be used, or what is under test is not named whole.
    """
    ensure_identity(commit, image)
    configured = load_config(config)
    promised = configured.promises(environment)
    return Began(
        run_id=run_id,
        environment=environment,
        platform=configured.environment(environment).platform,
        plan_file=loaded.path.name,
        plan_sha256=loaded.sha256,
        objectives=vars(promised),
        machine=conclusion.this_machine(),
        commit=commit,
        image=image,
    )


def ensure_allowed(loaded: Loaded, environment: str, config: Path | None, confirm: str) -> None:
    """Refuse a day of which a part would be refused, before anything begins.

    Raises:
        Refused: the environment is protected, and something of what it asks for is missing.
    """
    settings = load_config(config).environment(environment)
    if settings.approval is not None and not confirm:
        return  # each run uses an approval of its own, which need not be there yet
    for part in loaded.plan.parts:
        if part.is_run:
            guard.ensure_allowed(environment, settings, f"{part.kind}/{part.definition}", confirm=confirm)


def make(loaded: Loaded, reports: str, run_id: str) -> Note:
    """The folder of a day that begins, with its plan, and its note.

    Raises:
        Refused: it cannot be made.
    """
    folder = store.staging(reports).absolute() / run_id
    try:
        folder.mkdir(parents=True)
        atomic.write(folder / PLAN_FILE, loaded.content)
    except OSError as error:
        raise Refused(f"{folder} cannot be written: {error.strerror}", "--reports DIR chooses another") from error
    note = Note(run_id, str(folder), loaded.plan.name, reports)
    note.write()
    return note


def unfinished(loaded: Loaded) -> Note:
    """The day that died, and of which this is the plan.

    Raises:
        Invalid: there is none, or its plan is another one.
        Locked: it is alive.
    """
    note = live.unfinished()
    if note is None:
        raise Invalid("no game day died here", "begin one: `ftchaos gameday run PLAN`")
    if note.alive:
        raise Locked(f"the game day {note.run_id} is under way", "`ftchaos gameday stop` ends it")
    if note.name != loaded.plan.name:
        raise Invalid(f"the game day that died, {note.run_id}, is not one of {loaded.plan.name}", live.died_hint(note))
    if kept_plan(Path(note.folder)).sha256 != loaded.sha256:
        raise Invalid(
            f"{loaded.path} was changed since {note.run_id} began",
            f"`ftchaos gameday run {Path(note.folder) / PLAN_FILE} --resume` goes on with it as it was, "
            "`ftchaos gameday stop` ends it",
        )
    return note


def kept_plan(folder: Path) -> Loaded:
    """The plan as the day began with it.

    Raises:
        Invalid: it is not there, or broken.
    """
    return plan.load(folder / PLAN_FILE)


def day_of(folder: Path) -> Day:
    """What the day in a folder came to so far.

    Raises:
        Invalid: its raw data is missing or broken.
    """
    return days.of(kept_plan(folder), Record(folder).entries())


def conclude(folder: Path) -> Evidence:
    """The evidence that a day's raw data amounts to.

    Raises:
        Invalid: the raw data is missing or broken.
    """
    found = began(Record(folder).entries())
    day = day_of(folder)
    assert found is not None  # else there is no day
    return days.as_evidence(day, found)


def differences(folder: Path) -> list[str]:
    """What beside the evidence differs from a day's raw data: ``gameday.json``, and the parts that lie beside it.

    Raises:
        Invalid: the raw data is missing or broken.
    """
    found = []
    day = day_of(folder)
    if (folder / days.FILE).read_text() != f"{day.model_dump_json(indent=1)}\n":
        found.append(f"{days.FILE} says otherwise than the raw data")
    for part in day.parts:
        known = part.result
        if known is None or not (known.run_id and known.manifest_sha256):
            continue
        sealed = folder.parent / known.run_id / manifest.FILE
        if sealed.is_file() and hashlib.sha256(sealed.read_bytes()).hexdigest() != known.manifest_sha256:
            found.append(f"{part.name}: the run {known.run_id} is not the one that the day saw")
    return found


def complete(note: Note, tell: Callable[[str], None] = lambda said: None) -> Day:
    """Write what the day came to, its reports, and last the manifest; a second call changes nothing.

    Raises:
        Inconclusive: the folder cannot be written.
    """
    from ftchaos.gameday import page
    from ftchaos.report import junit

    folder = Path(note.folder)
    day = day_of(folder)
    try:
        if not (folder / manifest.FILE).exists():
            atomic.write(folder / days.FILE, day.model_dump_json(indent=1) + "\n")
            whole = evidence.write(conclude(folder), folder)
            atomic.write(folder / "report.html", page.html(day))
            atomic.write(folder / "report.md", page.markdown(day))
            atomic.write(folder / "junit.xml", junit.render(whole))
        store.publish(note.reports, folder, tell)
        note.forget()
    except OSError as error:
        raise Inconclusive(
            f"the evidence cannot be written to {folder}: {error.strerror}",
            "make room there; `ftchaos gameday run PLAN --resume` then completes it",
        ) from error
    return day
