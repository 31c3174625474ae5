"""Every definition that ships is valid; what would crash Chaos Toolkit or run unguarded is refused with its line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from ftchaos import definitions
from ftchaos.errors import Invalid

RESTORE = definitions.find("drill", "restore")


@pytest.fixture
def changed(tmp_path: Path) -> Callable[[Callable[[dict[str, Any]], None]], Path]:
    """The restore drill with one thing changed, as a file."""

    def write(change: Callable[[dict[str, Any]], None]) -> Path:
        data = yaml.safe_load(RESTORE.read_text())
        change(data)
        path = tmp_path / "changed.yaml"
        path.write_text(yaml.safe_dump(data, sort_keys=False))
        return path

    return write


@pytest.mark.parametrize("kind", sorted(definitions.FOLDERS))
def test_every_definition_that_ships_is_valid_and_named_after_its_file(kind: str) -> None:
    for name in definitions.names(kind):
        loaded = definitions.load(definitions.find(kind, name))

        assert loaded.name == name
        assert loaded.extension.kind == kind


def test_the_digest_is_the_same_from_the_file_and_from_chaos_toolkit() -> None:
    loaded = definitions.load(RESTORE)

    assert definitions.check({**loaded.data, "dry": ""}).sha256 == loaded.sha256


CHANGES: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "an unknown key": (lambda d: d.update(rolbacks=[]), r"line \d+, rolbacks: unknown key 'rolbacks'"),
    "a wrong type": (lambda d: d.update(method="all"), r"line \d+, method"),
    "an empty method": (lambda d: d.update(method=[]), r"method"),
    "no title": (lambda d: d.pop("title"), r"the key 'title' is missing"),
    "no control of ours": (
        lambda d: d.update(controls=[{"name": "x", "provider": {"type": "python", "module": "os"}}]),
        r"the control ftchaos.control must stand here once",
    ),
    "no controls at all": (lambda d: d.pop("controls"), r"the key 'controls' is missing"),
    "a module that is missing": (
        lambda d: d["method"][0]["provider"].update(module="ftchaos.actions.absent"),
        r"method.0.provider: there is no ftchaos.actions.absent",
    ),
    "a function that is missing": (
        lambda d: d["method"][0]["provider"].update(func="absent"), r"there is no ftchaos.actions.mysql.absent",
    ),
    "a function from elsewhere": (
        lambda d: d["method"][0]["provider"].update(module="os", func="abort"), r"os is not a module of ftchaos",
    ),
    "a process": (
        lambda d: d["method"][0].update(provider={"type": "process", "path": "rm"}), r"method.0.provider",
    ),
    "an argument that is unknown": (
        lambda d: d["method"][2]["provider"].update(arguments={"too": "last"}), r"decide takes no argument 'too'",
    ),
    "a tolerance that crashes chaoslib on None": (
        lambda d: d["steady-state-hypothesis"]["probes"][0].update(tolerance={"type": "range", "range": [0, 1]}),
        r"can crash Chaos Toolkit",
    ),
    "a float as tolerance": (
        lambda d: d["steady-state-hypothesis"]["probes"][0].update(tolerance=0.5), r"can crash Chaos Toolkit",
    ),
    "a step in the background": (lambda d: d["method"][0].update(background=True), r"method.0.background"),
    "two steps of one name": (
        lambda d: d["method"].append({**d["method"][0], "provider": dict(d["method"][0]["provider"])}),
        r"a second activity is called",
    ),
    "manners without the default": (
        lambda d: (d["configuration"].update(manner="kill"), d["extensions"][0].update(manners=["lag"])),
        r"line \d+, extensions.0.manners: the default of the manner is 'kill', which is none of lag",
    ),
    "manners that nobody can choose": (
        lambda d: d["extensions"][0].update(manners=["kill"]), r"the default of the manner is None",
    ),
    "an endless pause": (lambda d: d["method"][0].update(pauses={"before": 1e9}), r"pauses.before"),
}  # fmt: skip


@pytest.mark.parametrize("name", CHANGES)
def test_a_definition_with_a_flaw_is_refused_with_its_place(
    name: str, changed: Callable[[Callable[[dict[str, Any]], None]], Path]
) -> None:
    change, expected = CHANGES[name]

    with pytest.raises(Invalid, match=expected):
        definitions.load(changed(change))


HOSTILE = {
    "an alias": "a: &a [1]\nb: *a\n",
    "a tag that builds an object": "a: !!python/object/apply:os.system ['true']\n",
    "the same key twice": "title: a\ntitle: b\n",
    "a list": "- a\n",
    "nothing": "",
    "a tab": "a:\n\t- b\n",
    "no text": "\x00\x01",
    "a depth that exhausts the stack": "a: " + "[" * 5000 + "]" * 5000,
    "more than a megabyte": "a: " + "x" * (1 << 20) + "\n",
    "an impossible date": "a: 2026-99-99\n",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_yaml_is_refused(name: str, tmp_path: Path) -> None:
    path = tmp_path / "hostile.yaml"
    path.write_text(HOSTILE[name])

    with pytest.raises(Invalid, match=r"hostile\.yaml"):
        definitions.load(path)


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(Invalid) as raised:
        definitions.find("drill", "resotre")

    assert "restore" in raised.value.hint


def test_a_folder_of_the_users_own_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "dr_drills").mkdir()
    own = tmp_path / "dr_drills" / "restore.yaml"
    own.write_bytes(RESTORE.read_bytes())
    monkeypatch.chdir(tmp_path)

    assert definitions.find("drill", "restore") == own
