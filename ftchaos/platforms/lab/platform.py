"""The lab as a platform: what actions and probes ask for by role, answered with the lab's servers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from pymysql.connections import Connection
from pymysql.err import MySQLError

from ftchaos.errors import FtchaosError, Inconclusive, Invalid
from ftchaos.mysql import session as sessions
from ftchaos.options import Options
from ftchaos.platforms.arguments import ensure_taken
from ftchaos.platforms.base import STORES, Address, Event, Harm, Progress, Recovery, Step, Traffic
from ftchaos.platforms.lab import balancer, copies, events, faults, heals, redis, standing, state
from ftchaos.platforms.lab.backups import Backups
from ftchaos.platforms.lab.lab import Lab
from ftchaos.platforms.lab.layout import EDGE, MYSQL_PORT, PUBLIC_PORT, WRITER_PORT, ZONES, Layout
from ftchaos.platforms.lab.recovery import LabRecovery
from ftchaos.platforms.lab.tier import Tier
from ftchaos.undo import UndoLog
from ftchaos.workload import cluster

if TYPE_CHECKING:
    from ftchaos.mysql.backup import Method

DEFAULT_LAB = "default"
HEALTHY_WITHIN_S = 15.0
WEAKEN = "weaken_durability"


class LabPlatform:
    """One lab, which was up before or lives as long as the run."""

    name = "lab"
    methods: Sequence[str] = ("physical", "logical")
    accepts_backup_age = False
    assumes_disaster = False
    takes = STORES

    def __init__(self, options: Options) -> None:
        self.options = options
        self._lab: Lab | None = None
        self._recovery: LabRecovery | None = None

    @property
    def lab(self) -> Lab:
        """The lab of this run.

        Raises:
            Inconclusive: it was not begun.
        """
        if self._lab is None:
            raise Inconclusive("the lab of this run was not begun", "see the begin of the run")
        return self._lab

    @property
    def lock_name(self) -> str:
        return f"lab.{self.options.lab or DEFAULT_LAB}"

    @property
    def tier(self) -> Tier:
        """The lab's database tier."""
        return Tier(self.lab)

    @property
    def backups(self) -> Backups:
        """The lab's backups and its archive."""
        return Backups(self.lab, self.tier)

    def targets(self) -> list[str]:
        lab = self._running()
        if lab is None:
            return [f"mysql-{zone[-1]} in {zone} of a lab that is begun for the run, and its volume" for zone in ZONES]
        tier = Tier(lab)
        return [
            f"{name} in {tier.zone(server)} of the lab '{lab.name}', and its volume {server.datadir}"
            for name, server in tier.servers.items()
        ]

    def makes(self) -> list[str]:
        """Nothing beside what it destroys."""
        return []

    def begin(self, run_id: str, undo: UndoLog, progress: Progress) -> None:
        self._lab = self._running()
        if self._lab is not None:
            self._ensure_fits(self._lab)
            progress(f"the lab '{self._lab.name}' is up and is used")
            return
        name = f"run-{run_id[:16].lower()}-{run_id[-4:]}"
        undo.record("lab", heals.LAB, {"lab": name}, f"the lab '{name}' is begun for this run")
        self._lab = Lab.up(
            name,
            flavour=self.options.mysql_flavour or None,
            size_bytes=self.options.size,
            ephemeral=True,
            progress=progress,
        )

    def prepare(self, undo: UndoLog, progress: Progress, *, backups: bool) -> None:
        self.tier.wait_healthy(HEALTHY_WITHIN_S)
        if self.options.durability == "weaker":
            progress(self.inject(WEAKEN, self.harm(WEAKEN, {}), undo, lambda: None))
        if backups:
            self.backups.ensure(cast("Method", self.options.method or self.methods[0]), progress)

    def traffic(self, zone: str = "") -> Traffic:
        layout = self.lab.layout
        edge = layout.address(EDGE)
        writer = Address(layout.address(zone), MYSQL_PORT) if zone else Address(edge, WRITER_PORT)
        members = standing.members(layout).values()
        nodes = redis.cluster_nodes(layout)
        return Traffic(
            public_url=f"http://{edge}:{PUBLIC_PORT}",
            writer=writer,
            witnessed={member.name: member.watched for member in members if member.watched},
            secret=self.lab.folder / "secret",
            cache_nodes=[Address(node.address, node.port) for node in nodes if not zone or node.place == zone],
            zones={member.name: member.zone for member in members},
            shards={letter: cluster.tag(*redis.slot_range(shard)) for shard, letter in enumerate(standing.SHARDS)},
        )

    def client_argv(self, argv: Sequence[str], zone: str = "") -> list[str]:
        return self.lab.client_argv(argv, zone) if zone else self.lab.client_argv(argv)

    def writer_in_place(self) -> str:
        try:
            primary = self.tier.primary
            with primary.connect(timeout_s=2) as session:
                if sessions.value(session, "SELECT @@GLOBAL.read_only"):
                    return f"{primary.name} leads, but takes no writes"
            pointed = balancer.current_writer(self.lab.folder)
            if pointed != (primary.address, primary.port):
                return f"{primary.name} leads, but the public address leads to {pointed}"
        except (FtchaosError, MySQLError) as error:
            return f"the primary does not answer: {error}"
        return ""

    def backups_complete(self) -> str:
        return self.backups.problem()

    def recovery(self) -> Recovery:
        if self._recovery is None:
            self._recovery = LabRecovery(self.lab, self.tier, self.backups, self.options)
        return self._recovery

    def harm(self, fault: str, arguments: Mapping[str, Any]) -> Harm:
        lab = self._lab or self._running()
        where = standing.fresh(Layout.of("root", "")) if lab is None else standing.of(lab)
        found = faults.find(fault)
        ensure_taken(fault, found.plan, arguments, "the lab")
        return found.plan(where, **arguments)

    def inject(self, fault: str, harm: Harm, undo: UndoLog, begin: Callable[[], None]) -> str:
        undo.record("lab", f"{heals.FAULT}{fault}", {**harm.undo, "lab": self.lab.name}, harm.clause)
        begin()
        return faults.find(fault).inject(self.lab, harm)

    def events(self, since_at: float) -> list[Event]:
        return events.read(self.lab, since_at)

    def compare(self) -> Step:
        return copies.compare(self.tier)

    def state(self) -> dict[str, str]:
        return state.state(self.lab)

    def survivors(self) -> Connection[Any]:
        return self.tier.primary.connect()

    def describe(self) -> dict[str, Any]:
        facts = self.lab.facts
        servers = facts["mysql"]["servers"]
        return {
            "mode": facts["mode"],
            "zones": list(ZONES),
            "mysql": f"{facts['flavour']} {facts['server_version']}",
            "servers": [
                {"name": name, "place": server["place"], "version": server["version"]}
                for name, server in servers.items()
            ],
            "settings": {
                "lab": self.lab.name,
                "size_bytes": facts["size_bytes"],
                "sync_binlog": 1,
                "innodb_flush_log_at_trx_commit": 1,
                "semi_sync": "AFTER_SYNC",
            },
        }

    def end(self) -> None:
        """Nothing: a lab that was begun for the run is ended by its heal."""

    def _running(self) -> Lab | None:
        """The lab that the options name, or the default one when it is up."""
        name = self.options.lab or DEFAULT_LAB
        try:
            return Lab.attach(name)
        except Invalid:
            if self.options.lab:
                raise
            return None

    def _ensure_fits(self, lab: Lab) -> None:
        wanted = self.options.mysql_flavour
        if wanted and lab.flavour != wanted:
            raise Invalid(
                f"the lab '{lab.name}' runs {lab.flavour}, not {wanted}",
                f"`ftchaos lab down --name {lab.name}` first, or leave --mysql-flavour out",
            )
