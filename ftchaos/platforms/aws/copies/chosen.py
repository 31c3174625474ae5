"""What is to be restored, chosen before anything is made: data alone, all that the steps after it need."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Ground:
    """Where a copy is built.

    Attributes:
        vpc: its id.
        subnets: their ids, in at least two zones of that VPC.
        clients: the networks that it lets in, as CIDR.
    """

    vpc: str
    subnets: tuple[str, ...]
    clients: tuple[str, ...]


@dataclass(frozen=True)
class Pick:
    """What one method found to restore from.

    Attributes:
        taken_at: the instant whose data the copy will hold.
        restorable_at: the latest instant that this method could restore at this moment.
        origin: ARN of the snapshot or recovery point; empty for a point in time.
        vault: of a recovery point.
        role: ARN of the role that AWS Backup restores with.
        kms_key: the key of a copy in another region; empty where the source's goes on.
        size_gib: of its disk; 0 where storage is not allocated.
    """

    taken_at: datetime
    restorable_at: datetime
    origin: str = ""
    vault: str = ""
    role: str = ""
    kms_key: str = ""
    size_gib: int = 0


@dataclass(frozen=True)
class Chosen:
    """A copy before it is made.

    Attributes:
        method: one of :data:`ftchaos.platforms.aws.copies.METHODS`.
        source: the name of the database; ``arn`` is its ARN, and ``is_cluster`` whether it is a cluster.
        region: where the copy will be.
        pick: what is restored.
        ground: where it is built.
        engine, version: as RDS writes them, for example ``mysql`` and ``8.0.36``.
        instance_class: of the copy.
        port: on which it will listen.
        user: its master user.
        family: of its parameter groups, for example ``mysql8.0``.
        parameter_group: of the source, or of the source's writer.
        cluster_parameter_group: of the source; empty for an instance.
        option_group: of the copy; empty for a cluster.
        storage: the parameters of a restore that say what disk it gets.
        serverless: the capacity of a serverless cluster; empty for any other.
        encrypted, kms_key: of the source.
        ca: file that the copy's certificate is verified by; None for a stand-in without TLS.
    """

    method: str
    source: str
    arn: str
    is_cluster: bool
    region: str
    pick: Pick
    ground: Ground
    engine: str
    version: str
    instance_class: str
    port: int
    user: str
    family: str
    parameter_group: str
    cluster_parameter_group: str
    option_group: str
    encrypted: bool
    kms_key: str
    ca: Path | None
    storage: Mapping[str, Any] = field(default_factory=dict)
    serverless: Mapping[str, float] = field(default_factory=dict)

    @property
    def taken_at(self) -> datetime:
        return self.pick.taken_at

    @property
    def restorable_at(self) -> datetime:
        return self.pick.restorable_at

    @property
    def is_aurora(self) -> bool:
        """Whether its servers are made one by one; those of a Multi-AZ cluster come with it."""
        return self.engine.startswith("aurora")


@dataclass(frozen=True)
class Isolated:
    """What a copy is put into, all of it ours.

    Attributes:
        security_group: its id.
        subnet_group, parameter_group: their names.
        cluster_parameter_group: its name; empty for an instance.
    """

    security_group: str
    subnet_group: str
    parameter_group: str
    cluster_parameter_group: str = ""


@dataclass(frozen=True)
class Opened:
    """How a copy is reached.

    Attributes:
        password: file with the password of that user, readable by its owner alone.
        ca: file that its certificate is verified by; None where it speaks no TLS.
    """

    host: str
    port: int
    user: str
    password: Path
    ca: Path | None
