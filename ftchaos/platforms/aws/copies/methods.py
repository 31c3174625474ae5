"""The ways to a copy, by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from ftchaos.errors import Invalid
from ftchaos.platforms.aws.copies import backup, ground, point, snapshot, source
from ftchaos.platforms.aws.copies.chosen import Chosen, Isolated, Pick
from ftchaos.platforms.aws.copies.making import Making
from ftchaos.platforms.aws.copies.source import Source
from ftchaos.platforms.base import Progress

if TYPE_CHECKING:
    from ftchaos.config import Environment
    from ftchaos.platforms.aws.access import Access, Place

LAST = "last"


@dataclass(frozen=True)
class Method:
    """One way.

    Attributes:
        pick: finds what to restore from, no later than an instant where one is given.
        create: asks for the restore, and for what goes before it.
        is_far: whether the copy is built in the drill's other region, from a snapshot that is copied there.
    """

    name: str
    pick: Callable[[Access, Environment, Source, datetime | None], Pick]
    create: Callable[[Making, Chosen, Isolated, Progress], None]
    is_far: bool = False

    def choose(self, access: Access, settings: Environment, to: str | datetime = LAST) -> Chosen:
        """What would be restored, to which instant, and where; reads only.

        Args:
            to: ``last`` for the latest that this method has, or a UTC time.

        Raises:
            Invalid: the configuration lacks something.
            Refused: the source, its backups, the ground or the quotas do not allow it.
        """
        region = self._region(access, settings)
        ca = certificates(access.place, settings)
        database = source.read(access, settings)
        pick = self.pick(access, settings, database, _instant(to))
        where = ground.find(access, settings, region)
        source.ensure_room(access, database, region, copies_snapshot=self.is_far)
        about, drill = database.about, settings.drill
        scaling = about.get("ServerlessV2ScalingConfiguration") or {}
        endpoint = about.get("Endpoint") or {}
        return Chosen(
            method=self.name, source=database.name, arn=database.arn, is_cluster=database.is_cluster, region=region,
            pick=pick, ground=where, engine=about["Engine"], version=about["EngineVersion"],
            instance_class=(drill and drill.instance_class) or database.writer["DBInstanceClass"],
            port=int(about["Port"] if database.is_cluster else endpoint["Port"]), user=about["MasterUsername"],
            family=source.family(access, database), parameter_group=source.parameter_group(database),
            cluster_parameter_group=str(about.get("DBClusterParameterGroup", "")) if database.is_cluster else "",
            option_group=source.option_group(access, database, where.vpc, region),
            encrypted=bool(about.get("StorageEncrypted")), kms_key=str(about.get("KmsKeyId", "")), ca=ca,
            storage=source.storage(database),
            serverless={key: scaling[key] for key in ("MinCapacity", "MaxCapacity") if key in scaling},
        )  # fmt: skip

    def _region(self, access: Access, settings: Environment) -> str:
        if not self.is_far:
            return access.place.region
        if settings.drill is None or settings.drill.region is None:
            raise Invalid("the environment names no other region", "name one: drill: {region: ..., kms_key: ...}")
        return settings.drill.region


METHODS = {
    one.name: one
    for one in (
        Method("point-in-time", point.pick, point.create),
        Method("snapshot", snapshot.pick, snapshot.create),
        Method("recovery-point", backup.pick, backup.create),
        Method("other-region", snapshot.pick_far, snapshot.create_far, is_far=True),
    )
}


def find(name: str = "point-in-time") -> Method:
    """A method by its name.

    Raises:
        Invalid: there is no such method.
    """
    if name not in METHODS:
        raise Invalid(f"a copy cannot be made by {name!r}", f"choose {', '.join(METHODS)}")
    return METHODS[name]


def _instant(to: str | datetime) -> datetime | None:
    if to == LAST:
        return None
    try:
        at = datetime.fromisoformat(to) if isinstance(to, str) else to
    except ValueError as error:
        raise Invalid(f"{to!r} is not a time", "write UTC like 2026-11-23T06:15:00Z, or last") from error
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def certificates(place: Place, settings: Environment) -> Path | None:
    """The file that a copy's certificate is verified by.

    Raises:
        Invalid: there is none; only a stand-in for AWS may go without.
    """
    ca = settings.mysql.ca if settings.mysql else None
    if ca is None and not place.endpoint:
        raise Invalid(
            "nothing says by which certificates a copy is to be verified",
            "name the bundle of RDS: mysql: {ca: global-bundle.pem}",
        )
    if ca is not None and not ca.is_file():
        raise Invalid(f"there is no file {ca}, by which a copy would be verified", "correct mysql.ca")
    return ca
