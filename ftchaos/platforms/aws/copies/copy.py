"""One copy, from nothing to a login, step by step; see the package."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from ftchaos.errors import StepFailed
from ftchaos.platforms.aws.copies import isolation, methods, opening, verification, waiting
from ftchaos.platforms.aws.copies.chosen import Chosen, Isolated, Opened
from ftchaos.platforms.aws.copies.making import Making
from ftchaos.platforms.base import Progress

if TYPE_CHECKING:
    from ftchaos.platforms.aws.access import Access
    from ftchaos.undo import UndoLog


class Copy:
    """A copy that is being made, by steps in this order; each begins where the one before ended.

    Args:
        undo: the run's log, in which the undo of each part is before the part is asked for.
        run_id: names all parts, and is in their tags.
        expires_at: UTC; after that nobody needs the copy any more.
    """

    def __init__(self, access: Access, chosen: Chosen, undo: UndoLog, run_id: str, expires_at: datetime) -> None:
        self.chosen = chosen
        self.isolated: Isolated | None = None
        self.described: Mapping[str, Any] = {}
        self._making = Making(access, undo, run_id, chosen.region, expires_at)

    @property
    def name(self) -> str:
        """Of the instance or the cluster, known before it is made."""
        return self._making.name("cluster" if self.chosen.is_cluster else "instance")

    def isolate(self) -> Isolated:
        """Make what the copy is put into, and nobody else: security group, subnet group and parameter groups.

        Raises:
            Refused: an undo cannot be written.
            ApiFailed: AWS refuses a part.
        """
        self.isolated = isolation.isolate(self._making, self.chosen)
        return self.isolated

    def create(self, progress: Progress) -> None:
        """Ask for the restore, once. Where something must be there before it, that is waited for.

        Raises:
            Refused: an undo cannot be written.
            ApiFailed: AWS refuses it.
            Unanswered: whether it was begun is not known; the heal of its record finds out.
        """
        methods.find(self.chosen.method).create(self._making, self.chosen, self._groups(), progress)

    def await_available(self, progress: Progress) -> Mapping[str, Any]:
        """Wait until the copy is there, for hours if need be, and find it isolated.

        Returns:
            The instance or the cluster, as RDS describes it.

        Raises:
            StepFailed: it will never be there, in the words of RDS; or it is where it must not be.
        """
        making, isolated = self._making, self._groups()
        if self.chosen.is_cluster:
            self.described = waiting.await_cluster(making, progress)
            verification.ensure_cluster_isolated(isolated, self.described)
        if not self.chosen.is_cluster or self.chosen.is_aurora:
            instance = waiting.await_instance(making, progress)
            verification.ensure_instance_isolated(isolated, instance)
            self.described = self.described or instance
        verification.ensure_of_source(self.chosen, self.described)
        return self.described

    def open(self) -> Opened:
        """Give it a password of our own, and wait until it lets us in.

        Raises:
            StepFailed: it lets nobody in, or would fire scheduled events.
        """
        if not self.described:
            raise StepFailed("the copy is not known to be available", "wait for it first")
        return opening.open_up(self._making, self.chosen, self.described)

    def _groups(self) -> Isolated:
        if self.isolated is None:
            raise StepFailed("there is nothing to put a copy into", "isolate first")
        return self.isolated
