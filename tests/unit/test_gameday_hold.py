"""One game day at a time, found by whoever wants to speak, approve, stop or resume it."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import gameday_samples as samples
import pytest
from click.testing import CliRunner, Result
from gameday_samples import Killed, World, world

from ftchaos import evidence, store
from ftchaos.cli.gameday import gameday
from ftchaos.clock import iso
from ftchaos.errors import Invalid, Locked, Refused
from ftchaos.gameday import folder, hold, live, people
from ftchaos.gameday.hold import Asked
from ftchaos.gameday.people import Answer, People
from ftchaos.gameday.plan import Part
from ftchaos.gameday.record import Record


class Here(World):
    """The world as the commands see it."""

    dies_at = ""

    def begin(self, part: Part) -> samples.Running:
        if part.name == self.dies_at:
            raise Killed
        return super().begin(part)

    def hold(self, *, resume: bool = False, asked: Asked | None = None) -> None:
        (hold.resume if resume else hold.begin)(self.loaded, asked or Asked(), self.said.append)

    def die_at(self, part: str) -> None:
        self.dies_at = part
        with pytest.raises(Killed):
            self.hold()
        self.dies_at = ""
        self.log.clear()


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Here:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FTCHAOS_STATE", str(tmp_path / "state"))
    made = world(tmp_path)
    found = Here(tmp_path, made.loaded, answers=iter([Answer(True, "Ada")] * 9))
    monkeypatch.setattr(hold, "Parts", lambda *_: found)
    monkeypatch.setattr(hold, "People", lambda *_: found)
    monkeypatch.setattr(hold, "Clock", lambda: found.watch)
    return found


def _call(*words: str) -> Result:
    return CliRunner().invoke(gameday, list(words))


def test_a_day_that_was_held_is_a_run_of_the_store(here: Here) -> None:
    here.hold()

    (run,) = store.open("reports").summaries()
    assert ("gameday", "sample", "lab", "passed", 0) == (
        run.kind,
        run.name,
        run.environment,
        run.verdict,
        run.exit_code,
    )
    assert {run.run_id: []} == store.open("reports").verify([run.run_id])
    assert run.manifest_sha256
    assert live.unfinished() is None


def test_a_day_knows_what_was_under_test(here: Here) -> None:
    commit, image = "a" * 40, "sha256:" + "b" * 64

    here.hold(asked=Asked(commit=commit, image=image))

    (run,) = store.open("reports").summaries()
    assert (commit, image) == (run.commit, run.image)
    words = Asked(lab="x").common("lab", "reports", commit, image)
    assert ["--environment=lab", "--reports=reports", "--lab=x", f"--commit={commit}", f"--image={image}"] == words
    with pytest.raises(Invalid, match="not a whole commit"):
        here.hold(asked=Asked(commit="abc"))


def test_two_at_once_are_refused(here: Here) -> None:
    with live.claimed("20261123T090000Z-other-0001"), pytest.raises(Locked, match="a game day is under way"):
        here.hold()

    assert here.log == []


def test_a_day_that_died_must_be_resumed_or_ended_first(here: Here) -> None:
    here.die_at("restore")

    with pytest.raises(Refused, match="died and is not finished") as raised:
        here.hold()

    assert "--resume" in raised.value.hint
    here.hold(resume=True)
    assert ["wait for restore", "recover", "begin restore"] == here.log
    (run,) = store.open("reports").summaries()
    assert run.verdict == "passed"


def test_a_pod_ends_the_day_of_the_one_before_and_the_next_pod_holds_its_own(here: Here) -> None:
    before = _call("stop", "--died")
    here.die_at("restore")
    with live.claimed(live.unfinished().run_id):  # type: ignore[union-attr]
        alive = _call("stop", "--died")

    ended, after = _call("stop", "--died", "--by", "the next pod"), _call("stop", "--died")
    here.hold()

    assert [0, 0, 130, 0] == [one.exit_code for one in (before, alive, ended, after)]
    assert ["no game day died here\n"] * 3 == [one.output for one in (before, alive, after)]
    assert "it is ended now: inconclusive" in ended.output
    # Both are of one second, so that chance orders them.
    verdicts = sorted(one.verdict for one in store.open("reports").summaries())
    assert ["inconclusive", "passed"] == verdicts


def test_a_day_that_died_after_its_last_entry_is_told_of_too(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(folder, "complete", _die)
        with pytest.raises(Killed):
            here.hold()

    assert 130 == _call("stop", "--died").exit_code
    (run,) = store.open("reports").summaries()
    assert "passed" == run.verdict


def _die(*_: object) -> None:
    raise Killed


def test_a_day_that_died_is_ended_by_a_stop(here: Here) -> None:
    here.die_at("restore")

    done = _call("stop", "--by", "Ada", "--reason", "we go home")

    assert "it is ended now: inconclusive" in done.output
    assert ["wait for restore", "recover"] == here.log
    (run,) = store.open("reports").summaries()
    assert (130, "The game day was stopped: we go home.") == (run.exit_code, run.reason)
    assert live.unfinished() is None


def test_a_day_that_died_before_its_first_entry_can_be_ended_and_resumed(here: Here) -> None:
    note = folder.make(here.loaded, "reports", "20261123T090000Z-sample-7f3a")
    assert _call("stop").exit_code == 0
    assert live.unfinished() is None
    note.write()

    here.hold(resume=True)

    (run,) = store.open("reports").summaries()
    assert (note.run_id, "passed") == (run.run_id, run.verdict)


def test_a_day_that_died_after_its_last_entry_is_completed(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(folder, "complete", _die)
        with pytest.raises(Killed):
            here.hold()
    here.log.clear()

    here.hold(resume=True)

    assert here.log == []
    assert len(store.open("reports").summaries()) == 1


def test_a_changed_plan_is_not_resumed(here: Here) -> None:
    here.die_at("restore")
    changed = samples.loaded(here.folder, samples.PLAN.replace("2h", "3h"))
    other = samples.loaded(here.folder, samples.PLAN.replace("name: sample", "name: other"))

    for loaded, words in ((changed, "was changed since"), (other, "is not one of other")):
        with pytest.raises(Invalid, match=words):
            hold.resume(loaded, Asked(), print)


def test_there_is_nothing_to_resume(here: Here) -> None:
    with pytest.raises(Invalid, match="no game day died here"):
        here.hold(resume=True)


def test_a_closed_window_refuses(here: Here) -> None:
    now = datetime.now(UTC)
    day = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")[(now.weekday() + 3) % 7]
    text = samples.PLAN.replace("parts:", f"schedule: {{cron: '0 9 * * {day}', window: '{day} 08:00-10:00'}}\nparts:")
    here.loaded = samples.loaded(here.folder, text)

    with pytest.raises(Refused, match="is outside the window of sample"):
        here.hold()


def test_a_protected_environment_refuses_the_whole_day_at_once(here: Here) -> None:
    Path("ftchaos.yaml").write_text(
        "environments:\n  prod: {platform: lab, protected: true, allow: [experiment/zone-outage], "
        "windows: ['daily 00:00-24:00']}\n"
    )

    with pytest.raises(Refused, match="drill/restore is not on its list"):
        here.hold(asked=Asked(environment="prod", confirm="prod"))

    assert here.log == []
    assert not Path("reports").exists()


def _during(here: Here, act: Callable[[], Result]) -> Result:
    """Do something while the day is under way, in its second minute, and play it to its end."""
    found: list[Result] = []
    here.watch.at(40, lambda: found.append(act()))
    here.hold()
    return found[0]


def _entries() -> list[str]:
    (path,) = Path("reports").glob("*/gameday.jsonl")
    return [
        f"{one.what} by {one.by}: {one.text} {one.owner} {one.due}".strip() for one in Record(path.parent).entries()
    ]


@pytest.mark.parametrize(
    ("words", "entry"),
    [
        (["note", "it", "is red", "--by", "Ada"], "note by Ada: it is red"),
        (["note", "alerts come late", "--lesson", "--by", "Ada"], "lesson by Ada: alerts come late"),
        (
            ["note", "--action", "fix it", "--owner", "Bob", "--due", "2026-12-14", "--by", "Ada"],
            "action by Ada: fix it Bob 2026-12-14",
        ),
        (["approve", "pause-2", "--by", "Ada"], "approved by Ada:"),
        (["stop", "--by", "Ada", "--reason", "enough"], "stopped by Ada: enough"),
    ],
)
def test_people_speak_while_it_runs(here: Here, words: list[str], entry: str) -> None:
    done = _during(here, lambda: _call(*words))

    assert done.exit_code == 0, done.output
    assert entry in _entries()


def test_what_does_not_wait_cannot_be_approved(here: Here) -> None:
    done = _during(here, lambda: _call("approve", "look"))

    assert isinstance(done.exception, Refused)
    assert "look does not wait for anybody; pause-2 is under way" == done.exception.fact
    assert isinstance(_call("approve", "look").exception, Invalid)


def test_an_action_needs_a_date_that_is_one(here: Here) -> None:
    done = _during(here, lambda: _call("note", "--action", "fix it", "--due", "soon"))

    assert isinstance(done.exception, Invalid)


def test_nobody_can_speak_where_there_is_no_day(here: Here) -> None:
    for words in (["note", "hello"], ["stop"], ["approve", "look"]):
        assert isinstance(_call(*words).exception, Invalid)


def test_next_says_what_is_overdue(here: Here) -> None:
    done = _call("next", "quarterly", "--json")

    (due,) = json.loads(done.output)
    assert (done.exit_code, due["name"], due["overdue"], due["last_run_id"]) == (1, "quarterly", True, None)


def test_a_broken_note_is_named(here: Here) -> None:
    path = Path("state/gamedays/x.json")
    path.parent.mkdir(parents=True)
    path.write_text("{")

    with pytest.raises(Invalid, match=r"the note .*x\.json cannot be read"):
        here.hold()


def _people(here: Here, typed: str = "", told: list[str] | None = None) -> tuple[People, Part, int]:
    reading, writing = os.pipe()
    os.write(writing, typed.encode())
    stream = io.TextIOWrapper(os.fdopen(reading, "rb", buffering=0), line_buffering=True)
    tell = (told if told is not None else here.said).append
    return People(stream, here.folder / "approvals", tell, here.loaded.plan, "lab"), here.loaded.plan.parts[2], writing


@pytest.mark.parametrize(
    ("typed", "approved", "text"),
    [("done\n", True, ""), ("YES all green\n", True, "all green"), ("no, all red\n", False, "all red")],
)
def test_an_answer_is_typed(here: Here, typed: str, approved: bool, text: str) -> None:
    asked, part, writing = _people(here, typed)

    answer = asked.answer(part, "x")

    os.close(writing)
    assert answer == Answer(approved, people.person(), text)


def test_what_is_no_answer_is_asked_again_and_a_lost_terminal_is_silent(here: Here) -> None:
    asked, part, writing = _people(here, "what?\n")

    assert asked.answer(part, "x") is None
    assert here.said == ["  type 'done', or 'no' and why"]
    os.close(writing)
    assert asked.answer(part, "x") is None
    assert asked.answer(part, "x") is None


def _approval(here: Here, **changed: str) -> Path:
    path = here.folder / "approvals" / "look.json"
    path.parent.mkdir(exist_ok=True)
    expires = iso(datetime.now(UTC) + timedelta(hours=1))
    given = {"run": "gameday/sample/look", "environment": "lab", "expires": expires, "by": "Ada", **changed}
    path.write_text(json.dumps(given))
    return path


def test_a_file_approves_a_part_once(here: Here) -> None:
    asked, part, writing = _people(here)
    path = _approval(here)

    assert asked.answer(part, "run-1") == Answer(True, "Ada", "by the file look.json")
    assert not path.exists()
    assert asked.answer(part, "run-1") is None
    os.close(writing)


@pytest.mark.parametrize(
    "changed", [{"run": "gameday/sample/other"}, {"environment": "prod"}, {"expires": "2020-01-01T00:00:00Z"}]
)
def test_a_file_for_something_else_does_not_and_says_so_once(here: Here, changed: dict[str, str]) -> None:
    asked, part, writing = _people(here)
    path = _approval(here, **changed)

    assert asked.answer(part, "run-1") is None
    assert asked.answer(part, "run-1") is None
    assert path.exists()
    assert len(here.said) == 1
    os.close(writing)


def test_the_terminal_shows_each_part(here: Here) -> None:
    from ftchaos.report import terminal

    here.results = {"restore": samples.result("failed", reason="RTO missed.")}
    here.hold()
    (path,) = Path("reports").glob("*/evidence.json")
    found = evidence.read(path.parent)

    shown = "\n".join(str(line) for line in terminal.summary(found, path.parent))
    assert "FAILED  gameday sample in lab" in shown
    assert "restore failed: RTO missed." in shown
    for part in ("zone-outage", "pause-2", "look"):
        assert f"{part:24}  passed" in shown
    assert "restore                   failed" in shown
