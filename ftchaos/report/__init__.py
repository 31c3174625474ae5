"""Reports: a run's evidence for people (page, Markdown, terminal) and for CI (JUnit).

wording     what all of them say alike; losses by store, and promises kept or broken (promised), beside it
html        ``report.html``, with charts (the waterfall), lanes (all components on one axis) and outage (the service)
markdown    ``report.md``
junit       ``junit.xml``
terminal    the summary that fits on a screen, with screen (the middle of it for an experiment)
series      what several runs come to together
progress    how a run goes while it goes
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ftchaos.evidence import Evidence

FILES = ("report.html", "report.md", "junit.xml")


def write(evidence: Evidence, folder: Path) -> None:
    """Write all reports of a run into its folder; call it when the raw data is complete, before the manifest.

    Raises:
        OSError: the folder cannot be written.
    """
    from ftchaos import atomic, manifest
    from ftchaos.report import html, junit, markdown

    raw = {name: file for name, file in manifest.digests(folder).items() if name not in FILES}
    atomic.write(folder / "report.html", html.render(evidence, raw))
    atomic.write(folder / "report.md", markdown.render(evidence))
    atomic.write(folder / "junit.xml", junit.render(evidence))
