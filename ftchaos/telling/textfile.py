"""Metrics as a text file for a node exporter: one file for each drill and experiment in each environment."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from ftchaos import atomic
from ftchaos.evidence import Evidence
from ftchaos.telling import metrics
from ftchaos.telling.event import Event
from ftchaos.telling.request import Delivery, NotTold

LARGEST_BYTES = 1 << 20


@dataclass(frozen=True)
class TextFile:
    """The metrics of a run, to be put into a folder; without evidence those of a test."""

    folder: Path
    evidence: Evidence | None
    at: str

    def attempt(self, timeout_s: float) -> None:
        """Put the file in place, whole or not at all."""
        if self.evidence is None:
            self._write(self.folder / "ftchaos_test.prom", metrics.text(metrics.trial(self.at)))
            return
        path = self.folder / file_name(self.evidence)
        before = metrics.read(self._before(path))
        if before.get(metrics.ENDED, 0.0) > (metrics.values(self.evidence)[metrics.ENDED] or 0.0):
            raise NotTold("the metrics of a newer run are there already", again=False)
        self._write(path, metrics.text(metrics.registry(self.evidence, before.get(metrics.LAST_PASSED))))

    def _before(self, path: Path) -> str:
        try:
            with path.open("rb") as stream:
                return stream.read(LARGEST_BYTES).decode("utf-8", "replace")
        except FileNotFoundError:
            return ""
        except OSError as error:
            raise NotTold(f"{path} cannot be read: {error.strerror}", again=False) from None

    def _write(self, path: Path, content: str) -> None:
        try:
            atomic.write(path, content)
        except OSError as error:
            raise NotTold(f"{path} cannot be written: {error.strerror}", again=False) from None


def deliveries(folder: Path, event: Event) -> list[Delivery]:
    """What is to be written for an event: metrics at the end of a run, nothing else."""
    if event.what == "test" or (event.what == "verdict" and event.evidence is not None):
        return [TextFile(folder, event.evidence, event.at)]
    return []


def file_name(found: Evidence) -> str:
    """A name of its own for each drill and experiment in each environment, which leads out of no folder."""
    whole = "_".join((found.environment, found.kind, found.name))
    plain = re.sub(r"[^A-Za-z0-9_-]", "-", whole)[:100]
    if plain != whole or "_" in found.environment + found.kind:
        plain += "-" + hashlib.sha256("\0".join(metrics.labels(found).values()).encode("utf-8")).hexdigest()[:8]
    return f"ftchaos_{plain}.prom"
