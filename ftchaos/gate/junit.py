"""``junit.xml`` of a decision: one test case for each requirement.

A requirement that is not met is a *failure*, one that is waived is *skipped* with the waiver's words, so that it does
not pass for one that is met.
"""

from __future__ import annotations

from xml.etree import ElementTree

from ftchaos.clock import iso
from ftchaos.gate import words
from ftchaos.gate.decide import Decision, Judged


def render(decision: Decision) -> str:
    """The document."""
    suite = ElementTree.Element("testsuite")
    for one in decision.judged:
        _case(suite, decision, one)
    suite.attrib.update(
        name=f"ftchaos.gate.{words.plain(decision.asked.environment)}",
        timestamp=iso(decision.at).removesuffix("Z"),
        time="0.000",
        tests=str(len(suite.findall("testcase"))),
        failures=str(len(suite.findall("testcase/failure"))),
        errors="0",
        skipped=str(len(suite.findall("testcase/skipped"))),
    )
    suites = ElementTree.Element("testsuites")
    suites.append(suite)
    ElementTree.indent(suites, " ")
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(suites, encoding="unicode") + "\n"


def _case(suite: ElementTree.Element, decision: Decision, judged: Judged) -> None:
    name = f"ftchaos.gate.{words.plain(decision.asked.environment)}"
    case = ElementTree.SubElement(suite, "testcase", classname=name, name=judged.name, time="0.000")
    said = [words.wants(judged), *words.why(judged), words.proves(judged), words.waiver(judged)]
    text = "\n".join(line for line in said if line)
    if judged.state == "not met":
        first = words.why(judged)[0]
        ElementTree.SubElement(case, "failure", message=first, type=judged.reasons[0].kind).text = text
    elif judged.state == "waived":
        ElementTree.SubElement(case, "skipped", message=words.waiver(judged))
    ElementTree.SubElement(case, "system-out").text = text
