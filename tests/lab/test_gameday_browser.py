"""The page of a game day in a real browser: on a phone, in the dark, offline, and under attack."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import gameday_samples as samples
import pytest
from chromium import Chromium
from gameday_samples import world
from test_report_browser import CONTRAST, OUTSIDE

from ftchaos.gameday import day as days
from ftchaos.gameday import page
from ftchaos.gameday.people import Answer

HOSTILE = "<script>document.title = 'taken'</script><img src=x onerror=\"document.title = 'taken'\">" + "w" * 300
KINDS = ["passed", "failed", "stopped", "hostile"]


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    with Chromium(tmp_path_factory.mktemp("profile")) as chromium:
        yield chromium


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    found = {}
    for kind in KINDS:
        folder = tmp_path_factory.mktemp(kind)
        text = HOSTILE if kind == "hostile" else "Api-a was killed at 09:00:05Z, no request failed."
        result = samples.result(
            "failed" if kind == "failed" else "passed",
            reason=text if kind == "failed" else "",
            summary=text,
            fault=text,
            fault_at="2026-11-23T09:00:05Z",
            restored_at="2026-11-23T09:00:15Z",
            recovery_time_s=10.0,
            lost=0,
            run_id="20261123T090001Z-zone-outage-0001",
            manifest_sha256="a" * 64,
        )
        here = world(folder, results={"zone-outage": result}, answers=iter([Answer(True, "Ada", text)]))
        for what in ("note", "lesson", "action"):
            said = (lambda what: lambda: here.record.append(what, by=text[:80], text=text, owner=text[:80]))(what)  # noqa: B023
            here.watch.at(20, lambda said=said: said() and None)  # type: ignore[misc]
        if kind == "stopped":
            here.watch.at(10, lambda: here.record.append("stopped", by="Ada", text="enough") and None)  # noqa: B023
        found[kind] = folder / "report.html"
        found[kind].write_text(page.html(days.of(here.loaded, here.play())))
    return found


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("width", [320, 1280])
def test_nothing_reaches_beyond_the_screen(browser: Chromium, pages: dict[str, Path], kind: str, width: int) -> None:
    browser.show(pages[kind], width=width)

    assert browser.evaluate("document.documentElement.scrollWidth") <= width
    assert browser.evaluate(OUTSIDE) == []


@pytest.mark.parametrize("kind", KINDS)
def test_the_page_loads_nothing_runs_nothing_and_complains_of_nothing(
    browser: Chromium, pages: dict[str, Path], kind: str
) -> None:
    browser.show(pages[kind])

    requests = [
        event["params"]["request"]["url"]
        for event in browser.events
        if event.get("method") == "Network.requestWillBeSent"
    ]
    assert [url for url in requests if not url.startswith("data:")] == [pages[kind].as_uri()]
    noise = {"Log.entryAdded", "Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Page.javascriptDialogOpening"}
    assert not noise & {str(event.get("method")) for event in browser.events}
    assert "game day sample in lab" in browser.evaluate("document.title")


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_text_stands_out_enough(browser: Chromium, pages: dict[str, Path], kind: str, dark: bool) -> None:
    browser.show(pages[kind], dark=dark)

    found = browser.evaluate(CONTRAST)
    assert found["texts"] > 30
    assert found["poor"] == []


def test_the_day_is_drawn_and_each_part_leads_to_its_report(browser: Chromium, pages: dict[str, Path]) -> None:
    browser.show(pages["passed"])

    widths = browser.evaluate("[...document.querySelectorAll('.lanes .bar')].map(b => b.getBoundingClientRect().width)")
    assert len(widths) == 4
    assert all(width > 3 for width in widths)
    fault = browser.evaluate("document.querySelector('.lanes .late').getBoundingClientRect().width")
    assert widths[0] / 4 < fault < widths[0]
    links = browser.evaluate("[...document.querySelectorAll('#parts a')].map(a => a.getAttribute('href'))")
    assert links == ["../20261123T090001Z-zone-outage-0001/report.html"]


def test_a_screen_reader_finds_headings_and_tables(browser: Chromium, pages: dict[str, Path]) -> None:
    browser.show(pages["failed"], width=360)

    names: dict[str, list[str]] = {}
    for node in browser.call("Accessibility.getFullAXTree")["nodes"]:
        if not node.get("ignored"):
            names.setdefault(str(node["role"]["value"]), []).append(str(node.get("name", {}).get("value", "")))
    assert {"banner", "main", "navigation", "contentinfo", "table", "columnheader"} <= set(names)
    assert names["heading"][0] == "Failed game day sample in lab"
    assert "Timeline of people and faults" in names["heading"]
    assert all(names["table"])
