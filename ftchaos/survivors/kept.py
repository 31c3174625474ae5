"""Survivors in a file, as raw data for whoever recomputes the audit."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from ftchaos.atomic import write
from ftchaos.audit import Surviving, Survivors
from ftchaos.errors import Inconclusive


def keep(path: Path, found: Sequence[Survivors]) -> None:
    """Keep what survived.

    Raises:
        OSError: it cannot be written.
    """
    write(path, json.dumps([asdict(one) for one in found]) + "\n")


def kept(path: Path) -> list[Survivors] | None:
    """What :func:`keep` kept; None when the audit did not get that far.

    Raises:
        Inconclusive: the file is damaged.
    """
    try:
        data = json.loads(path.read_bytes())
        return [
            Survivors(
                one["kind"],
                one["read_at"],
                {
                    int(writer): Surviving(
                        **{which: tuple((first, last) for first, last in some) for which, some in there.items()}
                    )
                    for writer, there in one["writers"].items()
                },
                one["strangers"],
            )
            for one in data
        ]
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Inconclusive(f"{path} is damaged: {error!r}", "take it whole from the run's folder") from error
