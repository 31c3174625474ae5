"""Whether a run is what it says: its files against its manifest, its evidence against its raw data."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ftchaos import conclusion, evidence, manifest
from ftchaos.errors import FtchaosError
from ftchaos.gameday import folder as days
from ftchaos.store import Store


def verify(folder: Path) -> list[str]:
    """What is wrong with a run, one line each; empty when every file is as it was and gives the same evidence.

    Args:
        folder: of the run.

    Raises:
        Invalid: it has no manifest or no evidence.
    """
    return [*manifest.verify(folder).problems(), *recomputed(folder)]


def examine(there: Store, run_id: str | None, trusted: frozenset[str]) -> Iterator[tuple[str, list[str]]]:
    """What is wrong with one run of a store, or with all of them and last, without a name, with their chain.

    Args:
        there: the store.
        run_id: the run; None for all.
        trusted: ids of keys, of which one must have signed each run; none where signatures are nobody's matter.
    """
    readable = {one.run_id for one in there.summaries() if one.verdict != "unreadable"}
    found = there.examine() if run_id is None else there.verify([run_id]).items()
    for name, problems in found:
        yield name, [*problems, *(_deeper(there, name, name in readable, trusted) if name else [])]


def _deeper(there: Store, name: str, readable: bool, trusted: frozenset[str]) -> list[str]:
    """Whether somebody who is trusted signed, and whether the raw data still gives the same evidence."""
    problems = []
    try:
        folder = there.folder(name)
        signer = manifest.read(folder)["signer"] if trusted else None
        if trusted and signer is None:
            problems.append("it is not signed")
        elif signer is not None and signer["key_id"] not in trusted:
            problems.append(f"it is signed by the key {signer['key_id']}, which is not trusted")
        return [*problems, *(recomputed(folder) if readable else [])]
    except FtchaosError as error:
        return [*problems, error.fact]


def recomputed(folder: Path) -> list[str]:
    """In what the evidence of a run differs from what its raw data says.

    Raises:
        Invalid: it has no evidence.
    """
    written = evidence.read(folder)
    try:
        is_day = written.kind == "gameday"
        computed = days.conclude(folder) if is_day else conclusion.conclude(folder)
        others = days.differences(folder) if is_day else []
    except (FtchaosError, OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        said = error.fact if isinstance(error, FtchaosError) else str(error)
        return [f"the raw data gives no evidence any more: {said}"]
    # The sentence is written from the rest, and an older ftchaos may have worded it otherwise.
    differing = _differences(written.model_dump(exclude={"summary"}), computed.model_dump(exclude={"summary"}))
    return [*differing, *others]


def _differences(written: Any, computed: Any, path: str = "") -> Iterator[str]:
    if isinstance(written, dict) and isinstance(computed, dict):
        for key in sorted(written.keys() | computed.keys()):
            yield from _differences(written.get(key), computed.get(key), f"{path}.{key}" if path else key)
    elif written != computed:
        yield f"{evidence.FILE} says {path} = {_short(written)}, the raw data says {_short(computed)}"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
