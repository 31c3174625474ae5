"""An environment on AWS as a platform: what actions and probes ask for by role, answered with what carries the tag.

Clients write to the database through its own endpoint, to the cache where it is a Redis Cluster, and to the
application where ``api`` says where that is. They run on this machine, beside ftchaos.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pymysql.err import MySQLError

from ftchaos.clock import now
from ftchaos.errors import FtchaosError, Invalid, StepFailed
from ftchaos.mysql import session as sessions
from ftchaos.mysql.session import Session
from ftchaos.platforms import comparison, ledgertable, login
from ftchaos.platforms.arguments import ensure_taken
from ftchaos.platforms.aws import copies, events, faults, heals, roles, secrets, standing, survey
from ftchaos.platforms.aws.access import Access, Call, Place
from ftchaos.platforms.aws.drill import AwsDrill
from ftchaos.platforms.aws.faults import signs
from ftchaos.platforms.aws.faults.redis_masters import LETTERS
from ftchaos.platforms.aws.inventory import Copy, Database, Inventory, Shard
from ftchaos.platforms.base import Address, Event, Harm, Progress, Recovery, Step, Traffic
from ftchaos.platforms.recorder import RUN, Recorder
from ftchaos.workload import cluster

if TYPE_CHECKING:
    from ftchaos.cloud import Mysql
    from ftchaos.config import Config
    from ftchaos.options import Options
    from ftchaos.undo import UndoLog

WRITES_PER_S = 100.0
"""What the smallest database bears beside its own work; 10 ms between two writes are the resolution of an outage."""
CONNECT_S = 5.0
ANSWER_S = 300.0
EVENTS_S = 1.0
"""Between two looks at the events, or a tenth of the time since the fault, as the services bear only so many."""
OF_UPLOADS = ("api", "queue", "websocket")
"""The components that only uploads and their subscribers sample."""
SOURCE = "the source"
NO_LAB = "it is for the lab: leave it out here"


class AwsPlatform:
    """See :class:`ftchaos.platforms.base.Platform`."""

    name = "aws"
    methods: Sequence[str] = tuple(copies.METHODS)
    assumes_disaster = True

    def __init__(self, config: Config, options: Options) -> None:
        self.options, self.settings = options, config.environment(options.environment)
        self.accepts_backup_age = config.restore.accept_backup_age
        self._judged, self._promised = config.restore, config.promises(options.environment)
        self._drill: AwsDrill | None = None
        self._recorder: Recorder | None = None
        self._run_id = ""
        self._inventory: Inventory | None = None
        self._login: login.Login | None = None
        self._claim: Session | None = None
        self._cache_login: login.Login | None = None
        self._said: list[Event] = []
        self._said_until = 0.0
        self._injected: Mapping[str, Any] = {}

    @functools.cached_property
    def _access(self) -> Access:
        """The one way to AWS of a run; its calls are recorded from where on there is a run, with those before it."""
        return Access(Place.of(self.options.environment, self.settings), self._on_call)

    def _on_call(self, call: Call) -> None:
        if self._recorder is not None:
            self._recorder(call)

    @property
    def lock_name(self) -> str:
        settings = self.settings
        return f"aws.{settings.account}.{settings.region}.{self.options.environment}"

    @property
    def takes(self) -> Sequence[str]:
        if self._drill is not None:
            return ("mysql",)  # what the application would write would stay in the source
        redis = self.settings.redis
        given = {"uploads": self.settings.api, "mysql": True, "redis": redis, "redis-wait": redis}
        return [store for store, where in given.items() if where]

    def targets(self) -> list[str]:
        self._ensure_possible()
        return [f"{copy.name} in {copy.zone}" for copy in self._look().database().copies]

    def makes(self) -> list[str]:
        """What a drill would make; from here on this is the platform of a drill, which needs no tag on its source."""
        self._ensure_possible()
        method = self.options.method or self.methods[0]
        self._drill = AwsDrill(self._access, self.settings, self._judged, method, self.options.to, self._promised.rto_s)
        return self._drill.makes()

    def begin(self, run_id: str, undo: UndoLog, progress: Progress) -> None:
        """Fetch the account, reach the database, and make the ledger's table in it where there is none."""
        self._ensure_possible()
        self._run_id, self._recorder = run_id, Recorder.of(run_id)
        for call in list(self._access.calls):
            self._on_call(call)
        account = secrets.read(self._access, str(self._mysql.secret))
        self._login = login.keep(account, "database", run_id, self.name, undo)
        if self._drill is not None:
            self._drill.begin(run_id, undo, progress, self._source)
        elif self._cache_account is not None:
            self._cache_login = login.keep(self._cache_account, "cache", run_id, self.name, undo)
        self._claim = self._source()
        ledgertable.claim(self._claim)
        with self._source() as session:
            if ledgertable.ensure(session):
                progress("the schema ftchaos was made in the database; it stays there")
        if self._drill is None and "redis" in self.takes and not self._shards(self._known()):
            progress("the cache is not written to: it is no Redis Cluster, or does not carry the tag")

    def prepare(self, undo: UndoLog, progress: Progress, *, backups: bool) -> None:
        """See that each replica that can be read applies what its writer commits, or that what is written is kept."""
        if self._drill is not None:
            self._drill.await_restorable(progress)
            return
        with self._source() as session:
            newest = ledgertable.newest(session)
        for name, copy in self._copies().items():
            with self._connect(copy) as session:
                ledgertable.await_row(session, newest, name)

    def traffic(self, zone: str = "") -> Traffic:
        if self._login is None:
            raise StepFailed("there is no account of the database yet", "see the begin of the run")
        if self._drill is not None:
            return self._drilled(self._drill, self._login)
        inventory = self._known()
        shards = self._shards(inventory)
        copies = [copy for one in inventory.databases for copy in one.copies]
        nodes = [node for one in inventory.shards for node in one.copies]
        watched = {copy.name: self._watched(copy) for copy in copies if copy.host}
        for sign in (*map(signs.redis, nodes), *map(signs.instance, inventory.instances)):
            watched |= sign
        # What is in a cluster with the writer may be begun anew by its failover, wherever it stands.
        alone = [one.writer for one in inventory.databases] + nodes
        return Traffic(
            public_url=self.settings.api or "",
            writer=self._writer,
            witnessed=watched,
            secret=self._login.file,
            cache_nodes=[Address(node.host, node.port) for one in shards.values() for node in one.copies],
            shards={letter: cluster.tag(*_slots(one)) for letter, one in shards.items()},
            zones={one.name: one.zone for one in alone} | {one.id: one.zone for one in inventory.instances},
            account=self._login.user,
            ca=self._mysql.ca,
            cache_manner=self._manner(shards),
            writes_per_s=WRITES_PER_S,
        )

    def _drilled(self, drill: AwsDrill, account: login.Login) -> Traffic:
        """The source, and after the cut-over the copy."""
        if drill.is_cut_over:
            copy = drill.opened
            where = Address(copy.host, copy.port)
            return Traffic("", where, {}, copy.password, account=copy.user, ca=copy.ca)
        seen = {SOURCE: self._watched(Copy(SOURCE, "", drill.writer.host, drill.writer.port))}
        return Traffic(
            "", drill.writer, seen, account.file, account=account.user, ca=self._mysql.ca, writes_per_s=WRITES_PER_S
        )

    def client_argv(self, argv: Sequence[str], zone: str = "") -> list[str]:
        if zone:
            raise StepFailed(f"no client can be put into {zone}", "clients run beside ftchaos")
        return list(argv)

    def writer_in_place(self) -> str:
        if self._drill is not None and self._drill.is_cut_over:
            return self._drill.problem_of_writer()
        if over := faults.ended(self._access, self._injected):
            return over  # nothing that was seen since then is a recovery
        try:
            with self._source() as session:
                if sessions.value(session, "SELECT @@GLOBAL.read_only OR @@GLOBAL.innodb_read_only"):
                    return f"{self._writer} leads to a server that takes no writes"
        except (FtchaosError, MySQLError) as error:
            return f"the writer does not answer: {error}"
        return ""

    def backups_complete(self) -> str:
        return self._drill.problem() if self._drill is not None else ""

    def recovery(self) -> Recovery:
        if self._drill is None:
            raise StepFailed("this run is no drill", "see dr_drills/restore.yaml")
        return self._drill

    def harm(self, fault: str, arguments: Mapping[str, Any]) -> Harm:
        self._ensure_possible()
        found = faults.find(fault)
        ensure_taken(fault, found.plan, arguments, "AWS")
        harm = found.plan(self._look(), **arguments)
        absent = OF_UPLOADS if "uploads" not in self.takes else ()
        caches = () if "redis" in self.takes else tuple(f"cache-{letter}" for letter in LETTERS)
        hits = tuple(one for one in harm.hits if one not in (*absent, *caches))
        copies = {copy.name: copy for one in self._known().databases for copy in one.copies}
        watched = {name: self._watched(copies[name]) for name in harm.signs if name in copies}
        return replace(harm, hits=hits, signs={**harm.signs, **watched})

    def inject(self, fault: str, harm: Harm, undo: UndoLog, begin: Callable[[], None]) -> str:
        undo.record(self.name, f"{heals.FAULT}{fault}", {**harm.undo, RUN: self._run_id}, harm.clause)
        begin()
        self._injected = harm.undo
        return faults.find(fault).inject(self._access, harm)

    def events(self, since_at: float) -> list[Event]:
        at = now()
        if at >= self._said_until:
            inventory = self._known()
            databases = {name: "database" for one in inventory.databases for name in (one.name, *_names(one.copies))}
            nodes = {
                name: f"cache-{letter}" for letter, one in self._cache(inventory).items() for name in _names(one.copies)
            }
            with suppress(FtchaosError):  # they only corroborate, and are asked for again
                self._said = events.read(self._access, databases, nodes, since_at)
            self._said_until = at + max(EVENTS_S, (at - since_at) / 10)
        return self._said

    def compare(self) -> Step:
        self._look()  # who leads may have changed
        copies = {name: functools.partial(self._connect, copy) for name, copy in self._copies().items()}
        return comparison.compare(self._source, copies, self._mysql.database or "")

    def state(self) -> dict[str, str]:
        return standing.state(self._look()) if self._drill is None else {}

    def survivors(self) -> Session:
        return self._drill.connect() if self._drill is not None and self._drill.is_cut_over else self._source()

    def describe(self) -> dict[str, Any]:
        place = self._access.place
        found = self._drill.describe() if self._drill is not None else standing.describe(self._access, self._known())
        found["settings"] |= {"account": place.account, "region": place.region}
        return found

    def end(self) -> None:
        """Let others have the database; the account of the run goes with its undo."""
        if self._claim is not None and self._claim.open:
            self._claim.close()

    @property
    def _mysql(self) -> Mysql:
        if self.settings.mysql is None or not self.settings.mysql.secret:
            raise Invalid(
                f"the environment {self.options.environment!r} does not say who writes to its database",
                "add mysql: {instance: ..., secret: NAME}, the secret with username and password",
            )
        return self.settings.mysql

    def _source(self) -> Session:
        return self._connect(self._writer)

    @property
    def _writer(self) -> Address:
        if self._drill is not None:
            return self._drill.writer
        database = self._known().database()
        return Address(database.host, database.port)

    def _watched(self, copy: Copy) -> Mapping[str, Any]:
        """How the witness looks at a server of a database: it logs in where it can.

        A server that is only greeted, again and again, blocks the machine that does so (``max_connect_errors``).
        """
        if self._login is None:
            return signs.mysql(copy)[copy.name]
        return {
            "host": copy.host, "port": copy.port, "kind": "sql", "sql": "SELECT 1", "user": self._login.user,
            "secret_file": str(self._login.file), "ca": str(self._mysql.ca or ""),
        }  # fmt: skip

    def _ensure_possible(self) -> None:
        """Refuse what no run can have here, before anything is asked of AWS.

        Raises:
            Invalid: an option is for the lab, or the configuration does not say who writes to which database.
        """
        if self.options.durability == "weaker":
            raise Invalid("the durability of a database on AWS cannot be weakened for a run", NO_LAB)
        if self.options.lab:
            raise Invalid(f"the environment {self.options.environment!r} has no lab {self.options.lab!r}", NO_LAB)
        assert self._mysql.secret

    def _look(self) -> Inventory:
        """The inventory as it is now."""
        account, redis = self._cache_account, self.settings.redis
        known = (account.password, account.user) if account else ("", "")
        ca = str(redis.ca or "") if redis else ""
        self._inventory = survey.of(
            self._access, self.settings, lambda host, port, tls: roles.ask(host, port, tls, *known, ca)
        )
        return self._inventory

    @functools.cached_property
    def _cache_account(self) -> login.Account | None:
        """The account of the cache, where it has one: without it not even who leads a cluster is known."""
        redis = self.settings.redis
        return secrets.read(self._access, redis.secret, bare=True) if redis and redis.secret else None

    def _known(self) -> Inventory:
        """The inventory as it was last looked at."""
        return self._inventory or self._look()

    def _copies(self) -> dict[str, Address]:
        """Who beside the writer holds the same data and can be read."""
        inventory = self._known()
        database = inventory.database()
        replicas = [one.writer for one in inventory.databases if _follows(one, database)]
        return {copy.name: Address(copy.host, copy.port) for copy in (*database.others, *replicas) if copy.host}

    def _cache(self, inventory: Inventory) -> dict[str, Shard]:
        """The shards of the cache by the letter of their component; none where it does not carry the tag."""
        mine = [one for one in inventory.shards if self.settings.redis is not None and one.group == inventory.redis]
        return dict(zip(LETTERS, sorted(mine, key=str), strict=False))

    def _shards(self, inventory: Inventory) -> dict[str, Shard]:
        """Those that can be written to: of a Redis Cluster."""
        return {letter: one for letter, one in self._cache(inventory).items() if one.clustered and one.slots}

    def _manner(self, shards: Mapping[str, Shard]) -> dict[str, Any]:
        """How the nodes of these shards want to be spoken to."""
        redis, account = self.settings.redis, self._cache_login
        found: dict[str, Any] = {"tls": any(one.primary.tls for one in shards.values())}
        found["ca"] = str(redis.ca or "") if redis else ""
        return found | ({"user": account.user, "secret_file": str(account.file)} if account else {})

    def _connect(self, to: Address) -> Session:
        if self._login is None:
            raise StepFailed("there is no account of the database yet", "see the begin of the run")
        try:
            return sessions.reach(
                to.host, to.port, user=self._login.user, password=self._login.password, timeout_s=CONNECT_S,
                answer_timeout_s=ANSWER_S, ca=self._mysql.ca,
            )  # fmt: skip
        except sessions.Unreachable as error:
            if "insecure transport" not in error.fact:
                raise
            raise sessions.Unreachable(error.fact, "give mysql.ca: the certificates that RDS publishes") from error


def _names(copies: Sequence[Copy]) -> list[str]:
    return [copy.name for copy in copies]


def _follows(one: Database, database: Database) -> bool:
    return bool(one.source) and one.source == database.name


def _slots(shard: Shard) -> tuple[int, int]:
    """First and last of the first range of its hash slots."""
    first, _, last = shard.slots.partition(",")[0].partition("-")
    return int(first), int(last or first)
