"""What links say of each other: deleted, altered, inserted and exchanged runs show, at either end too."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftchaos import chain
from ftchaos.chain import Link
from ftchaos.errors import Invalid


def _links(count: int) -> list[Link]:
    links: list[Link] = []
    for number in range(1, count + 1):
        run_id = f"20261123T06{number // 60:02d}{number % 60:02d}Z-restore-{number:04x}"
        digest = hashlib.sha256(run_id.encode()).hexdigest()
        before = links[-1] if links else Link("", 0, "")
        links.append(Link(run_id, number, digest, before.run_id, before.sha256))
    return links


def _words(links: list[Link], end: Link | None) -> list[str]:
    return [one.what for one in chain.problems(links, end)]


def test_a_whole_chain_has_no_problem() -> None:
    links = _links(5)

    assert _words(links, links[-1]) == []
    assert _words([], None) == []


@given(st.integers(2, 9), st.data())
def test_any_run_that_is_taken_away_is_missed(count: int, data: st.DataObject) -> None:
    links = _links(count)
    gone = data.draw(st.sampled_from(links))

    assert gone.run_id in " ".join(_words([link for link in links if link != gone], links[-1]))


@given(st.integers(2, 9), st.data())
def test_any_two_runs_that_are_exchanged_show(count: int, data: st.DataObject) -> None:
    links = _links(count)
    one, other = data.draw(st.sampled_from(links)), data.draw(st.sampled_from(links))
    exchanged = [
        dataclasses.replace(link, sequence=other.sequence if link is one else one.sequence)
        if link in (one, other)
        else link
        for link in links
    ]

    assert bool(_words(exchanged, links[-1])) == (one is not other)


@given(st.integers(1, 9), st.data())
def test_any_run_that_is_inserted_shows(count: int, data: st.DataObject) -> None:
    links = _links(count)
    before = data.draw(st.sampled_from(links))
    inserted = Link("20261123T060000Z-better-0000", before.sequence + 1, "f" * 64, before.run_id, before.sha256)

    assert inserted.run_id in " ".join(_words([*links, inserted], links[-1]))


@given(st.integers(1, 9), st.data())
def test_any_manifest_that_is_altered_shows(count: int, data: st.DataObject) -> None:
    links = _links(count)
    altered = data.draw(st.sampled_from(links))

    said = _words([dataclasses.replace(one, sha256="0" * 64) if one is altered else one for one in links], links[-1])

    assert altered.run_id in " ".join(said)


def test_a_chain_without_its_remembered_end_is_not_known_to_be_whole() -> None:
    assert "chain.json is not there" in _words(_links(2), None)[0]


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"[" * 100_000, b'{"run_id": "../../etc"}', b"\xff"])
def test_a_damaged_end_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "chain.json").write_bytes(content)

    with pytest.raises(Invalid, match="damaged"):
        chain.read_end(tmp_path)


def test_the_end_is_read_as_it_was_written(tmp_path: Path) -> None:
    link = _links(3)[-1]
    chain.write_end(tmp_path, link)

    assert chain.read_end(tmp_path) == Link(link.run_id, link.sequence, link.sha256)


@pytest.mark.parametrize("name", ["..", "a", "20261123T061500Z-../x", "20261123T061500Z-\x1b[2J", "20261123T061500Z-"])
def test_a_hostile_name_is_no_run(name: str) -> None:
    assert not chain.is_run_id(name)
