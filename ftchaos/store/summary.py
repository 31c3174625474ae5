"""A run in short, and what every store of runs can do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from ftchaos.store.annotation import Annotation


@dataclass(frozen=True)
class Summary:
    """What lists, trends and decisions need to know of one run, without reading its evidence again.

    Attributes:
        run_id: sorts by time.
        kind: ``drill``, ``experiment`` or ``gameday``.
        verdict: ``passed``, ``failed``, ``inconclusive``; ``unreadable`` where the evidence cannot be read, with
            the reason in ``reason`` and nothing else known. An unreadable run is never a pass.
        began_at: UTC, as evidence writes it.
        summary: the sentence.
        reason: the first reason, or empty.
        recovery_time_s: None where it was not measured, as all figures here.
        commit: of the system under test; empty where unknown, as ``image``.
        undo_failed: harms that were not healed.
        manifest_sha256: of this run's ``manifest.json``; empty where the run did not end in order.
        previous_sha256: of the manifest of the run before it in the chain; empty for the first.
        signed_by: the id of the key that its manifest names; empty for an unsigned run. :meth:`Store.verify` tells
            whether the signature is right.
    """

    run_id: str
    kind: str
    name: str
    environment: str
    platform: str
    verdict: str
    exit_code: int
    began_at: str
    ended_at: str
    summary: str
    reason: str
    recovery_time_s: float | None
    data_loss_s: float | None
    lost: int | None
    rto_s: float
    rpo_s: float
    commit: str
    image: str
    definition_sha256: str
    undo_failed: int
    manifest_sha256: str
    previous_sha256: str
    signed_by: str


class Store(Protocol):
    """Where the evidence of runs is kept."""

    @property
    def location(self) -> str:
        """The folder or the ``s3://`` address, as people write it."""

    def summaries(self) -> list[Summary]:
        """All runs that are complete or have evidence, newest first.

        Raises:
            Invalid: the location is not there or cannot be read.
        """

    def folder(self, run_id: str) -> Path:
        """A local folder with all files of a run; fetched where the store is elsewhere.

        Raises:
            Invalid: there is no such run, or it cannot be fetched.
        """

    @property
    def outbox(self) -> Path:
        """Where a run writes its folder before it is published."""

    def annotations(self, run_id: str) -> list[Annotation]:
        """What people added to a run, in the order in which they did."""

    def annotated(self) -> set[str]:
        """The runs that people added something to."""

    def links(self) -> Iterator[tuple[str, bytes]]:
        """The manifests of all that is here, by the names of what they are of."""

    def ensure_takes(self) -> None:
        """Try whether runs can be kept here, before one begins.

        Raises:
            Refused: they cannot.
        """

    def publish(self, folder: Path) -> None:
        """Put a run that is complete in a local folder into the store."""

    def pending(self) -> list[Path]:
        """The folders of complete runs in the outbox that are not in the store."""

    def examine(self) -> Iterator[tuple[str, list[str]]]:
        """All that is here, oldest first, each name with what is wrong with it; last, without a name, the chain."""

    def verify(self, run_ids: Iterable[str]) -> dict[str, list[str]]:
        """What is wrong with each of these runs: its files, its signature, its summary and its place in the chain.

        The verdict is not recomputed; :func:`ftchaos.verification.verify` does that for one run.

        Returns:
            For each run asked for its problems, one line each; an empty list where nothing is wrong.
        """
