"""The keys of an environment in a cloud: what its parts are called there, and where a drill may build."""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-\d")
ARN = re.compile(r"arn:aws[a-z-]*:[a-z0-9-]+:(?P<region>[a-z0-9-]*):(?P<account>\d{12}|):.+")
TAG = "ftchaos=allowed"

# Shapes after the API references of the services; a name that cannot exist is better found here than by a call.
Identifier = Annotated[str, Field(pattern=r"^[a-zA-Z](-?[a-zA-Z0-9])*$", max_length=63)]
Secret = Annotated[str, Field(pattern=r"^[A-Za-z0-9/_+=.@:-]+$", max_length=2048)]
Zone = Annotated[str, Field(pattern=r"^[a-z]{2}(-[a-z]+)+-\d[a-z]$")]
ClientZone = Zone | Literal["outside"]
Subnet = Annotated[str, Field(pattern=r"^subnet-[0-9a-f]{8,17}$")]
Bucket = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")]
RoleArn = Annotated[str, Field(pattern=r"^arn:aws[a-z-]*:iam::\d{12}:role/.+$")]
# The names of namespaces are labels of DNS.
Namespace = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=63)]
Named = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?/[a-z0-9]([-a-z0-9.]*[a-z0-9])?$", max_length=317)]
HostPort = Annotated[str, Field(pattern=r"^[A-Za-z0-9.-]+:\d{1,5}$")]
TagPair = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.:/+@-]+=[A-Za-z0-9_.:/+@-]*$", max_length=384)]


class _Keys(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Mysql(_Keys):
    """The database: an RDS instance, or an Aurora or Multi-AZ cluster.

    Attributes:
        secret: name or ARN in Secrets Manager of its user and password, never these themselves.
        database: the application's schema, whose copies are compared.
        ca: file with the certificates that the servers' are verified against; without it there is no TLS.
    """

    instance: Identifier | None = None
    cluster: Identifier | None = None
    secret: Secret | None = None
    database: str | None = Field(default=None, pattern=r"^\w{1,64}$")
    ca: Path | None = None

    @model_validator(mode="after")
    def _is_one(self) -> Mysql:
        if (self.instance is None) == (self.cluster is None):
            raise ValueError("mysql needs either 'instance' or 'cluster', and not both")
        return self


class Redis(_Keys):
    """The cache.

    Attributes:
        secret: name or ARN in Secrets Manager of its password, alone or as JSON with ``password`` and ``username``.
        ca: file with the certificates that its are verified against; without it, those that the machine trusts.
    """

    replication_group: Annotated[str, Field(pattern=r"^[a-zA-Z](-?[a-zA-Z0-9])*$", max_length=40)]
    secret: Secret | None = None
    ca: Path | None = None


class Drill(_Keys):
    """Where a restored copy is built, away from the source.

    Attributes:
        vpc: where subnets are chosen when none are named.
        subnets: in two zones at least, as RDS demands of a subnet group.
        instance_class: of the copy, written ``class``; the source's when none is named.
        region: another region, for drills that restore there.
        kms_key: the key of that region that copies are encrypted with.
        clients: the networks, as CIDR, that a copy lets in; only this machine's own address when none is named.
    """

    vpc: str | None = Field(default=None, pattern=r"^vpc-[0-9a-f]{8,17}$")
    subnets: list[Subnet] = []
    instance_class: str | None = Field(default=None, alias="class", pattern=r"^db\.[a-z0-9-]+\.[a-z0-9-]+$")
    region: str | None = Field(default=None, pattern=f"^{REGION.pattern}$")
    kms_key: str | None = Field(default=None, min_length=1)
    clients: list[str] = []

    @field_validator("clients")
    @classmethod
    def _are_networks(cls, clients: list[str]) -> list[str]:
        for one in clients:
            try:
                network = ipaddress.IPv4Network(one)
            except ValueError as error:
                raise ValueError(f"{one!r} is not a network; write it like 10.20.0.0/16") from error
            if network.prefixlen == 0:
                raise ValueError(f"{one} is everybody, and a copy holds real data")
        return clients

    @model_validator(mode="after")
    def _has_two_subnets(self) -> Drill:
        if len(set(self.subnets)) == 1:
            raise ValueError("a drill needs subnets in at least two zones: name two or more, or a vpc")
        return self


class Backup(_Keys):
    """What AWS Backup calls the plan and the vault; of a plan the name or the id.

    Attributes:
        role: the ARN of the role that it restores with; that of the recovery point when none is named.
    """

    plan: str | None = Field(default=None, pattern=r"^[\w.-]{1,50}$")
    vault: str | None = Field(default=None, pattern=r"^[\w-]{2,50}$")
    role: RoleArn | None = None


class ClusterMysql(_Keys):
    """The database of an application in a cluster: behind a Service of it, or elsewhere, as RDS is.

    Attributes:
        service: namespace and name of the Service that leads to the writer.
        port: of the Service.
        address: host and port at which it is reached from here; without it a Service is reached by its name from
            within the cluster, and through a port-forward from elsewhere.
        secret: namespace and name of the Secret with ``username`` and ``password``.
        ca: file with the certificates that the server's are verified against; without it there is no TLS.
    """

    service: Named | None = None
    port: int = Field(default=3306, ge=1, le=65535)
    address: HostPort | None = None
    secret: Named
    ca: Path | None = None

    @model_validator(mode="after")
    def _is_somewhere(self) -> ClusterMysql:
        if self.service is None and self.address is None:
            raise ValueError("the mysql of a cluster needs a 'service' or an 'address'")
        return self


class ClusterRedis(_Keys):
    """The cache of an application in a cluster: a Redis Cluster, or a master with or without replicas.

    Attributes:
        service: namespace and name of a Service that leads to its servers; of what is no Redis Cluster, to the master.
        port: of the Service.
        secret: namespace and name of the Secret with the ``password``, and with ``username`` where it is not the
            default one; without it they ask for none.
        tls: whether they speak TLS.
        ca: file with the certificates that theirs are verified against; without it, those that the machine trusts.
        server_name: the name that their certificates show; without it, that at which they are reached.
    """

    service: Named
    port: int = Field(default=6379, ge=1, le=65535)
    secret: Named | None = None
    tls: bool = Field(default=False, strict=True)
    ca: Path | None = None
    server_name: str | None = Field(default=None, pattern=r"^[A-Za-z0-9.-]+$")

    @model_validator(mode="after")
    def _is_encrypted(self) -> ClusterRedis:
        if not self.tls and (self.ca or self.server_name):
            raise ValueError("'ca' and 'server_name' of redis mean nothing without 'tls: true'")
        return self


class Git(_Keys):
    """Manifests in a git repository.

    Attributes:
        repository: as `git fetch` takes it; a path is relative to the configuration. Who signs in there is git's part.
        ref: a branch, a tag or a commit.
        folder: of the manifests, in the repository.
    """

    repository: str = Field(pattern=r"^[^-\s][^\s]*$")
    ref: str = Field(default="HEAD", pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]*$")
    folder: Path = Path()

    @field_validator("repository")
    @classmethod
    def _holds_no_secret(cls, value: str) -> str:
        if "://" in value and urlsplit(value).password is not None:
            raise ValueError("a 'repository' holds no password: a credential helper of git keeps it")
        return value

    @field_validator("folder")
    @classmethod
    def _is_inside(cls, value: Path) -> Path:
        if value.is_absolute() or ".." in value.parts:
            raise ValueError("the 'folder' is one of the repository, like deploy/staging")
        return value


class Kubernetes(_Keys):
    """A cluster, and what of it is the application's.

    Attributes:
        context: of the kubeconfig, never the current one by default; ``in-cluster`` for a pod's own account.
        namespaces: those of the application; nothing in others is touched.
        kubeconfig: its file; without it the usual ones.
        cluster: the uid of its namespace ``kube-system``; where it is given, no other cluster is called.
        manifests: folder of what the namespaces are meant to hold, relative to the configuration.
        git: the same in a repository, for the restore drill, and for the doctor where there is no folder.
        velero: the namespace that Velero is in, where it is installed.
        mysql: the database that the clients of a run write to.
        redis: the cache that they write to.
        lease_namespace: where the lock of the cluster lies; the same in every configuration of it, or runs do not see
            each other. ``default`` can be deleted by nobody.
    """

    context: str = Field(min_length=1)
    namespaces: list[Namespace] = []
    kubeconfig: Path | None = None
    cluster: str | None = Field(default=None, pattern=r"^[0-9a-f-]{36}$")
    manifests: Path | None = None
    git: Git | None = None
    velero: Namespace = "velero"
    mysql: ClusterMysql | None = None
    redis: ClusterRedis | None = None
    lease_namespace: Namespace = "default"

    @property
    def secrets(self) -> list[str]:
        """Namespace and name of each Secret that a run reads: those with the accounts of the stores."""
        return [one.secret for one in (self.mysql, self.redis) if one and one.secret]

    @model_validator(mode="after")
    def _keeps_to_its_namespaces(self) -> Kubernetes:
        for store, given in (("mysql", self.mysql), ("redis", self.redis)):
            for what in (given.service, given.secret) if given else ():
                if what and what.partition("/")[0] not in self.namespaces:
                    raise ValueError(f"{what} of {store} is in none of the namespaces: {', '.join(self.namespaces)}")
        return self


class Fis(_Keys):
    """An experiment template of AWS FIS that interrupts the power of a zone."""

    template: str = Field(pattern=r"^EXT[A-Za-z0-9]{1,61}$")


def is_loopback(url: str) -> bool:
    """Whether this is an HTTP address that never leaves this machine, without asking a name server."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return False
    if parts.hostname == "localhost":
        return True
    try:
        return ipaddress.ip_address(parts.hostname).is_loopback
    except ValueError:
        return False
