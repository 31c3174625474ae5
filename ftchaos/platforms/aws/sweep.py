"""Takes away what ftchaos ever made in an environment and nobody needs any more.

The last of three nets: a run heals what it made, its reaper and ``ftchaos recover`` heal what a dead run left on this
machine, and this finds what a machine left that is gone itself. It needs no undo record where the expiry has passed,
so a cron job anywhere may run it.

Each kind goes by the same removal as in a heal, which waits until it is gone and looks once more that it is ours.
Before a network ACL goes, the subnets that it cuts off are given back those that its tags remember.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ftchaos.errors import FtchaosError, HealFailed
from ftchaos.platforms.aws import leftovers
from ftchaos.platforms.aws.access import Access, ApiFailed, Denied, Place, Unanswered
from ftchaos.platforms.aws.calls import OWNER
from ftchaos.platforms.aws.copies import removal
from ftchaos.platforms.aws.faults import blackhole
from ftchaos.platforms.aws.faults.mending import Mending
from ftchaos.platforms.aws.leftovers import Known, Leftover

if TYPE_CHECKING:
    from ftchaos.config import Environment

HOLE = "network-acl"
LONG_AGO = "1970-01-01T00:00:00.000Z"
"""What a sweep finds was made long enough ago to be in every list."""


@dataclass(frozen=True)
class Found:
    """One thing, and what became of it.

    Attributes:
        why: it went, or stays, or could not be deleted.
    """

    kind: str
    name: str
    region: str
    run_id: str
    why: str

    @classmethod
    def of(cls, one: Leftover, why: str) -> Found:
        return cls(one.kind, one.name, one.region, one.owner, why)

    @property
    def words(self) -> str:
        return f"{self.kind.replace('-', ' ')} {self.name} in {self.region}: {self.why}"


@dataclass
class Swept:
    """What a sweep found.

    Attributes:
        gone: was deleted, or would be.
        left: carries our tag or our prefix, and was left alone.
        failed: could not be deleted.
        unread: kinds that could not be listed, and why; what is of them is not known.
    """

    gone: list[Found] = field(default_factory=list)
    left: list[Found] = field(default_factory=list)
    failed: list[Found] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)

    @property
    def exit_code(self) -> int:
        """4 where something could not be deleted, 3 where something is not known."""
        return 4 if self.failed else 3 if self.unread else 0


def sweep(name: str, settings: Environment, known: Known, *, dry_run: bool, progress: Callable[[str], None]) -> Swept:
    """Look through the regions of an environment, and delete what nobody needs.

    Args:
        known: what this machine knows of runs.
        dry_run: delete nothing.

    Raises:
        Refused: these credentials are of another account.
        Invalid: the configuration, or that of the AWS SDK, is of no use.
    """
    place, swept = Place.of(name, settings), Swept()
    regions = {place.region, *([settings.drill.region] if settings.drill and settings.drill.region else [])}
    for region in sorted(regions, key=lambda one: one != place.region):
        access = Access(replace(place, region=region))
        access.ensure_right_place()
        for one, why in _judged(access, known, swept):
            if dry_run:
                swept.gone.append(Found.of(one, why))
                continue
            progress(f"delete: the {one.words}: {why}")
            try:
                _remove(access, one)
                swept.gone.append(Found.of(one, why))
            except FtchaosError as error:
                swept.failed.append(Found.of(one, error.fact))
    return swept


def _judged(access: Access, known: Known, swept: Swept) -> Iterator[tuple[Leftover, str]]:
    """What goes, in the order in which it can; all else is noted."""
    at = datetime.now(UTC)
    tagged = _read(access, swept, "tags", lambda: leftovers.tagged(access))
    seen = set()
    for kind, lister in leftovers.LISTERS.items():
        listed = _read(access, swept, kind, lambda lister=lister: list(lister(access, tagged or {})))  # type: ignore[misc]
        for one in listed or []:
            seen.add(one.identity)
            judgement, why = leftovers.judge(one, known, at)
            if judgement == "stays":
                swept.left.append(Found.of(one, why))
            elif judgement == "goes":
                yield one, why
    for arn, tags in (tagged or {}).items():
        if arn not in seen and arn.rpartition("/")[2] not in seen:
            other = Leftover("resource", arn, arn, access.place.region, tags)
            swept.left.append(Found.of(other, "it is in no list of what ftchaos makes"))


def _read(access: Access, swept: Swept, what: str, read: Callable[[], Any]) -> Any:
    """What a list has; None where it cannot be read, which leaves the others be."""
    try:
        return read()
    except (Denied, ApiFailed, Unanswered) as error:
        swept.unread.append(f"{what.replace('-', ' ')} in {access.place.region}: {error.fact}")
        return None


def _remove(access: Access, one: Leftover) -> None:
    """Delete it and wait until it is gone.

    Raises:
        FtchaosError: it remains.
    """
    if one.identity.startswith("arn:"):
        access.ensure_ours(one.identity)
    if one.kind == HOLE:
        mending = Mending()
        blackhole.heal(access, blackhole.remembered(one.vpc, one.tags), mending)
        mending.end("")
        blackhole.delete(access, one.owner)  # of one that remembers no subnet
        return
    if one.kind not in removal.KINDS:
        raise HealFailed(f"nobody here knows how to delete a {one.kind.replace('-', ' ')}", "delete it by hand")
    arguments = {"name": one.name, "run_id": one.tags[OWNER], "vpc": one.vpc, "id": one.identity}
    removal.heal(access, one.kind, arguments, LONG_AGO)
