"""What came back against what was there before, as the checks of the evidence. Pure.

The comparison proves itself: in a copy of what was there one object is taken away, one is added and one is changed, and
exactly these three must be found.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ftchaos.errors import Refused
from ftchaos.platforms.kubernetes import drift as drifting
from ftchaos.platforms.kubernetes.configuration import objects
from ftchaos.platforms.kubernetes.configuration.objects import HELM
from ftchaos.platforms.kubernetes.drift import Difference
from ftchaos.platforms.kubernetes.manifests import Name, Obj

Fact = dict[str, Any]
PLANTED = "ftchaos-planted"


def checks(
    before: Mapping[Name, Obj], after: Mapping[Name, Obj], drift: Iterable[Difference], written: bool
) -> list[Fact]:
    """One for each kind of a namespace that is as before, and one for each object that is not; those first.

    Args:
        drift: what was not as the manifests say before the loss.
        written: whether manifests were restored, so that what they do not hold is told.
    """
    drifted = {one.name for one in drift}
    found: dict[Name, list[Difference]] = {}
    for one in objects.differences(before, after):
        # What is ftchaos's own is no part of the application: the undo gives it back.
        if drifting.is_ours(one.name, before.get(one.name) or after[one.name]):
            continue
        found.setdefault(one.name, []).append(one)
    failing = [_failed(name, found[name], name in drifted, written) for name in sorted(found)]
    groups: dict[tuple[str, str], int] = {}
    for name, obj in before.items():
        if obj.get("type") != HELM and name not in found and not drifting.is_ours(name, obj):
            groups[name.namespace or name.name, name.kind] = groups.get((name.namespace or name.name, name.kind), 0) + 1
    same = [
        {"name": f"{kind} of {space}", "passed": True, "expected": "as before", "actual": f"{count} as before"}
        for (space, kind), count in sorted(groups.items())
    ]
    return [*failing, self_test(before), *same]


def _failed(name: Name, differing: Sequence[Difference], drifted: bool, written: bool) -> Fact:
    words = [objects.words(one).removeprefix(f"{name}: ").removeprefix(f"{name} ") for one in differing]
    said = "; ".join(words)
    if name.kind == "Secret" and differing[0].path == "" and differing[0].written == "there":
        said += ": the configuration alone does not bring it back, only whoever makes it" if written else ""
    elif drifted and differing[0].written == "nothing" and differing[0].path == "":
        said += " (its manifest was never applied before the loss)"
    elif drifted and differing[0].written == "there" and differing[0].path == "":
        said += " (it was nowhere written before the loss)"
    elif drifted:
        said += " (it was not as its manifest says before, and that is lost with the namespace)"
    return {"name": str(name), "passed": False, "expected": "as before", "actual": said}


def ensure_comparable(before: Mapping[Name, Obj]) -> None:
    """See to it that what comes back can be told from what does not: else neither the drill nor its undo could end.

    Raises:
        Refused: the comparison finds differences where there are none, or not what is planted.
    """
    differing = sorted({one.name for one in objects.differences(before, before)})
    if differing or not self_test(before)["passed"]:
        named = ", ".join(map(str, differing[:3])) or "what is planted"
        raise Refused(
            f"the comparison of this ftchaos does not know {named} again, so nobody could say that it came back",
            "nothing was harmed; choose namespaces without it, --namespace, and tell the maintainers",
        )


def self_test(before: Mapping[Name, Obj]) -> Fact:
    """Whether the comparison finds what is planted in a copy, and nothing else."""
    # One more of what others make is no difference, so nothing of it can be planted.
    comparable = [name for name in sorted(before) if name.namespace and not drifting.is_made(name, before[name])]
    copied = {name: copy.deepcopy(dict(obj)) for name, obj in before.items()}
    expected: set[Name] = set()
    if comparable:
        expected.add(comparable[0])
        del copied[comparable[0]]
    if len(comparable) > 1:
        changed = copied[comparable[-1]]
        changed["metadata"]["labels"] = {**(changed["metadata"].get("labels") or {}), PLANTED: "1"}
        expected.add(comparable[-1])
    space = next((name.namespace for name in comparable), "")
    more = Name("ConfigMap", space, PLANTED)
    copied[more] = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": PLANTED, "namespace": space}}
    expected.add(more)
    # A label more is no difference that counts; held the other way round it is one that is missing.
    found = {one.name for one in objects.differences(copied, before)}
    same = not objects.differences(before, before)
    return {
        "name": "the comparison finds what is planted",
        "passed": found == expected and same,
        "expected": f"{len(expected)} planted differences",
        "actual": f"{len(found & expected)} found, {len(found - expected)} others",
    }
