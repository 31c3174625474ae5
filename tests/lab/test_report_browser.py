"""The page in a real browser: on a phone, in the dark, on paper, offline, and under attack."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import samples
from chromium import Chromium

from ftchaos import evidence, manifest
from ftchaos.report import html

# The ratio of WCAG 2.2 for every text that can be seen, against the nearest opaque background behind it.
CONTRAST = """
(() => {
  const parts = text => (text.match(/[\\d.]+/g) || []).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
      .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
      .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = element => {
    for (let e = element; e; e = e.parentElement) {
      const c = parts(getComputedStyle(e).backgroundColor);
      if (c.length === 3 || c[3] === 1) return c;
    }
    return [255, 255, 255];
  };
  const poor = [];
  let texts = 0;
  for (const element of document.body.querySelectorAll('*')) {
    if (![...element.childNodes].some(n => n.nodeType === 3 && n.textContent.trim())) continue;
    if (element.closest('.hidden, .skip, title, desc, style')) continue;
    texts += 1;
    const style = getComputedStyle(element);
    const ink = parts(element.namespaceURI.endsWith('svg') ? style.fill : style.color);
    const [a, b] = [light(ink), light(behind(element))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < 4.5) poor.push(`${element.tagName}.${element.className}: ${ratio.toFixed(2)}`);
  }
  return {texts, poor};
})()
"""
OUTSIDE = """
[...document.body.querySelectorAll('*')].filter(e => !e.closest('.hidden, .skip') && !e.closest('thead'))
  .filter(e => { const r = e.getBoundingClientRect(); return r.width && (r.right > innerWidth + 1 || r.left < -1); })
  .map(e => e.tagName + '.' + (e.className.baseVal ?? e.className)).slice(0, 5)
"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    with Chromium(tmp_path_factory.mktemp("profile")) as chromium:
        yield chromium


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The page of every kind of run, by its name."""
    reports = tmp_path_factory.mktemp("reports")
    found = {}
    for name, sample in {**samples.ALL, "hostile": samples.hostile}.items():
        folder = samples.folder(sample(), reports / name.replace(" ", "-"))
        whole = evidence.write(sample(), folder)
        found[name] = folder / "report.html"
        found[name].write_text(html.render(whole, manifest.digests(folder)))
    return found


KINDS = [*samples.ALL, "hostile"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("width", [320, 360, 768, 1280])
def test_nothing_reaches_beyond_the_screen(browser: Chromium, pages: dict[str, Path], kind: str, width: int) -> None:
    browser.show(pages[kind], width=width)

    assert browser.evaluate("document.documentElement.scrollWidth") <= width
    assert browser.evaluate(OUTSIDE) == []


@pytest.mark.parametrize("kind", KINDS)
def test_the_page_loads_nothing_and_complains_of_nothing(browser: Chromium, pages: dict[str, Path], kind: str) -> None:
    browser.show(pages[kind])

    requests = [event["params"]["request"]["url"] for event in _events(browser, "Network.requestWillBeSent")]
    assert [url for url in requests if not url.startswith("data:")] == [pages[kind].as_uri()]
    for name in (
        "Log.entryAdded",
        "Runtime.exceptionThrown",
        "Runtime.consoleAPICalled",
        "Page.javascriptDialogOpening",
    ):
        assert _events(browser, name) == []


def test_its_own_policy_stops_what_would_be_injected(browser: Chromium, pages: dict[str, Path], tmp_path: Path) -> None:
    injected = tmp_path / "injected.html"
    flaw = "<script>document.title = 'taken'</script><img src='x.png' onerror='document.title = \"taken\"'></body>"
    injected.write_text(pages["passed"].read_text().replace("</body>", flaw))

    browser.show(injected)

    assert browser.evaluate("document.title").startswith("Passed")


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("kind", list(samples.ALL))
def test_every_text_stands_out_enough(browser: Chromium, pages: dict[str, Path], kind: str, dark: bool) -> None:
    browser.show(pages[kind], dark=dark)

    found = browser.evaluate(CONTRAST)
    assert found["texts"] > 30
    assert found["poor"] == []


def test_the_checks_of_this_file_find_planted_flaws(browser: Chromium, pages: dict[str, Path]) -> None:
    browser.show(pages["passed"], width=360)
    browser.evaluate("document.querySelector('.sentence').style.color = '#9ab89a'")
    browser.evaluate("document.querySelector('.lead').style.whiteSpace = 'nowrap'")

    assert len(browser.evaluate(CONTRAST)["poor"]) == 1
    assert browser.evaluate("document.documentElement.scrollWidth") > 360


def test_the_dark_page_is_dark_and_the_light_one_light(browser: Chromium, pages: dict[str, Path]) -> None:
    seen = []
    for dark in (False, True):
        browser.show(pages["passed"], dark=dark)
        seen.append(browser.evaluate("getComputedStyle(document.body).backgroundColor"))

    assert seen == ["rgb(245, 246, 248)", "rgb(14, 18, 23)"]


def test_the_waterfall_and_the_charts_are_really_drawn(browser: Chromium, pages: dict[str, Path]) -> None:
    browser.show(pages["passed"], width=360)

    bars = browser.evaluate("[...document.querySelectorAll('.fall .bar')].map(b => b.getBoundingClientRect().width)")
    assert len(bars) == len(samples.PHASES)
    assert all(width >= 1 for width in bars)
    plots = browser.evaluate(
        "[...document.querySelectorAll('figure path')].map(p => p.getBoundingClientRect())"
        ".map(box => [box.width, box.height])"
    )
    assert len(plots) == 6
    assert all(width > 50 and height > 5 for width, height in plots)


def test_a_screen_reader_finds_landmarks_headings_tables_and_named_charts(
    browser: Chromium, pages: dict[str, Path]
) -> None:
    browser.show(pages["passed"], width=360)  # where the tables are stacked and could lose their roles

    tree = browser.call("Accessibility.getFullAXTree")["nodes"]
    names: dict[str, list[str]] = {}
    for node in tree:
        if not node.get("ignored"):
            role = str(node["role"]["value"])
            names.setdefault(role, []).append(str(node.get("name", {}).get("value", "")))

    assert {"banner", "main", "navigation", "contentinfo", "table", "rowheader", "columnheader"} <= set(names)
    assert names["heading"][0] == "Passed drill restore in lab"
    assert "Where each second went" in names["heading"]
    charts = [name for name in names.get("image", []) + names.get("img", []) if "through the outage" in name]
    assert len(charts) == 2
    assert all(names["table"])


@pytest.mark.parametrize("width", [360, 1280])
def test_the_lanes_of_an_experiment_are_really_drawn_on_one_axis(
    browser: Chromium, pages: dict[str, Path], width: int
) -> None:
    browser.show(pages["zone outage"], width=width)

    boxes = "(name => [...document.querySelectorAll(name)].map(e => e.getBoundingClientRect()))"
    tracks = browser.evaluate(f"{boxes}('.lane:not(.axis) rect.track').map(b => [b.left, b.width])")
    assert len(tracks) == 7
    assert len({tuple(track) for track in tracks}) == 1
    downs = browser.evaluate(f"{boxes}('.lane:not(.axis) .down').map(b => b.width)")
    assert len(downs) == 6
    assert all(down > 5 for down in downs)
    fault = browser.evaluate(f"{boxes}('.over .zero').map(b => b.left)")[0]
    failures = browser.evaluate(f"{boxes}('.lane .what > svg use.failed').map(b => (b.left + b.right) / 2)")
    assert all(abs(failure - fault) < 2 for failure in failures)
    groups = browser.evaluate(f"{boxes}('.lanes .group').map(b => b.top)")
    control = browser.evaluate(f"{boxes}('.lanes .control .lane').map(b => b.top)")
    assert groups[1] - groups[0] > 100
    assert all(top > groups[1] for top in control)


def test_a_screen_reader_has_the_numbers_of_the_lanes_in_a_table(browser: Chromium, pages: dict[str, Path]) -> None:
    browser.show(pages["zone outage"], width=360)

    names: dict[str, list[str]] = {}
    for node in browser.call("Accessibility.getFullAXTree")["nodes"]:
        if not node.get("ignored"):
            names.setdefault(str(node["role"]["value"]), []).append(str(node.get("name", {}).get("value", "")))
    assert "The same numbers: instants of each component from the fault on" in names["table"]
    assert {"First failure", "Writable", "Durable", "SLO sustained"} <= set(names["columnheader"])
    assert any(name.startswith("cache-c control, no operation failed") for name in names["rowheader"])
    assert all(names["table"])


def test_the_printed_page_is_light_short_and_whole(browser: Chromium, pages: dict[str, Path], tmp_path: Path) -> None:
    browser.show(pages["passed"], dark=True)
    browser.print(tmp_path / "report.pdf")

    content = (tmp_path / "report.pdf").read_bytes()
    assert content.startswith(b"%PDF")
    assert 4 <= content.count(b"/Type /Page\n") <= 9
    browser.show(pages["passed"], dark=True, media="print")
    assert browser.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert browser.evaluate("getComputedStyle(document.querySelector('nav')).display") == "none"
    assert browser.evaluate(CONTRAST)["poor"] == []


def _events(browser: Chromium, method: str) -> list[dict[str, Any]]:
    return [event for event in browser.events if event.get("method") == method]
