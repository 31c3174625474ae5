"""Messages for an incoming webhook of Slack: Block Kit, with a plain text for where blocks are not shown.

Source: Slack's reference of Block Kit: a header of at most 150 characters, a section of at most 3,000, at most 10
elements in a context, and ``&``, ``<`` and ``>`` escaped, so that a text from a stranger can call nobody.
"""

from __future__ import annotations

from typing import Any

from ftchaos.telling.event import Event, cut
from ftchaos.telling.request import Request, as_json

HEADER_CHARACTERS = 150
SECTION_CHARACTERS = 3000


def requests(url: str, event: Event, report_url: str = "") -> list[Request]:
    """What is sent for an event."""
    return [as_json(url, payload(event, report_url))]


def payload(event: Event, report_url: str = "") -> dict[str, Any]:
    """The message of an event.

    Args:
        report_url: where the page of the run is; empty where that is not known.
    """
    about = event.about
    blocks: list[dict[str, Any]] = [{"type": "header", "text": _plain(cut(event.title, HEADER_CHARACTERS))}]
    if event.text:
        blocks.append({"type": "section", "text": _plain(cut(event.text, SECTION_CHARACTERS))})
    if report_url and event.evidence is not None:
        link = f"<{_escaped(report_url)}|Open the report>"
        blocks.append({"type": "section", "text": {"type": "mrkdwn", "text": link}})
    facts = [about.run_id, f"platform {about.platform}", event.at]
    blocks.append({"type": "context", "elements": [_plain(cut(fact, HEADER_CHARACTERS)) for fact in facts]})
    return {"text": _escaped(cut(f"{event.title}. {event.text}", SECTION_CHARACTERS)), "blocks": blocks}


def _plain(text: str) -> dict[str, Any]:
    """A text that Slack takes as it is: no markup, no mentions, no emoji."""
    return {"type": "plain_text", "text": text, "emoji": False}


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
