"""The page is one small file that says the verdict first and that no value can break out of."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from itertools import pairwise

import pytest
import sample_experiments
import samples

from ftchaos import evidence as evidences
from ftchaos.evidence import Evidence
from ftchaos.report import html

FILES = {"ledger/db-1.outcomes": {"sha256": "a" * 64, "bytes": 4096}, "x<y>.json": {"sha256": "b" * 64, "bytes": 1}}
VOID = {"meta", "link", "br", "hr", "img", "input"}


class Page(HTMLParser):
    """The tags and the text of a page, and whether its tags are balanced."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.open: list[str] = []
        self.unbalanced: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.unbalanced.append(tag)

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def named(self, *names: str) -> Iterator[dict[str, str | None]]:
        return (attributes for tag, attributes in self.tags if tag in names)


def _page(evidence: Evidence) -> str:
    evidence.summary = evidence.summary or evidences.sentence(evidence)
    return html.render(evidence, FILES)


@pytest.fixture(params=samples.ALL.values(), ids=samples.ALL.keys())
def rendered(request: pytest.FixtureRequest) -> str:
    sample: Callable[[], Evidence] = request.param
    return _page(sample())


def test_every_kind_of_run_gives_a_balanced_page_under_its_limit(rendered: str) -> None:
    page = Page(rendered)

    assert (page.unbalanced, page.open) == ([], [])
    assert len(rendered.encode()) < 100_000


def test_the_page_needs_nothing_but_itself(rendered: str) -> None:
    page = Page(rendered)
    links = [value for _, attributes in page.tags for name, value in attributes.items() if name in ("src", "href")]

    assert all(link and (link.startswith("#") or link == "data:,") for link in links)
    assert not list(page.named("script", "iframe", "object", "embed", "img"))
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on") or name == "style"]
    assert "url(" not in rendered
    assert "@import" not in rendered


def test_every_link_within_the_page_has_its_target(rendered: str) -> None:
    page = Page(rendered)
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]

    assert len(ids) == len(set(ids))
    assert {str(attributes["href"])[1:] for attributes in page.named("a", "use")} <= set(ids)
    for _, attributes in page.tags:
        assert set((attributes.get("aria-labelledby") or "").split()) <= set(ids)


def test_the_verdict_and_its_first_reason_come_first_in_words() -> None:
    evidence = samples.failed()
    text = "".join(Page(_page(evidence)).text)
    body = text[text.index("To the report") :]

    assert body.index("Failed") < body.index(evidence.reasons[0]) < body.index("13,107 of 61,204 acknowledged writes")


def test_a_harmed_system_shows_how_to_heal_it_before_anything_else() -> None:
    text = "".join(Page(_page(samples.heal_failed())).text)

    assert text.index("ftchaos lab down --name lab-7f3a") < text.index("Recovery time")


def test_the_page_has_landmarks_one_first_heading_and_no_jumps_between_levels(rendered: str) -> None:
    page = Page(rendered)
    tags = [tag for tag, _ in page.tags]
    levels = [int(tag[1]) for tag in tags if re.fullmatch(r"h[1-6]", tag)]

    assert {"header", "main", "nav", "footer"} <= set(tags)
    assert levels.count(1) == 1
    assert levels[0] == 1
    assert all(later - earlier <= 1 for earlier, later in pairwise(levels))
    assert next(page.named("html"))["lang"] == "en"


def test_tables_have_captions_and_scoped_heads_and_drawings_are_named_or_hidden(rendered: str) -> None:
    page = Page(rendered)

    assert len(list(page.named("table"))) == len(list(page.named("caption")))
    assert all(attributes.get("scope") for attributes in page.named("th") if attributes)
    outermost = re.findall(r"<svg([^>]*)>", rendered)
    assert all('role="img"' in tag or "aria-hidden" in tag or "preserveAspectRatio" in tag or "y=" in tag or not tag
               for tag in outermost)  # fmt: skip
    assert rendered.count('role="img"') == rendered.count("<desc")


def test_no_value_breaks_out_of_the_page_and_the_longest_evidence_stays_under_the_limit() -> None:
    rendered = _page(samples.hostile())
    page = Page(rendered)

    assert len(rendered.encode()) < html.MAX_BYTES
    assert (page.unbalanced, page.open) == ([], [])
    assert not list(page.named("script"))
    assert "\x1b" not in rendered
    assert "more in" in rendered


def test_the_style_sheet_is_the_only_thing_that_the_policy_allows(rendered: str) -> None:
    import base64
    import hashlib

    style = re.search(r"<style>(.*?)</style>", rendered, re.DOTALL)
    assert style is not None
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    policy = next(attributes["content"] for attributes in Page(rendered).named("meta") if "http-equiv" in attributes)
    assert policy is not None
    assert policy.startswith(f"default-src 'none'; style-src 'sha256-{digest}'")


def test_the_numbers_of_the_run_are_on_the_page() -> None:
    text = " ".join("".join(Page(_page(samples.passed())).text).replace("\N{NO-BREAK SPACE}", " ").split())

    for expected in (
        "0 of 61,204 acknowledged writes were lost (RPO 15 min)", "14.2 s", "RTO 4 h met", "06:15:02.118Z",
        "56,762 transactions", "20261123T061431Z-physical", "filetransfer/files.ibd differs", "10.11.14-MariaDB",
        "99.5 % of the operations", "on-call engineer", "alert on a backup", "a" * 64, "x<y>.json",
        "72.4 s", "3 ms", "DORA RTS 2024/1774", "ftchaos report verify 20261123T061441Z-restore-7f3a",
    ):  # fmt: skip
        assert expected in text


def test_what_is_missing_is_called_unknown_and_never_zero() -> None:
    text = "".join(Page(_page(samples.inconclusive())).text)

    assert "RPO 15 min unknown" in text
    assert "not known to be whole" in text


def test_a_run_that_declares_no_fault_shows_no_proof_of_one() -> None:
    assert "Proof of the fault" not in _page(samples.rehearsal())


def _words(evidence: Evidence) -> str:
    return " ".join("".join(Page(_page(evidence)).text).replace("\N{NO-BREAK SPACE}", " ").split())


def test_an_experiment_shows_every_component_its_stores_its_work_and_its_promises() -> None:
    text = _words(sample_experiments.zone_outage())

    for expected in (
        "Each component on one time axis", "Meant to be hit", "Control group, not to be disturbed",
        "detected +0.6 s (mysql-a), promoted +1.0 s (mysql-b)", "durable again +4.9 s", "control, no operation failed",
        "5 of 5 kept", "Whatever is hit meets its objectives again within 60 s.", "redis-cluster-b2",
        "waiting for a replica", "mysql and redis agree", "backlog drained +5.4 s",
        "role of mysql-b: replica before, primary after", "2 things did not stand as before", "Data after the heal",
    ):  # fmt: skip
        assert expected in text


def test_an_experiment_that_failed_says_which_promise_was_broken_and_which_store_is_the_worst() -> None:
    text = _words(sample_experiments.zone_outage_failed())

    for expected in (
        "2 of 5 kept, 3 broken", "where none is promised", "The worst store is redis", "not restored in 60.4 s",
        "the upload is there, its work was not done",
    ):  # fmt: skip
        assert expected in text


def test_an_experiment_has_none_of_the_sections_of_a_drill_and_a_drill_none_of_an_experiments() -> None:
    experiment, drill = _words(sample_experiments.replica_loss()), _words(samples.passed())

    for words in ("Backup, replay", "backup age", "log gap", "restored data", "Backups considered"):
        assert words not in experiment
        assert words.lower() in drill.lower()
    for words in ("Each component on one time axis", "After the heal", "What was promised"):
        assert words in experiment or words == "What was promised"
        assert words not in drill


def test_an_experiment_that_was_not_compared_with_the_state_before_says_so() -> None:
    evidence = sample_experiments.replica_loss()
    evidence.verification.checks = []

    assert "It was not compared with how it stood before." in _words(evidence)


def test_options_that_nobody_chose_are_left_out() -> None:
    evidence = samples.passed()
    evidence.arguments = {"method": "physical", "manner": "", "size": 0}
    shown = _page(evidence)

    assert "method = physical" in shown
    assert "size = 0" in shown
    assert "manner" not in shown


def test_calls_to_a_cloud_have_a_section_of_their_own_and_no_other_run_has_it() -> None:
    text = _words(sample_experiments.in_a_cloud())

    for expected in (
        "3 failed, 2 of them throttled, 5 tried again",
        "from 06:14:42.918Z to",
        "rds:DescribeDBInstances",
    ):
        assert expected in text
    assert "Calls to the API" not in _words(sample_experiments.zone_outage())
