"""An application on Kubernetes as a platform: what actions and probes ask for by role, answered with what is labelled.

Clients write to the database that the configuration names, and to the application where ``api`` says where that is.
They run where ftchaos does. What the database or the application are is not asked: a Service of the cluster, or RDS
beside it. The cache is written to where the configuration names it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pymysql.err import MySQLError

from ftchaos.clock import now
from ftchaos.errors import FtchaosError, Inconclusive, Invalid, Refused, StepFailed
from ftchaos.mysql import session as sessions
from ftchaos.mysql.session import Session
from ftchaos.platforms import comparison, ledgertable, login
from ftchaos.platforms.arguments import ensure_taken
from ftchaos.platforms.base import Address, Event, Harm, Progress, Recovery, ScalingSeen, Step, Traffic
from ftchaos.platforms.kubernetes import events, faults, forward, heals, lease, sight, standing, survey
from ftchaos.platforms.kubernetes.access import IN_CLUSTER, Access, ApiFailed, Call, Place, Unanswered
from ftchaos.platforms.kubernetes.cache import Cache
from ftchaos.platforms.kubernetes.calls import BY_POLICY, CUT_OFF, DRAIN, OF_NODES, PARTITION
from ftchaos.platforms.kubernetes.faults import autoscaler
from ftchaos.platforms.kubernetes.inventory import PRIMARY, Inventory, Pod
from ftchaos.platforms.kubernetes.servers import Servers
from ftchaos.platforms.recorder import RUN, Recorder

if TYPE_CHECKING:
    from ftchaos.cloud import ClusterMysql
    from ftchaos.config import Config
    from ftchaos.options import Options
    from ftchaos.undo import UndoLog

WRITES_PER_S = 100.0
"""What the smallest database bears beside its own work; 10 ms between two writes are the resolution of an outage."""
CACHE_WRITES_PER_S = 20.0
"""Of each of six writers: what an API server carries beside its own work, where all of it passes through it."""
CONNECT_S = 5.0
ANSWER_S = 300.0
EVENTS_S = 1.0
"""Between two looks at what the cluster says of itself."""
OF_UPLOADS = ("api", "queue", "websocket")
"""The components that only uploads and their subscribers sample."""
OF_LEADERS = ("fail_mysql_primary", "fail_redis_masters")
"""The faults that hit whoever leads, so that databases are asked."""
NO_LAB = "it is for the lab: leave it out here"
WRITER = "the writer"
MYSQL = "mysql"


class KubernetesPlatform:
    """See :class:`ftchaos.platforms.base.Platform`."""

    name = "kubernetes"
    methods: Sequence[str] = ()
    accepts_backup_age = False
    assumes_disaster = False

    def __init__(self, config: Config, options: Options) -> None:
        self.options, self.settings = options, config.environment(options.environment)
        self._recorder: Recorder | None = None
        self._run_id = ""
        self._inventory: Inventory | None = None
        self._login: login.Login | None = None
        self._lease: lease.Lease | None = None
        self._forwards: forward.Forwards | None = None
        self._cache_login: login.Login | None = None
        self._claim: Session | None = None
        self._known_pods: frozenset[str] = frozenset()
        self._said: list[Event] = []
        self._said_until = 0.0
        self._loaded: Mapping[str, Any] | None = None

    @functools.cached_property
    def _access(self) -> Access:
        """The one way to the cluster of a run; its calls are recorded from where on there is a run."""
        return Access(Place.of(self.options.environment, self.settings), self._on_call)

    @functools.cached_property
    def _servers(self) -> Servers:
        return Servers(self._access, self._mysql, self.settings.kubernetes.redis if self.settings.kubernetes else None)

    def _on_call(self, call: Call) -> None:
        if self._recorder is not None:
            self._recorder(call)

    @property
    def lock_name(self) -> str:
        return lease.lock_name(self._access)

    @property
    def takes(self) -> Sequence[str]:
        redis = self.settings.kubernetes.redis if self.settings.kubernetes else None
        cache = self._servers.cache if redis else None
        given = {"uploads": self.settings.api, "mysql": True, "redis": redis}
        given["redis-wait"] = redis and (cache is None or cache.waits)
        return [store for store, where in given.items() if where]

    def targets(self) -> list[str]:
        self._ensure_possible()
        return [f"{one.full_name} in {self._known().zone_of(one) or one.node}" for one in self._look().pods]

    def makes(self) -> list[str]:
        return []

    def begin(self, run_id: str, undo: UndoLog, progress: Progress) -> None:
        """Take the lease, fetch the account, reach the database, and make the ledger's table where there is none."""
        self._ensure_possible()
        self._run_id, self._recorder = run_id, Recorder.of(run_id)
        for call in list(self._access.calls):
            self._on_call(call)
        assert self.settings.kubernetes is not None
        self._lease = lease.Lease(self._access, self.settings.kubernetes.lease_namespace)
        self._lease.begin(run_id, undo, progress)
        if not self._mysql.address and self._access.place.context != IN_CLUSTER:
            namespace, _, name = str(self._mysql.service).partition("/")
            self._forwards = forward.begin(self._access.place, {MYSQL: (namespace, name, self._mysql.port)})
            progress(f"the database is reached through a port-forward to {self._mysql.service}")
        self._login = login.keep(self._servers.account, "database", run_id, self.name, undo)
        if (cache := self._cache()) is not None:
            if self._servers.cache_account is not None:
                self._cache_login = login.keep(self._servers.cache_account, "cache", run_id, self.name, undo)
            if not cache.waits:
                progress("the cache has a master without a replica: nobody waits for one")
        self._claim = self._connect()
        ledgertable.claim(self._claim)
        with self._connect() as session:
            if ledgertable.ensure(session):
                progress("the schema ftchaos was made in the database; it stays there")

    def prepare(self, undo: UndoLog, progress: Progress, *, backups: bool) -> None:
        """Nothing has to be made ready: replicas are the database's own affair."""

    def traffic(self, zone: str = "") -> Traffic:
        if self._login is None:
            raise StepFailed("there is no account of the database yet", "see the begin of the run")
        inventory = self._known()
        watched: dict[str, Mapping[str, Any]] = {one.name: sight.node(one) for one in inventory.nodes}
        watched[WRITER] = {
            "host": self._writer.host, "port": self._writer.port, "kind": "sql", "sql": "SELECT 1",
            "user": self._login.user, "secret_file": str(self._login.file), "ca": str(self._mysql.ca or ""),
        }  # fmt: skip
        cache = self._cache()
        return Traffic(
            public_url=self.settings.api or "",
            writer=self._writer,
            witnessed=watched,
            secret=self._login.file,
            zones={one.name: one.zone for one in inventory.nodes},
            account=self._login.user,
            ca=self._mysql.ca,
            writes_per_s=WRITES_PER_S,
            place=self._access.place.to_json(),
            **(self._written(cache) if cache else {}),
        )

    def _written(self, cache: Cache) -> dict[str, Any]:
        """What clients are told of the cache."""
        account = self._cache_login
        known = {"user": account.user, "secret_file": str(account.file)} if account else {}
        return {
            "cache_nodes": cache.nodes, "cache_manner": {**cache.manner, **known}, "cache_follow": cache.follow,
            "cache_waits": cache.waits, "cache_writes_per_s": CACHE_WRITES_PER_S, "shards": cache.shards,
        }  # fmt: skip

    def client_argv(self, argv: Sequence[str], zone: str = "") -> list[str]:
        if zone:
            raise StepFailed(f"no client can be put into {zone}", "clients run beside ftchaos")
        return list(argv)

    def writer_in_place(self) -> str:
        try:
            with self._connect() as session:
                if sessions.value(session, "SELECT @@GLOBAL.read_only"):
                    return f"{self._writer} leads to a server that takes no writes"
        except (FtchaosError, MySQLError) as error:
            return f"the writer does not answer: {error}"
        return ""

    def backups_complete(self) -> str:
        return "the backups of a database beside a cluster are not known here"

    def recovery(self) -> Recovery:
        raise Invalid(
            f"{self.options.environment!r} is on Kubernetes, where no database is restored",
            "name an environment on aws for `drill restore`, or run `drill config-restore` here",
        )

    def harm(self, fault: str, arguments: Mapping[str, Any]) -> Harm:
        self._ensure_possible()
        found = faults.find(fault)
        ensure_taken(fault, found.plan, arguments, "Kubernetes")
        ask = self._servers.roles if fault in OF_LEADERS else None
        if fault == "fail_zone" and arguments.get("zone", PRIMARY) == PRIMARY and arguments.get("manner") != DRAIN:
            ask = functools.partial(self._servers.mysql, needed=False)  # a drain is of whichever zone has most to lose
        inventory = self._look(everywhere=arguments.get("manner") in OF_NODES, ask=ask)
        cache = self._cache()
        harm = found.plan(inventory, **arguments)
        faults.ensure_allowed(self._access, harm)
        sampled = {"database"} if self._mysql.service and self._notices(harm) else set()
        sampled |= {*OF_UPLOADS} if self.settings.api else set()
        sampled |= {f"cache-{letter}" for letter in cache.shards} if cache else set()
        hits = tuple(one for one in harm.hits if one in sampled)
        if harm.hits and not hits:  # where clients use nothing of it, all that they use is the control group
            hint = f"say for {self.options.environment!r} where the application is: api: http://..."
            why = f"none uses what is hit: {', '.join(harm.hits)}"
            if not self._notices(harm):
                why = "they reach the database by a port-forward, which no policy cuts off"
                hint = f"run it in the cluster: docs/in-cluster.md; or {hint}"
            raise Invalid(f"no client of ours would notice, as {why}", hint)
        if cache and harm.undo["manner"] in (PARTITION, CUT_OFF) and not self._servers.ways.within:
            cut = {f"{one['namespace']}/{one['name']}" for one in harm.undo.get("pods", ())} & cache.pods
            if cut:
                raise Refused(
                    f"clients reach {', '.join(sorted(cut))} through port-forwards, which no NetworkPolicy cuts: they "
                    "would write where nobody else can",
                    "run ftchaos in the cluster, or choose another manner",
                )
        return replace(harm, hits=hits)

    def _notices(self, harm: Harm) -> bool:
        """Whether clients of the database would notice: a port-forward ends in a pod, where no policy cuts it off."""
        forwarded = not self._mysql.address and self._access.place.context != IN_CLUSTER
        return not (forwarded and harm.undo["manner"] in BY_POLICY)

    def inject(self, fault: str, harm: Harm, undo: UndoLog, begin: Callable[[], None]) -> str:
        harm = replace(harm, undo={**harm.undo, RUN: self._run_id})
        undo.record(self.name, f"{heals.FAULT}{fault}", harm.undo, harm.clause)
        self._known_pods = frozenset(one.uid for one in self._known().pods)
        self._loaded = harm.undo if "load" in harm.undo else None
        begin()
        said = faults.find(fault).inject(self._access, harm)
        try:
            faults.await_effect(self._access, fault, harm)
        except Inconclusive as error:  # what was done says why, as a budget that forbids every eviction
            raise Inconclusive(f"{said.removeprefix(f'{harm.clause}: ')}; {error.fact}", error.hint) from error
        return said

    def events(self, since_at: float) -> list[Event]:
        at = now()
        if at >= self._said_until:
            with suppress(FtchaosError):  # they only corroborate, and are asked for again
                said = events.read(self._access, self._known_pods, since_at, self._known().shards)
                # What passes, as a pod that nobody could place, is known from when it was seen.
                kept = [
                    one for one in self._said if (one.name, one.detail) not in {(new.name, new.detail) for new in said}
                ]
                self._said = sorted([*kept, *said], key=lambda one: one.at)
            self._said_until = at + EVENTS_S
        return self._said

    def scaling(self) -> ScalingSeen | None:
        """See :class:`ftchaos.platforms.base.Scaled`."""
        if self._loaded is None:
            raise StepFailed("no autoscaler is under a load of ours", "see the fault of the definition")
        with suppress(ApiFailed, Unanswered):
            return autoscaler.look(self._access, self._loaded, self._run_id)
        return None

    def compare(self) -> Step:
        return comparison.sound(self._connect)  # its replicas are nobody's that we know

    def state(self) -> dict[str, str]:
        return standing.state(self._look())

    def survivors(self) -> Session:
        return self._connect()

    def describe(self) -> dict[str, Any]:
        found = standing.describe(self._access, self._known())
        with self._connect() as session:
            found["mysql"] = str(sessions.value(session, "SELECT VERSION()"))
        found["redis"] = cache.version if (cache := self._cache()) else ""
        place = self._access.place
        found["settings"] |= {"context": place.context, "cluster": place.cluster}
        return found

    def end(self) -> None:
        """Let others have the database, and renew the lease no more; it goes with its undo, as the account does."""
        if self._lease is not None:
            self._lease.end()
        if self._forwards is not None:
            self._forwards.end()
        self._servers.end()
        if self._claim is not None and self._claim.open:
            self._claim.close()

    @property
    def _mysql(self) -> ClusterMysql:
        given = self.settings.kubernetes
        if given is None or given.mysql is None:
            raise Invalid(
                f"the environment {self.options.environment!r} does not say who writes to its database",
                "add kubernetes.mysql: {service: NAMESPACE/NAME, secret: NAMESPACE/NAME}, with username and password",
            )
        return given.mysql

    @property
    def _writer(self) -> Address:
        """Where the writer is reached from here."""
        given = self._mysql
        if given.address:
            host, _, port = given.address.rpartition(":")
            return Address(host, int(port))
        namespace, _, name = str(given.service).partition("/")
        if self._forwards is not None:
            return Address(*self._forwards.address(MYSQL))
        return Address(f"{name}.{namespace}.svc", given.port)

    def _ensure_possible(self) -> None:
        """Refuse what no run can have here, before anything is asked of the cluster.

        Raises:
            Invalid: an option is for the lab, or the configuration does not say who writes to which database.
        """
        if self.options.durability == "weaker":
            raise Invalid("the durability of a database on Kubernetes cannot be weakened for a run", NO_LAB)
        if self.options.lab:
            raise Invalid(f"the environment {self.options.environment!r} has no lab {self.options.lab!r}", NO_LAB)
        assert self._mysql.secret

    def _look(
        self, *, everywhere: bool = False, ask: Callable[[Sequence[Pod]], Mapping[str, str]] | None = None
    ) -> Inventory:
        """The inventory as it is now.

        Args:
            ask: asks databases who leads.
        """
        found = survey.of(self._access, self.settings, everywhere=everywhere, ask=ask)
        cache = self._servers.cache
        self._inventory = replace(found, shards=cache.leads) if cache else found
        return self._inventory

    def _cache(self) -> Cache | None:
        """Where clients write to the cache; None where the configuration names none."""
        given = self.settings.kubernetes.redis if self.settings.kubernetes else None
        if given is None or self._servers.cache is not None:
            return self._servers.cache
        return self._servers.find_cache(self._known().pods, given)

    def _known(self) -> Inventory:
        """The inventory as it was last looked at."""
        return self._inventory or self._look()

    def _connect(self) -> Session:
        if self._login is None:
            raise StepFailed("there is no account of the database yet", "see the begin of the run")
        return sessions.reach(
            self._writer.host, self._writer.port, user=self._login.user, password=self._login.password,
            timeout_s=CONNECT_S, answer_timeout_s=ANSWER_S, ca=self._mysql.ca,
        )  # fmt: skip
