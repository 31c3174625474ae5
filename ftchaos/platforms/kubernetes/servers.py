"""The databases of an environment, asked for what only they know: who leads, and where the cache is written to."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ftchaos.errors import FtchaosError, Invalid
from ftchaos.mysql import session as sessions
from ftchaos.mysql.session import Session
from ftchaos.platforms.kubernetes import account, asking, backends, cache
from ftchaos.platforms.kubernetes.access import Access
from ftchaos.platforms.kubernetes.cache import Cache
from ftchaos.platforms.kubernetes.inventory import Pod
from ftchaos.platforms.kubernetes.ways import Ways
from ftchaos.platforms.login import Account
from ftchaos.workload.cluster import Address

if TYPE_CHECKING:
    from ftchaos.cloud import ClusterMysql, ClusterRedis


@dataclass
class Servers:
    """Those that the configuration names; their accounts are in memory only."""

    access: Access
    given_mysql: ClusterMysql
    given_redis: ClusterRedis | None

    def __post_init__(self) -> None:
        self.cache: Cache | None = None

    @functools.cached_property
    def ways(self) -> Ways:
        """Where pods are reached, in the cluster that was meant."""
        self.access.ensure_right_place()
        return Ways(self.access.place)

    @functools.cached_property
    def account(self) -> Account:
        """Who writes to the database."""
        return account.read(self.access, self.given_mysql.secret)

    @functools.cached_property
    def cache_account(self) -> Account | None:
        """Who writes to the cache, where it asks."""
        secret = self.given_redis.secret if self.given_redis else None
        return account.read(self.access, secret, bare=True) if secret else None

    def roles(self, every: Sequence[Pod]) -> dict[str, str]:
        """Who leads and who follows; see :attr:`ftchaos.platforms.kubernetes.inventory.Inventory.roles`.

        Raises:
            Refused, Invalid: see :func:`ftchaos.platforms.kubernetes.cache.find`.
        """
        found = self.mysql(every)
        if self.given_redis is not None:
            found |= self.find_cache(every, self.given_redis).roles
        return found

    def find_cache(self, every: Sequence[Pod], given: ClusterRedis) -> Cache:
        """The cache as it is now."""
        self.cache = cache.find(self.access, given, self.cache_account, every, self.ways)
        return self.cache

    def end(self) -> None:
        """Reach nobody any more."""
        if "ways" in self.__dict__:
            self.ways.end()

    def mysql(self, every: Sequence[Pod], *, needed: bool = True) -> dict[str, str]:
        """The same of MySQL alone; empty where the configuration names no Service of it.

        Args:
            needed: whether one must be led to pods, and not out of the cluster.
        """
        if self.given_mysql.service is None:
            return {}
        namespace, _, service = self.given_mysql.service.partition("/")
        try:
            pods, port = backends.members(self.access, namespace, service, self.given_mysql.port, every)
        except Invalid:
            if needed:
                raise
            return {}
        given = self.account
        try:
            where = self.ways.to(pods, port)
        except FtchaosError:  # who may not reach pods knows nobody that leads, and labels are left
            return {}

        def connect(to: Address) -> Session:
            return sessions.reach(
                *to, user=given.user, password=given.password, timeout_s=asking.ASK_S,
                answer_timeout_s=asking.ASK_S, ca=self.given_mysql.ca,
            )  # fmt: skip

        return asking.mysql(where, every, connect)
