"""Which backup of Velero a drill restores from: complete, of all that is lost, and the newest."""

from __future__ import annotations

from typing import Any

import pytest

from ftchaos.errors import Refused
from ftchaos.platforms.kubernetes.configuration import velero

Obj = dict[str, Any]


def _backup(name: str, at: str, phase: str = "Completed", **spec: Any) -> Obj:
    return {"metadata": {"name": name}, "spec": spec, "status": {"phase": phase, "completionTimestamp": at}}


UNFIT: dict[str, Obj] = {
    "under way": _backup("other", "9", "InProgress"),
    "in part": _backup("other", "9", "PartiallyFailed"),
    "another namespace": _backup("other", "9", includedNamespaces=["app", "elsewhere"]),
    "all but this namespace": _backup("other", "9", excludedNamespaces=["queue"]),
    "by labels": _backup("other", "9", labelSelector={"matchLabels": {"team": "files"}}),
    "by kinds": _backup("other", "9", includedResources=["configmaps"]),
    "without Secrets": _backup("other", "9", excludedResources=["events", "secrets"]),
    "without what is in namespaces": _backup("other", "9", excludedNamespaceScopedResources=["*"]),
    "on its way out": {**_backup("other", "9"), "metadata": {"name": "other", "deletionTimestamp": "9"}},
    "not begun": {"metadata": {"name": "other"}, "spec": {}},
}


@pytest.mark.parametrize("which", UNFIT)
def test_newest_backup_that_holds_less_than_all_is_passed_over(which: str) -> None:
    whole = _backup("whole", "2", includedNamespaces=["*"], includedResources=["*"], excludedResources=["events"])
    found = velero.newest([_backup("old", "1"), UNFIT[which], whole], ["app", "queue"])

    assert "whole" == found["metadata"]["name"]


def test_no_fit_backup_is_refused() -> None:
    with pytest.raises(Refused, match="none of 10 backups of Velero is Completed and holds all of app, queue"):
        velero.newest(list(UNFIT.values()), ["app", "queue"])
