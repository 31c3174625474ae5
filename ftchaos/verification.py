"""Whether a run is what it says: its files against its manifest, its evidence against its raw data."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ftchaos import conclusion, evidence, manifest
from ftchaos.errors import FtchaosError


def verify(folder: Path) -> list[str]:
    """What is wrong with a run, one line each; empty when every file is as it was and gives the same evidence.

    Args:
        folder: of the run.

    Raises:
        Invalid: it has no manifest or no evidence.
    """
    problems = manifest.verify(folder).problems()
    written = evidence.read(folder)
    try:
        computed = conclusion.conclude(folder)
    except (FtchaosError, OSError, ValueError, KeyError, TypeError) as error:
        said = error.fact if isinstance(error, FtchaosError) else str(error)
        return [*problems, f"the raw data gives no evidence any more: {said}"]
    # The sentence is written from the rest, and an older ftchaos may have worded it otherwise.
    differing = _differences(written.model_dump(exclude={"summary"}), computed.model_dump(exclude={"summary"}))
    return [*problems, *differing]


def _differences(written: Any, computed: Any, path: str = "") -> Iterator[str]:
    if isinstance(written, dict) and isinstance(computed, dict):
        for key in sorted(written.keys() | computed.keys()):
            yield from _differences(written.get(key), computed.get(key), f"{path}.{key}" if path else key)
    elif written != computed:
        yield f"{evidence.FILE} says {path} = {_short(written)}, the raw data says {_short(computed)}"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
