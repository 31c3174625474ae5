"""``junit.xml``: the run as test cases, for the CI systems that all read this format.

A missed promise is a *failure*; what could not be measured is an *error*, so that neither passes for the other.
"""

from __future__ import annotations

import re
from xml.etree import ElementTree

from ftchaos.evidence import Evidence
from ftchaos.evidence.sentence import moment
from ftchaos.report import promised, wording

# XML 1.0 forbids these even as references; evidence has them replaced, paths and names may not.
_FORBIDDEN = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def render(evidence: Evidence) -> str:
    """One suite: the verdict, each objective and promise, each check of the data, each step."""
    suite = ElementTree.Element("testsuite")
    _verdict(suite, evidence)
    _objectives(suite, evidence)
    for promise in promised.promised(evidence):
        case = _case(suite, evidence, f"promise: {promise.words}", None)
        if promise.kept is not True:
            detail = promise.detail or "it is not known whether it was kept"
            _problem(case, "error" if promise.kept is None else "failure", detail)
    for check in evidence.verification.checks:
        case = _case(suite, evidence, f"check {check.stage}: {check.name}", check.duration_s)
        if check.passed is not True:
            kind = "failure" if check.passed is False else "error"
            _problem(case, kind, f"expected {check.expected}, actual {check.actual}")
    for step in evidence.steps:
        case = _case(suite, evidence, f"step: {step.name}", step.duration_s)
        if step.status in ("failed", "aborted"):
            _problem(case, "error", step.error or step.status)
        elif step.status == "not run":
            ElementTree.SubElement(case, "skipped", message=_legal(step.error or "not run"))
    length_s = (moment(evidence.ended_at) - moment(evidence.began_at)).total_seconds()
    suite.attrib.update(
        name=_legal(f"ftchaos.{evidence.kind}.{evidence.name}"),
        timestamp=evidence.began_at.removesuffix("Z"),
        time=f"{max(length_s, 0):.3f}",
        tests=str(len(suite.findall("testcase"))),
        failures=str(len(suite.findall("testcase/failure"))),
        errors=str(len(suite.findall("testcase/error"))),
        skipped=str(len(suite.findall("testcase/skipped"))),
    )
    suites = ElementTree.Element("testsuites")
    suites.append(suite)
    ElementTree.indent(suites, " ")
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(suites, encoding="unicode") + "\n"


def _verdict(suite: ElementTree.Element, evidence: Evidence) -> None:
    case = _case(suite, evidence, "verdict", evidence.recovery.recovery_time_s)
    if evidence.verdict != "passed":
        kind = "failure" if evidence.verdict == "failed" else "error"
        _problem(case, kind, evidence.reasons[0], "\n".join(evidence.reasons), evidence.verdict)
    ElementTree.SubElement(case, "system-out").text = _legal(evidence.summary)


def _objectives(suite: ElementTree.Element, evidence: Evidence) -> None:
    for actual in wording.actuals(evidence):
        case = _case(suite, evidence, f"objective: {actual.name}", None)
        if actual.met is not True:
            kind = "failure" if actual.met is False else "error"
            _problem(case, kind, f"{actual.actual}: {actual.judged}", actual.detail)


def _case(suite: ElementTree.Element, evidence: Evidence, name: str, duration_s: float | None) -> ElementTree.Element:
    return ElementTree.SubElement(
        suite,
        "testcase",
        classname=_legal(f"ftchaos.{evidence.kind}.{evidence.name}"),
        name=_legal(name),
        time=f"{duration_s or 0:.3f}",
    )


def _problem(case: ElementTree.Element, kind: str, message: str, text: str = "", type_: str = "") -> None:
    problem = ElementTree.SubElement(case, kind, message=_legal(message), type=type_ or kind)
    problem.text = _legal(text or message)


def _legal(text: str) -> str:
    return _FORBIDDEN.sub("\N{REPLACEMENT CHARACTER}", text)
