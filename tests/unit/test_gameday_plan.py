"""A plan is read without trust: what is wrong is refused with its line, and nothing else happens."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import gameday_samples as samples
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ftchaos import definitions
from ftchaos.errors import Invalid
from ftchaos.gameday import cron
from ftchaos.gameday import plan as plans

NAMES = ["monthly-restore", "quarterly"]


def test_the_documented_plans_ship() -> None:
    assert set(NAMES) <= set(definitions.names("gameday"))


@pytest.mark.parametrize("name", NAMES)
def test_a_plan_that_ships_is_playable_and_named_as_its_file(name: str) -> None:
    loaded = plans.load(plans.find(name))

    plans.ensure_playable(loaded)
    assert loaded.plan.name == name
    assert loaded.plan.schedule is not None


def test_the_quarterly_day_covers_what_is_documented() -> None:
    parts = plans.load(plans.find("quarterly")).plan.parts

    played = [part.definition for part in parts if part.is_run]
    assert ["zone-outage", "redis-master-kill", "mysql-primary-kill", "restore"] == played


def test_the_plan_in_the_documents_is_accepted(tmp_path: Path) -> None:
    text = (Path(__file__).resolve().parents[2] / "docs" / "gamedays.md").read_text()
    (block,) = re.findall(r"```yml\n(.*?)```", text, re.DOTALL)

    plans.ensure_playable(samples.loaded(tmp_path, block))


def test_each_part_gets_a_name(tmp_path: Path) -> None:
    parts = samples.loaded(tmp_path).plan.parts

    assert ["zone-outage", "pause-2", "look", "restore"] == [part.name for part in parts]


def test_options_reach_the_command_line_as_one_word_each(tmp_path: Path) -> None:
    text = samples.PLAN.replace(
        "experiment: zone-outage", "experiment: zone-outage\n    options: {zone: zone-a --all, rto: 60s}"
    ).replace("drill: restore", "drill: restore\n    options: {from: /backups/new, size: 8MiB}")
    parts = samples.loaded(tmp_path, text).plan.parts

    assert ["experiment", "run", "zone-outage", "--zone=zone-a --all", "--rto=60s"] == parts[0].arguments()
    assert ["drill", "restore", "--from=/backups/new", "--size=8MiB"] == parts[3].arguments()


SCHEDULE = "\nschedule: {cron: '0 9 15 1 *', window: Mon-Fri 08:00-12:00}\n"


@pytest.mark.parametrize(
    ("change", "line", "words"),
    [
        (("title:", "titel:"), 1, "'title' is missing"),
        (("time_box: 2h", "time_box: 2h\ncolour: red"), 4, "unknown key 'colour'"),
        (("time_box: 2h", "time_box: soon"), 3, "'soon' is not a duration"),
        (("time_box: 2h", "time_box: 0s"), 3, "greater than 0"),
        (("time_box: 2h", "time_box: 30s"), 3, "the pauses alone take longer"),
        (("name: sample", "name: ../sample"), 1, "pattern"),
        (("- experiment: zone-outage", "- experiment: zone-outage\n    drill: restore"), 7, "exactly one of"),
        (("- experiment: zone-outage", "- name: nothing"), 7, "exactly one of"),
        (("- experiment: zone-outage", "- experiment: zone-outage\n    only_if_passed: true"), 8, "no part before it"),
        (("experiment: zone-outage", "experiment: restore"), 12, "the name 'restore' is taken"),
        (("role: lead\n  - drill", "role: pilot\n  - drill"), 11, "nobody has the role 'pilot'"),
        (("drill: restore", "drill: restore\n    options: {all: 1}"), 13, "takes no option 'all'"),
        (("drill: restore", "drill: restore\n    options: {zone: zone-a}"), 13, "takes no option 'zone'"),
        (("pause: 1m", "pause: 1m\n    options: {rto: 1s}"), 8, "a pause has no options"),
        (("pause: 1m", "pause: 1m\n    role: lead"), 8, "belong to a manual part"),
        (("manual: Look at the dashboards", 'manual: "a\\u001b[2J"'), 9, "pattern"),
        (("only_if_passed: true", "only_if_passed: 1"), 13, "boolean"),
        (("parts:", SCHEDULE + "parts:"), 7, "outside the window Mon-Fri 08:00-12:00"),
        (("parts:", "schedule: {cron: '0 9 1 * 1'}\nparts:"), 6, "schedulers disagree"),
    ],
)
def test_a_wrong_plan_is_refused_with_its_line(tmp_path: Path, change: tuple[str, str], line: int, words: str) -> None:
    with pytest.raises(Invalid) as raised:
        samples.loaded(tmp_path, samples.PLAN.replace(*change, 1))

    assert words in raised.value.fact
    assert f"plan.yaml, line {line}, " in raised.value.fact


def test_a_plan_without_any_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="no part is an experiment or a drill"):
        samples.loaded(tmp_path, "name: a\ntitle: b\ntime_box: 2h\nparts: [{pause: 1m}]\n")


def test_a_definition_that_is_not_there_is_refused_with_its_line(tmp_path: Path) -> None:
    loaded = samples.loaded(tmp_path, samples.PLAN.replace("zone-outage", "zone-outrage"))

    with pytest.raises(Invalid, match=r"line 7, parts\.0\.experiment: no experiment is called 'zone-outrage'"):
        plans.ensure_playable(loaded)


_KEYS = st.sampled_from(["name", "title", "parts", "people", "time_box", "schedule", "cron", "experiment", "options"])
_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["1h", "* * * * *"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_KEYS | st.text(max_size=5), inner, max_size=4),
    max_leaves=20,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(_KEYS, _VALUES))
def test_no_plan_from_a_stranger_does_more_than_be_refused(tmp_path: Path, data: dict[str, object]) -> None:
    facts = []
    try:
        samples.loaded(tmp_path, yaml.safe_dump(data, allow_unicode=True))
    except Invalid as error:
        facts.append(error.fact)

    assert [] == [fact for fact in facts if str(tmp_path) not in fact]


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=40) | st.lists(st.text("0123456789*/,-", max_size=6), min_size=5, max_size=5).map(" ".join))
def test_a_cron_expression_is_refused_or_comes_again(text: str) -> None:
    try:
        found = cron.parse(text)
    except Invalid:
        return
    at = datetime(2026, 11, 23, 12, 0, 30, tzinfo=UTC)

    assert found.previous(at) <= at < found.next(at)
    assert cron.parse(found.plain).fields == found.fields
    assert found.previous(found.next(at)) == found.next(at)


@pytest.mark.parametrize(
    ("text", "plain", "calendar"),
    [
        ("0 9 15 1,4,7,10 *", "0 9 15 1,4,7,10 *", "*-1,4,7,10-15 9:0:00 UTC"),
        ("*/20 0-5 * * MON-FRI", "0,20,40 0-5 * * 1-5", "Mon,Tue,Wed,Thu,Fri *-*-* 0..5:0,20,40:00 UTC"),
        ("30 6 * * sun", "30 6 * * 0", "Sun *-*-* 6:30:00 UTC"),
        ("0 0 1 * *", "0 0 1 * *", "*-*-1 0:0:00 UTC"),
    ],
)
def test_a_cron_expression_is_written_as_each_scheduler_reads_it(text: str, plain: str, calendar: str) -> None:
    found = cron.parse(text)

    assert (found.plain, found.on_calendar) == (plain, calendar)


@pytest.mark.parametrize(
    "text",
    [
        "0 6 * * 7",
        "0 6 * * 5-7",
        "0 6 L * *",
        "0 6 * * 5#2",
        "0 6 1 * 1",
        "0 6 31 2 *",
        "@daily",
        "* * * * * *",
        "",
        "61 * * * *",
    ],
)
def test_what_schedulers_disagree_on_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        cron.parse(text)
