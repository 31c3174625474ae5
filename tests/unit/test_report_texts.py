"""Markdown, JUnit and the terminal's summary tell the same run, each in what its reader can take."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest
import sample_experiments
import samples
from rich.cells import cell_len

from ftchaos import evidence as evidences
from ftchaos import manifest, report
from ftchaos.evidence import Evidence
from ftchaos.report import junit, markdown, terminal

every_kind = pytest.mark.parametrize("sample", samples.ALL.values(), ids=samples.ALL.keys())


def _whole(evidence: Evidence) -> Evidence:
    evidence.summary = evidence.summary or evidences.sentence(evidence)
    return evidence


def test_all_reports_are_written_and_none_of_them_lists_itself_as_raw_data(tmp_path: Path) -> None:
    folder = samples.folder(samples.passed(), tmp_path)
    evidence = evidences.write(samples.passed(), folder)
    report.write(evidence, folder)
    report.write(evidence, folder)  # a second time, as `report` may be run again
    manifest.write(folder)

    assert set(report.FILES) <= {path.name for path in folder.iterdir()}
    assert manifest.verify(folder).problems() == []
    page = (folder / "report.html").read_text()
    assert ">ledger/db-1.outcomes<" in page
    assert ">junit.xml<" not in page


@every_kind
def test_markdown_says_the_verdict_and_its_reason_first(sample: Callable[[], Evidence]) -> None:
    evidence = _whole(sample())
    lines = markdown.render(evidence).splitlines()

    assert lines[0].startswith(f"# {evidence.verdict.capitalize()}: {evidence.kind} {evidence.name} in ")
    assert lines[2].startswith("**")
    assert all(line.count(" | ") == lines[3].count(" | ") or not line.startswith("|") for line in lines[3:4])


def test_markdown_tables_keep_their_columns_and_no_value_becomes_markup() -> None:
    text = markdown.render(_whole(samples.hostile()))

    assert "<script" not in text.replace("\\<script", "")
    assert "[x](" not in text.replace("\\[x\\](", "")
    table: list[int] = []
    for line in text.splitlines():
        columns = line.replace("\\|", "").count("|")
        if line.startswith("| "):
            table.append(columns)
            assert columns == table[0]
        else:
            table = []
    assert len(text.encode()) < 300_000


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("see https://evil.example", "see https:\\//evil.example"),
        ("# no heading", "\\# no heading"),
        ("1. no list", "1\\. no list"),
        ("- no list", "\\- no list"),
        ("3.1 s is no list", "3.1 s is no list"),
        ("two\nlines", "two lines"),
        ("a plain, honest (text) of mysql-a: 10 %", "a plain, honest (text) of mysql-a: 10 %"),
    ],
)
def test_markdown_escapes_what_would_be_markup_and_leaves_the_rest(text: str, safe: str) -> None:
    evidence = _whole(samples.failed())
    evidence.reasons = ["first.", text]

    assert f"- {safe}\n" in markdown.render(evidence)


@every_kind
def test_junit_counts_what_it_holds(sample: Callable[[], Evidence]) -> None:
    suite = ElementTree.fromstring(junit.render(_whole(sample())))[0]

    for name, tag in (("tests", "testcase"), ("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        assert int(suite.attrib[name]) == len(suite.findall(f".//{tag}"))


@pytest.mark.parametrize(
    ("sample", "kind"),
    [(samples.passed, None), (samples.failed, "failure"), (samples.heal_failed, "failure"),
     (samples.inconclusive, "error"), (samples.refused, "error")],
)  # fmt: skip
def test_junit_tells_a_missed_promise_from_a_missing_measurement(
    sample: Callable[[], Evidence], kind: str | None
) -> None:
    evidence = _whole(sample())
    case = ElementTree.fromstring(junit.render(evidence)).find(".//testcase[@name='verdict']")

    assert case is not None
    assert [child.tag for child in case if child.tag != "system-out"] == ([kind] if kind else [])
    if kind:
        assert case[0].attrib["message"] == evidence.reasons[0]


def test_junit_of_a_passed_run_is_green_and_of_any_other_is_not() -> None:
    for sample in samples.ALL.values():
        evidence = _whole(sample())
        suite = ElementTree.fromstring(junit.render(evidence))[0].attrib
        assert (evidence.verdict == "passed") == (suite["failures"] == suite["errors"] == "0")


def test_junit_is_well_formed_whatever_the_evidence_holds() -> None:
    evidence = samples.hostile()
    evidence.name = "a\x00b\x1b\ud800"

    ElementTree.fromstring(junit.render(evidence))


@every_kind
@pytest.mark.parametrize("fancy", [True, False])
def test_the_summary_fits_on_a_screen_and_says_the_verdict_first(sample: Callable[[], Evidence], fancy: bool) -> None:
    evidence = _whole(sample())
    lines = terminal.summary(evidence, Path("reports") / evidence.run_id, fancy=fancy)

    assert len(lines) <= 23
    assert lines[0].plain.startswith(evidence.verdict.upper())
    assert max(cell_len(line.plain) for line in lines if "report" not in line.plain) <= 80
    assert not fancy or all(ord(letter) < 0x10000 for line in lines for letter in line.plain)
    assert fancy or all(ord(letter) < 128 or letter == "…" for line in lines for letter in line.plain)


def test_the_summary_of_the_longest_evidence_still_fits_and_moves_no_cursor() -> None:
    evidence = samples.hostile()
    stream = io.StringIO()
    terminal.show(evidence, Path("reports"), stream)

    assert len(stream.getvalue().splitlines()) <= 24
    assert "\x1b" not in stream.getvalue()


def test_the_summary_has_no_colour_where_there_is_no_terminal() -> None:
    stream = io.StringIO()
    terminal.show(_whole(samples.failed()), Path("reports"), stream)

    assert "\x1b" not in stream.getvalue()
    assert "RPO 15 min missed" in stream.getvalue()


def test_a_failed_heal_is_printed_last_with_the_command_that_repairs_it() -> None:
    evidence = _whole(samples.heal_failed())
    last = [line.plain for line in terminal.summary(evidence, Path("reports"))][-2:]

    assert last == ["THE SYSTEM IS LEFT HARMED. Heal it: ftchaos recover", "by hand: ftchaos lab down --name lab-7f3a"]


def test_too_many_phases_for_the_screen_are_summed_and_not_dropped() -> None:
    text = "\n".join(line.plain for line in terminal.summary(_whole(samples.failed()), Path("reports")))

    assert "replay" in text
    assert "and 4 shorter phases, 1.2 s in all" in text


def test_a_preview_says_what_would_be_harmed() -> None:
    text = terminal.preview(
        {
            "kind": "drill", "name": "restore", "title": "all is lost", "environment": "lab", "platform": "lab",
            "targets": ["mysql-a", "mysql-b"], "steps": ["destroy", "restore"],
            "objectives": {"rto_s": 14400, "rpo_s": 900},
        }
    )  # fmt: skip

    assert "would be harmed: mysql-a, mysql-b" in text
    assert "RTO 4 h, RPO 15 min" in text
    assert "nothing is touched" in text


def test_a_labs_status_names_dead_servers_and_faults_that_cannot_be_had() -> None:
    text = terminal.lab_status(
        {
            "name": "lab", "mode": "loopback", "mode_reason": "no user namespaces", "up": True,
            "faults_not_to_be_had": ["zone cut"], "addresses": {"zone-a": "127.3.0.11", "client": "127.3.0.20"},
            "places": {"zone-a": {"alive": True, "cut": True}},
            "services": {
                "mysql-a": {"place": "zone-a", "port": 3306, "pid": None, "alive": False},
                "api-a": {"place": "zone-a", "port": 8080, "pid": 77, "alive": True},
            },
        }
    )  # fmt: skip

    assert "not to be had here: zone cut" in text
    assert "zone-a  127.3.0.11  CUT OFF" in text
    assert "mysql-a" in text
    assert "DEAD" in text
    assert "pid 77" in text


def _screen(evidence: Evidence) -> list[str]:
    return [line.plain for line in terminal.summary(_whole(evidence), Path("reports"))]


def test_the_summary_of_an_experiment_has_a_line_for_each_component_that_failed_and_one_for_the_others() -> None:
    lines = _screen(sample_experiments.zone_outage())

    head = next(line for line in lines if "writable" in line)
    row = next(line for line in lines if line.startswith("cache-a"))
    assert head.split() == ["failed", "writable", "durable", "SLO", "again", "down"]
    assert row.split() == ["cache-a", "+6", "ms", "+2.4", "s", "+4.9", "s", "+5.0", "s", "2.4", "s"]
    assert len(head) == len(row)
    assert "control group, no operation failed: cache-c" in lines
    assert "lost      mysql: 0 of 11,912; redis: 0 of 11,000" in lines
    assert "promises  5 of 5 kept" in lines


def test_the_summary_of_a_fault_that_nobody_noticed_needs_no_table() -> None:
    lines = _screen(sample_experiments.replica_loss())

    assert "hit, no operation failed: database" in lines
    assert not [line for line in lines if "writable" in line]


def test_what_never_came_back_stays_on_a_crowded_screen() -> None:
    evidence = sample_experiments.zone_outage_failed()
    lines = _screen(evidence)

    assert len(lines) <= 22
    assert any(line.startswith("queue") and "never" in line for line in lines)
    assert "and 5 more, which came back sooner" in lines
    assert "promises  2 of 5 kept, 3 broken" in lines


def test_a_component_of_the_control_group_that_failed_is_shown_as_such() -> None:
    evidence = sample_experiments.zone_outage()
    evidence.components[1].hit = False

    assert any(line.startswith("cache-a (control)") for line in _screen(evidence))


def test_markdown_of_an_experiment_has_its_components_stores_work_and_differences() -> None:
    text = markdown.render(_whole(sample_experiments.zone_outage()))

    assert "| cache-a | hit | restored after 5.0 s | +6 ms | +2.4 s | +4.9 s | +5.0 s | 2.4 s |" in text
    assert "| redis | waiting for a replica | 3,800 | 3,800 | 0 |" in text
    assert "1,512 of 1,512 done, 3 repeated, 11 untold, backlog drained +5.4 s." in text
    assert "- role of mysql-a: primary before, replica after" in text
    assert "Backups considered" not in text


def test_junit_has_a_case_for_each_promise() -> None:
    suite = ElementTree.fromstring(junit.render(_whole(sample_experiments.zone_outage_failed())))[0]
    cases = [case for case in suite if case.attrib["name"].startswith("promise: ")]

    assert [len(case.findall("failure")) for case in cases] == [1, 0, 0, 1, 1]
    assert cases[0][0].attrib["message"] == "the queue was not restored within the 60 s promised"


def test_a_preview_of_an_experiment_names_its_faults_its_exact_targets_and_its_promises() -> None:
    promises = ["Whatever is hit meets its objectives again within 60 s.", "All work is done in the end."]
    text = terminal.preview(
        {
            "kind": "experiment", "name": "zone-outage", "title": "A zone is lost", "environment": "lab",
            "platform": "lab", "faults": ["zone-a lost its power"], "promises": promises,
            "targets": [f"redis-cluster-a{number} in zone-a" for number in range(9)], "steps": ["let it fail"],
            "objectives": {"rto_s": 14400, "rpo_s": 900},
        }
    )  # fmt: skip

    assert "faults, as they would be reported:\n  1. zone-a lost its power" in text
    assert all(f"redis-cluster-a{number}" in text for number in range(9))
    assert f"promises:        {promises[0]}\n                 {promises[1]}" in text
    assert all(len(line) <= 80 for line in text.splitlines())


def test_calls_to_a_cloud_are_told_in_every_text_and_nowhere_without_a_cloud() -> None:
    evidence = sample_experiments.in_a_cloud()
    words = "214 API calls in 4 operations, 3 failed, 2 of them throttled, 5 tried again, 1 more not recorded"
    text = markdown.render(_whole(evidence))

    assert f"calls   {words}"[:79] + "…" in _screen(evidence)
    assert f"{words}." in text
    assert "| ec2:DescribeNetworkAcls | 121 | 2 | 2 | 5 |" in text
    assert "API call" not in markdown.render(_whole(sample_experiments.zone_outage()))
