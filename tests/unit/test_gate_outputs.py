"""Table, JSON, JUnit's XML, what GitHub shows and the way to green all say the same, and nothing in them executes."""

from __future__ import annotations

import io
import json
from datetime import timedelta
from pathlib import Path
from xml.etree import ElementTree

import pytest
from gate_samples import ASKED, COMMIT, IMAGE, NOW, failed, inconclusive, judge, policy, requirement, run, unreadable

from ftchaos.gate import document, explain, github, junit, table
from ftchaos.gate.decide import Decision
from ftchaos.gate.policy import Loaded
from ftchaos.store import Summary

HOSTILE = "\x1b[31m::error::x\n::set-env name=A::b ##[command]<script>|`$(id)` \u202e" * 20


def mixed() -> Decision:
    """One requirement of each state, and an open harm."""
    given = policy(
        requirement(passes=3, recovery_time="50%"),
        {"run": "experiment/zone-outage", "max_age": "7d"},
        {"run": "gameday/quarterly", "every": "90d"},
        waivers=[
            {
                "requirement": "quarterly",
                "person": "A. Person",
                "reason": "moved, the team is ill",
                "until": NOW.date() + timedelta(days=9),
            }
        ],
    )
    runs = [run(1), run(2), failed(3), run(1.5, "zone-outage", kind="experiment")]
    return judge(given, [*runs, failed(4, name="cache", exit_code=4, undo_failed=1)])


def hostile() -> Decision:
    given = policy(
        requirement(),
        waivers=[
            {"requirement": "restore", "person": HOSTILE[:400], "reason": HOSTILE[:400], "until": NOW.date()},
        ],
        title=HOSTILE[:150],
    )
    return judge(given, [failed(1, reason=HOSTILE)])


def shown(decision: Decision, title: str = "") -> str:
    stream = io.StringIO()
    table.show(decision, stream, title)
    return stream.getvalue()


def flat(text: str) -> str:
    return " ".join(text.split())


def test_the_table_says_what_is_required_what_came_of_it_and_what_it_proves() -> None:
    text = shown(mixed(), "Production")

    assert text.startswith("Production\n")
    for words in ("not met", "waived", "22.3 %", "2 of all 3", "A. Person", "no-open-harm"):
        assert words in flat(text)
    assert flat(text).endswith("1 of 4 requirements met, 1 waived")
    assert all(len(line) <= table.WIDTH for line in text.splitlines())


def test_a_waiver_shows_in_every_output(tmp_path: Path) -> None:
    decision = mixed()
    loaded = Loaded(policy(), tmp_path / "gate.yaml", "ab" * 32)

    outputs = [
        shown(decision),
        document.dumps(document.document(decision, loaded, "reports")),
        junit.render(decision),
        github.summary(decision),
        "\n".join(github.workflow_commands(decision)),
    ]
    assert all("A. Person" in one.replace("\\", "") for one in outputs)
    assert all("moved, the team" in flat(one.replace("\\", "")) for one in outputs)


def test_a_waiver_that_is_not_needed_shows_too() -> None:
    waiver = {"requirement": "restore", "person": "A. Person", "reason": "moved", "until": NOW.date()}
    decision = judge(policy(waivers=[waiver]), [run()])

    assert decision.judged[0].state == "met"
    assert "A waiver that is not needed" in flat(shown(decision))
    assert any(line.startswith("::warning") for line in github.workflow_commands(decision))


def test_the_document_says_all_that_the_decision_rests_on(tmp_path: Path) -> None:
    found = document.document(mixed(), Loaded(policy(), tmp_path / "gate.yaml", "ab" * 32), "s3://bucket/runs")

    assert (found["schema"], found["decision"], found["exit_code"]) == ("ftchaos.gate/1", "no", 1)
    assert (found["environment"], found["commit"], found["evidence"]) == ("staging", COMMIT, "s3://bucket/runs")
    assert [one["state"] for one in found["requirements"]] == ["not met", "met", "waived", "not met"]
    restore = found["requirements"][0]
    assert restore["reasons"][0]["kind"] == "too few"
    assert restore["passes"] == {"in_a_row": 2, "needed": 3}
    assert restore["proven_success_rate"]["at_least"] == pytest.approx(0.2236, abs=1e-4)
    assert found == json.loads(document.dumps(found))


def test_junit_counts_what_is_not_met_as_failures_and_what_is_waived_as_skipped() -> None:
    suite = ElementTree.fromstring(junit.render(mixed()))[0]

    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("4", "2", "1")
    failure = suite.find("testcase/failure")
    assert failure is not None
    assert failure.get("type") == "too few"


def test_nothing_of_hostile_evidence_is_taken_for_a_command_or_markup(tmp_path: Path) -> None:
    decision = hostile()
    quoted = github.quoted(shown(decision)).splitlines()
    commands = list(github.workflow_commands(decision))
    summary = github.summary(decision, HOSTILE)
    dumped = document.dumps(document.document(decision, Loaded(policy(title=HOSTILE[:99]), tmp_path, ""), HOSTILE))

    assert "\x1b" not in "".join([*quoted, *commands, summary, dumped])
    token = quoted[0].removeprefix("::stop-commands::")
    assert quoted[-1] == f"::{token}::"
    assert len(token) == 32
    assert not any(token in line for line in quoted[1:-1])
    assert all(line.startswith(("::error title=", "::warning title=")) for line in commands)
    assert "<script>" not in summary
    assert not any(line.lstrip().startswith("::") for line in summary.splitlines())
    assert "##[" not in dumped
    assert "\n" not in dumped
    assert ElementTree.fromstring(junit.render(decision)) is not None


def test_an_annotation_escapes_what_ends_a_property() -> None:
    line = next(
        iter(github.workflow_commands(judge(policy(requirement(name="restore")), [failed(reason="100 %0A off")])))
    )

    assert line.startswith("::error title=Gate%3A restore::The run ")
    assert "100 %250A off" in line


def test_the_way_to_green_heals_first_then_looks_then_runs() -> None:
    commands = [todo.command for todo in explain.todos(mixed(), "reports")]

    assert commands[0] == "ftchaos recover"
    assert commands[1:] == [
        "ftchaos drill run cache --environment staging --reports reports",
        "ftchaos drill run restore --environment staging --reports reports",
    ]


def test_runs_are_counted_and_about_what_is_asked() -> None:
    given = policy(requirement(passes=3, commit="same", image="same"), requirement(name="twice", passes=2))
    script = explain.script(judge(given, []), "s3://bucket/a b", "ftchaos gate")

    about = f"--environment staging --reports 's3://bucket/a b' --commit {COMMIT} --image {IMAGE}"
    assert f"for run in $(seq 3); do ftchaos drill run restore {about} || break; done" in script
    assert "for run in $(seq 2); do ftchaos drill run restore --environment staging" in script
    assert script.endswith("\n\nftchaos gate")


def test_one_row_of_runs_serves_two_requirements() -> None:
    given = policy(requirement(passes=3), requirement(name="quick", recovery_time="50%"))

    todos = explain.todos(judge(given, []), "reports")

    assert [(one.requirements, one.times) for one in todos] == [(("restore", "quick"), 3)]


@pytest.mark.parametrize(
    ("what", "command"),
    [
        (failed(1), "ftchaos report show {run} --reports reports"),
        (inconclusive(1), "ftchaos report show {run} --reports reports"),
        (unreadable(1), "ftchaos report verify {run} --reports reports"),
        (run(-1), ""),
    ],
)
def test_a_run_that_is_no_proof_is_looked_at_first(what: Summary, command: str) -> None:
    first = explain.todos(judge(policy(), [what]), "reports")[0]

    assert first.command == command.format(run=what.run_id)


def test_evidence_cannot_put_words_into_a_shell() -> None:
    harmed = failed(1, name="x; rm -rf /", kind="drill", undo_failed=1, run_id="$(id)")

    script = explain.script(judge(policy(), [harmed]), "reports", "ftchaos gate")

    assert "rm -rf" not in "\n".join(line for line in script.splitlines() if not line.startswith("#"))


def test_a_yes_is_told_in_one_line() -> None:
    decision = judge(policy(), [run()], ASKED)

    assert explain.todos(decision, "reports") == []
    assert "YES for staging" in flat(shown(decision))
