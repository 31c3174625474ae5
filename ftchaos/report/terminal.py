"""What the command line shows of a run, a plan or a lab: plain words first, colour only where a terminal has it.

The summary fits on a screen of 80 columns and 24 lines, prompt included, and reads the same in a CI log.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from ftchaos.evidence import Evidence, Phase
from ftchaos.report import screen, wording
from ftchaos.units import human_duration

WIDTH = 80
LINES = 22
_PREVIEW_LINES = 50
_COLOURS = {"passed": "bold green", "failed": "bold red", "inconclusive": "bold yellow"}
_MET_COLOURS = {True: "green", False: "bold red", None: "yellow"}
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]+")


def show(evidence: Evidence, folder: Path, stream: TextIO) -> None:
    """Print the summary of a run.

    Args:
        evidence: the run.
        folder: where its report lies.
        stream: usually standard output; colour only when it is a terminal and NO_COLOR is not set.
    """
    # Only the colours of rich are wanted: no wrapping of its own, no markup, no highlighting.
    console = Console(file=stream, width=WIDTH * 4, highlight=False, markup=False, emoji=False)
    for line in summary(evidence, folder, fancy=console.encoding.lower().startswith("utf")):
        line.rstrip()  # in place
        console.print(line, soft_wrap=True)


def summary(evidence: Evidence, folder: Path, *, fancy: bool = True) -> list[Text]:
    """The lines of the summary: verdict and first reason first, at most :data:`LINES` lines.

    Args:
        evidence: the run.
        folder: where its report lies.
        fancy: whether block characters may be used.
    """
    head = Text(wording.VERDICTS[evidence.verdict].upper(), _COLOURS[evidence.verdict])
    head.append(f"  {evidence.kind} {_line(evidence.name)} in {_line(evidence.environment)}", "not bold")
    foot = _foot(evidence, folder)
    harmed = _harmed(evidence)
    lines = [
        _short(head, WIDTH),
        *_wrapped(wording.lead(evidence), 3, "bold"),
        *_others(evidence),
        Text(),
        *_wrapped(evidence.summary, 4),
    ]
    if evidence.components:
        room = LINES - len(lines) - len(foot) - len(harmed) - 2
        body = [_short(line, WIDTH) for line in screen.body(evidence, room, fancy)]
        return [*lines, Text(), *body, Text(), *foot, *harmed]
    if evidence.kind == "gameday":
        lines += [Text(), *_parts(evidence, LINES - len(lines) - len(foot) - len(harmed) - 2)]
    elif evidence.exit_code != 5:
        lines += [Text(), *_actuals(evidence)]
    room = LINES - len(lines) - len(foot) - len(harmed) - 2
    if evidence.recovery.phases and room >= 3:
        lines += [Text(), *_phases(evidence, room, fancy)]
    # A failed heal outranks everything: it is printed last and loudest.
    return [*lines, Text(), *foot, *harmed]


def preview(plan: Mapping[str, Any]) -> str:
    """What a run would hit and do, for people."""
    objectives = plan["objectives"]
    targets = [_line(str(target)) for target in plan["targets"]]
    faults, promises = plan.get("faults", ()), plan.get("promises", ())
    harmed = _wrapped(f"would be harmed: {', '.join(targets) if targets else 'nothing'}", _PREVIEW_LINES)
    lines = [
        f"{plan['kind']} {plan['name']} in {plan['environment']} (platform {plan['platform']}): nothing is touched now",
        _line(str(plan["title"])),
        "",
        *(["faults, as they would be reported:", *_numbered(faults), ""] if faults else []),
        *(line.plain for line in harmed),
        *(f"would be made:   {_line(str(one))}" for one in plan.get("makes", ())),
        f"held against:    RTO {human_duration(objectives['rto_s'])}, RPO {human_duration(objectives['rpo_s'])}",
        *([f"promises:        {_line(str(promises[0]))}"] if promises else []),
        *(f"                 {_line(str(promise))}" for promise in promises[1:]),
        *(f"not asked here:  {_line(str(promise))}" for promise in plan.get("unasked", ())),
        "",
        "steps:",
        *_numbered(plan["steps"]),
    ]
    return "\n".join(lines)


def _numbered(items: Sequence[Any]) -> list[str]:
    return [f"{number:3}. {_line(str(item))}" for number, item in enumerate(items, 1)]


def lab_status(lab: Mapping[str, Any]) -> str:
    """A lab's places and services, for people."""
    reason = f" ({_line(str(lab['mode_reason']))})" if lab.get("mode_reason") else ""
    lines = [f"lab {lab['name']}: {'up' if lab.get('up', True) else 'coming up'}, mode {lab['mode']}{reason}"]
    for fault in lab.get("faults_not_to_be_had", ()):
        lines.append(f"not to be had here: {_line(str(fault))}")
    services = lab.get("services", {})
    for place, address in lab.get("addresses", {}).items():
        here = lab.get("places", {}).get(place, {})
        state = "dead" if here.get("alive") is False else "cut off" if here.get("cut") else ""
        lines += ["", f"{place}  {address}{'  ' + state.upper() if state else ''}"]
        for name, service in services.items():
            if service.get("place") == place:
                port = f"port {service['port']}" if service.get("port") else ""
                alive = f"pid {service['pid']}" if service.get("alive") else "DEAD"
                lines.append(f"  {name:22} {alive:12} {port}".rstrip())
    return "\n".join(lines)


def _others(evidence: Evidence) -> list[Text]:
    if len(evidence.reasons) < 2:
        return []
    second = _short(Text(f"- {_line(evidence.reasons[1])}"), WIDTH)
    left = len(evidence.reasons) - 2
    return [second, *([Text(f"- and {left} more, see the report")] if left else [])]


def _actuals(evidence: Evidence) -> list[Text]:
    rows = wording.actuals(evidence)
    name, actual, judged = (max(len(getattr(row, part)) for row in rows) for part in ("name", "actual", "judged"))
    lines = []
    for row in rows:
        line = Text(f"{row.name:{name}}  {row.actual:>{actual}}  ")
        line.append(f"{row.judged:{judged}}", _MET_COLOURS[row.met])
        line.append(f"  {_line(row.detail)}")
        lines.append(_short(line, WIDTH))
    return lines


def _parts(evidence: Evidence, room: int) -> list[Text]:
    """The parts of a game day, a line each."""
    steps = evidence.steps if len(evidence.steps) <= room else evidence.steps[: max(0, room - 1)]
    words = {"succeeded": ("passed", "green"), "aborted": ("interrupted", "yellow"), "not run": ("not run", "yellow")}
    lines = []
    for step in steps:
        said, colour = words.get(step.status, (step.error.partition(":")[0], "bold red"))
        line = Text(f"{_line(step.name)[:24]:24}  ")
        line.append(f"{_line(said):12}", colour)
        line.append(f"  {'' if step.duration_s is None else human_duration(step.duration_s):>12}")
        lines.append(_short(line, WIDTH))
    left = len(evidence.steps) - len(steps)
    return [*lines, *([Text(f"and {left} more, see the report")] if left else [])]


def _phases(evidence: Evidence, room: int, fancy: bool) -> list[Text]:
    """The phases as bars on their own axis; the shortest are put together when the screen is too small."""
    phases = evidence.recovery.phases
    total_s = evidence.recovery.recovery_time_s or sum(phase.duration_s for phase in phases) or 1.0
    rows = [(_line(phase.name), begin, phase.duration_s) for phase, begin in zip(phases, _begins(phases), strict=True)]
    others = ""
    if len(rows) > room:
        kept = sorted(range(len(rows)), key=lambda index: -rows[index][2])[: room - 1]
        rest = [row for index, row in enumerate(rows) if index not in kept]
        others = f"and {len(rest)} shorter phases, {human_duration(sum(row[2] for row in rest))} in all"
        rows = [rows[index] for index in sorted(kept)]
    width = 40
    full = "█" if fancy else "#"
    lines = []
    for name, begin_s, length_s in rows:
        left = min(width - 1, int(width * begin_s / total_s))
        bar = " " * left + full * max(1, min(width - left, round(width * length_s / total_s)))
        line = Text(f"{name[:14]:14} {wording.duration(length_s):>12}  ")
        line.append(f"{bar:{width}}", "blue")
        line.append(f" {wording.percent(length_s / total_s):>7}")
        lines.append(line)
    return [*lines, *([Text(others)] if others else [])]


def _begins(phases: Sequence[Phase]) -> list[float]:
    begins, begin_s = [], 0.0
    for phase in phases:
        begins.append(begin_s)
        begin_s += phase.duration_s
    return begins


def _foot(evidence: Evidence, folder: Path) -> list[Text]:
    calls, cost = wording.call_words(evidence), wording.cost_words(evidence)
    return [
        *([_short(Text(f"calls   {calls}"), WIDTH)] if calls else []),
        *([_short(Text(f"cost    {cost}"), WIDTH)] if cost else []),
        Text(f"report  {_line(str(folder / 'report.html'))}"),
        Text(f"verify  ftchaos report verify {evidence.run_id}"),
    ]


def _harmed(evidence: Evidence) -> list[Text]:
    if evidence.exit_code != 4:
        return []
    lines = [Text("THE SYSTEM IS LEFT HARMED. Heal it: ftchaos recover", "bold red")]
    for harm in [harm for harm in evidence.undo.harms if not harm.healed][:2]:
        lines.append(_short(Text(f"by hand: {_line(harm.repair or harm.why)}", "red"), WIDTH * 2))
    return lines


def _line(text: str) -> str:
    return " ".join(_CONTROL.sub(" ", text).split())


def _wrapped(text: str, most: int, style: str = "") -> list[Text]:
    """The text on at most so many lines of the screen's width."""
    lines: list[str] = []
    for word in _line(text).split(" "):
        for piece in _pieces(word):
            if lines and cell_len(lines[-1]) + 1 + cell_len(piece) <= WIDTH:
                lines[-1] += f" {piece}"
            else:
                lines.append(piece)
    cut = lines[:most]
    if len(lines) > most:
        cut[-1] = cut[-1][: WIDTH - 1] + "…"
    return [Text(line, style) for line in cut]


def _pieces(word: str) -> list[str]:
    return [word[index : index + WIDTH] for index in range(0, len(word), WIDTH)] or [""]


def _short(line: Text, width: int) -> Text:
    line.truncate(width, overflow="ellipsis")
    return line
