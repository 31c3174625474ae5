"""What a drill on AWS costs: estimated before it, and the same sum over the measured time afterwards.

On-demand prices of the price list, without discounts, taxes and free tiers. What is not known is named with the
reason and is never part of a sum.

Sources: Amazon RDS pricing (seconds, at least 10 minutes after an instance is made; storage by the month and GiB); RDS
user guide, gp3 storage (IOPS that come with a disk); Aurora pricing (I/O by the request, unless I/O-optimized).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from ftchaos.platforms.aws.prices import Price, Wanted, ask
from ftchaos.units import human_duration

if TYPE_CHECKING:
    from ftchaos.platforms.aws.access import Access

LEAST_S = 600.0
MONTH_S = 730 * 3600.0
"""A month as AWS counts one: 730 hours."""
SINGLE, MULTI, STANDBYS = "Single-AZ", "Multi-AZ", "Multi-AZ (readable standbys)"
SERVERLESS = "db.serverless"
# What the price list calls what RDS calls by the other name.
ENGINES = {"mysql": "MySQL", "mariadb": "MariaDB", "aurora-mysql": "Aurora MySQL"}
VOLUMES = {
    "standard": "Magnetic", "gp2": "General Purpose", "gp3": "General Purpose-GP3", "io1": "Provisioned IOPS",
    "io2": "Provisioned IOPS-IO2",
}  # fmt: skip
IO_OPTIMIZED = "aurora-iopt1"
STRIPED_GIB = 400
"""From this size on a gp3 disk is striped over four volumes, and comes with more."""
PLAIN_IOPS, STRIPED_IOPS = 3000, 12000
PLAIN_MIB_S, STRIPED_MIB_S = 125, 500

Per = Literal["hour", "month", "once"]


@dataclass(frozen=True)
class Spec:
    """What a drill makes, as far as it is billed.

    Attributes:
        engine: as RDS writes it, for example ``mysql`` or ``aurora-mysql``.
        instance_class: for example ``db.t4g.medium``.
        region: where it is made.
        instances: how many; a Multi-AZ cluster counts as one.
        deployment: ``Single-AZ``, ``Multi-AZ`` or ``Multi-AZ (readable standbys)``, of its instances.
        storage_type: as RDS writes it, for example ``gp3`` or ``aurora``.
        storage_gib: None where nobody knows it beforehand, as with Aurora.
        iops, throughput_mib_s: that are provisioned.
        requests: of I/O that Aurora counted; None where nobody knows.
        snapshot_gib: of the snapshot copies that are made and deleted again; at most, as RDS copies what changed.
        copied_gib: that cross from another region, ``copied_from``.
    """

    engine: str
    instance_class: str
    region: str
    instances: int = 1
    deployment: str = SINGLE
    storage_type: str = "gp2"
    storage_gib: float | None = 0
    iops: int = 0
    throughput_mib_s: int = 0
    requests: int | None = None
    snapshot_gib: float = 0
    copied_gib: float = 0
    copied_from: str = ""

    @property
    def is_aurora(self) -> bool:
        return self.engine.startswith("aurora")


@dataclass(frozen=True)
class Line:
    """One position of the bill.

    Attributes:
        amount: of units; None where nobody knows.
        per: an hour or a month of it, or nothing of the kind.
        price_usd: of one unit; None where nobody knows, and ``why`` says why.
        usd: what it comes to.
    """

    what: str
    unit: str
    amount: float | None
    per: Per
    price_usd: float | None
    why: str = ""
    usd: float | None = None

    def over(self, duration_s: float) -> Line:
        """The same for so long."""
        if self.price_usd is None or self.amount is None:
            return replace(self, usd=None)
        times = {"hour": max(duration_s, LEAST_S) / 3600, "month": duration_s / MONTH_S, "once": 1.0}[self.per]
        return replace(self, usd=round(self.price_usd * self.amount * times, 6))


@dataclass(frozen=True)
class Cost:
    """What a drill costs, position by position.

    Attributes:
        duration_s: for which it was summed.
    """

    duration_s: float
    lines: tuple[Line, ...]

    @property
    def known_usd(self) -> float:
        """The sum of what is known."""
        return round(sum(line.usd for line in self.lines if line.usd is not None), 6)

    @property
    def total_usd(self) -> float | None:
        """The whole; None where a part of it is not known."""
        return self.known_usd if self.lines and all(line.usd is not None for line in self.lines) else None

    def over(self, duration_s: float) -> Cost:
        """The same prices over another time, as that which was measured."""
        return Cost(duration_s, tuple(line.over(duration_s) for line in self.lines))

    def words(self) -> str:
        """For people, in one sentence."""
        known = [line for line in self.lines if line.usd is not None]
        missing = [f"{line.what} ({line.why})" for line in self.lines if line.usd is None]
        parts = ", ".join(f"{line.what} {_money(line.usd or 0.0)}" for line in known)
        if not missing:
            return f"{_money(self.known_usd)} for {human_duration(self.duration_s)}: {parts}"
        rest = f"; the rest {_money(self.known_usd)} for {human_duration(self.duration_s)}: {parts}" if known else ""
        return f"not known: {', '.join(missing)}{rest}"

    def to_json(self) -> dict[str, Any]:
        return {
            "duration_s": self.duration_s, "total_usd": self.total_usd, "known_usd": self.known_usd,
            "lines": [asdict(line) for line in self.lines],
        }  # fmt: skip


def estimate(access: Access, spec: Spec, duration_s: float) -> Cost:
    """What a drill costs when what it makes is there for so long.

    Args:
        duration_s: the promised RTO or what a former drill took; afterwards the time that was measured, for which
            :meth:`Cost.over` asks nobody.
    """
    return summed(spec, lambda wanted: ask(access, wanted)).over(duration_s)


def summed(spec: Spec, price: Callable[[Wanted], Price]) -> Cost:
    """Each position with its price, before any time has passed."""
    lines = []
    for line, wanted in _positions(spec):
        known = Price(None, line.why) if wanted is None else price(wanted)
        usd = None if known.usd is None else float(known.usd)
        lines.append(replace(line, price_usd=usd, why=line.why or known.why))
    return Cost(0.0, tuple(lines))


def _positions(spec: Spec) -> Iterator[tuple[Line, Wanted | None]]:
    """What is billed, each with what to look for in the list, or with the reason why there is no use in it."""
    engine = ENGINES.get(spec.engine, "")
    if not engine:
        yield Line("the database", "", None, "hour", None, f"nobody here knows the prices of {spec.engine}"), None
        return
    yield _instance(spec, engine)
    yield from _storage(spec, engine)
    yield from _io(spec, engine)
    if spec.snapshot_gib:
        usage = "Aurora:BackupUsage" if spec.is_aurora else "RDS:ChargedBackupUsage"
        yield (
            Line("the snapshot copy", "GB-Mo", spec.snapshot_gib, "month", None),
            _rds(spec, "the snapshot copy", "Storage Snapshot", "GB-Mo", engine=engine, usage=usage),
        )
    if spec.copied_gib:
        between = {"fromRegionCode": spec.copied_from, "toRegionCode": spec.region}
        yield (
            Line("the transfer between regions", "GB", spec.copied_gib, "once", None),
            Wanted(
                "the transfer between regions", spec.copied_from, "AWSDataTransfer", "Data Transfer", "GB",
                {"transferType": "InterRegion Outbound", **between}, "AWS-Out-Bytes",
            ),
        )  # fmt: skip


def _instance(spec: Spec, engine: str) -> tuple[Line, Wanted | None]:
    line = Line("the instance", "Hrs", spec.instances, "hour", None)
    if spec.instance_class == SERVERLESS:
        return replace(line, why="a serverless instance is billed by the capacity that it takes"), None
    named = {
        "instanceType": spec.instance_class, "databaseEngine": engine, "deploymentOption": spec.deployment,
        "regionCode": spec.region,
    }  # fmt: skip
    usage = f"UsageIOOptimized:{spec.instance_class}" if _is_io_optimized(spec) else f"Usage:{spec.instance_class}"
    return line, Wanted(
        f"{spec.instance_class} ({engine}, {spec.deployment})", spec.region, "AmazonRDS", "Database Instance", "Hrs",
        named, usage,
    )  # fmt: skip


def _storage(spec: Spec, engine: str) -> Iterator[tuple[Line, Wanted | None]]:
    if spec.storage_gib == 0:
        return
    line = Line("the storage", "GB-Mo", spec.storage_gib, "month", None)
    if spec.storage_gib is None:
        yield replace(line, why="its size shows only once it is restored"), None
    elif spec.is_aurora:
        usage = "Aurora:IO-OptimizedStorageUsage" if _is_io_optimized(spec) else "Aurora:StorageUsage"
        yield line, _rds(spec, "the storage of Aurora", "Database Storage", "GB-Mo", engine=engine, usage=usage)
    elif spec.storage_type not in VOLUMES:
        yield replace(line, why=f"nobody here knows the prices of {spec.storage_type}"), None
    else:
        of = {"volumeType": VOLUMES[spec.storage_type], "deploymentOption": spec.deployment}
        what = f"{spec.storage_type} storage ({engine}, {spec.deployment})"
        yield line, _rds(spec, what, "Database Storage", "GB-Mo", engine=engine, **of)


def _io(spec: Spec, engine: str) -> Iterator[tuple[Line, Wanted | None]]:
    """Where it is billed apart: each request of Aurora, and IOPS beyond those that come with a disk."""
    if spec.is_aurora:
        if _is_io_optimized(spec):
            return
        line = Line("the I/O", "IOs", spec.requests, "once", None)
        if spec.requests is None:
            yield replace(line, why="how many requests a restore makes shows only afterwards"), None
        else:
            usage = "Aurora:StorageIOUsage"
            yield line, _rds(spec, "the I/O of Aurora", "System Operation", "IOs", engine=engine, usage=usage)
        return
    is_striped = (spec.storage_gib or 0) >= STRIPED_GIB
    if spec.storage_type == "gp3" and spec.throughput_mib_s > (STRIPED_MIB_S if is_striped else PLAIN_MIB_S):
        line = Line("the throughput", "MiBps-Mo", spec.throughput_mib_s, "month", None)
        yield replace(line, why="nobody here knows the price of more throughput than comes with the disk"), None
    free = (STRIPED_IOPS if is_striped else PLAIN_IOPS) if spec.storage_type == "gp3" else 0
    if spec.storage_type not in ("gp3", "io1", "io2") or spec.iops <= free:
        return
    line = Line("the IOPS", "IOPS-Mo", spec.iops - free, "month", None)
    usages = {"gp3": {SINGLE: "RDS:GP3-PIOPS", MULTI: "RDS:Multi-AZ-GP3-PIOPS"},
              "io1": {SINGLE: "RDS:PIOPS", MULTI: "RDS:Multi-AZ-PIOPS"}}  # fmt: skip
    usage = usages.get(spec.storage_type, {}).get(spec.deployment, "")
    if usage:
        yield line, _rds(spec, "the IOPS", "Provisioned IOPS", "IOPS-Mo", engine=engine, usage=usage)
    else:
        yield replace(line, why=f"nobody here knows the price of IOPS of {spec.storage_type}, {spec.deployment}"), None


def _rds(spec: Spec, what: str, family: str, unit: str, *, engine: str, usage: str = "", **of: str) -> Wanted:
    return Wanted(what, spec.region, "AmazonRDS", family, unit, {"regionCode": spec.region, **of}, usage, engine)


def _is_io_optimized(spec: Spec) -> bool:
    return spec.storage_type == IO_OPTIMIZED


def _money(usd: float) -> str:
    return "less than 0.01 USD" if 0 < usd < 0.005 else f"{usd:,.2f} USD"
