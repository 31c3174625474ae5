"""ElastiCache replication groups with real Redis servers, and a TestFailover that fails a real primary."""

from __future__ import annotations

import time
from typing import Any

from moto.elasticache.models import elasticache_backends

from standin.call import Call, Refused
from standin.nodes import Node, Servers
from standin.proxy import Proxy
from standin.world import ACCOUNT, Place, World, ec2

_QUOTA = 15  # shards in any 24 hours; ElastiCache API reference, TestFailover
_DAY_S = 86400


class Group:
    """What is behind a replication group: its servers, and the address that leads to a primary or any node."""

    def __init__(self, model: Any, servers: Servers, front: Proxy, subnet_group: str) -> None:
        self.model = model
        self.servers = servers
        self.front = front
        self.subnet_group = subnet_group
        self.gone = False

    def lead(self) -> None:
        """Let the common address lead to who is there: the primary, or in a cluster any node."""
        alive = next((node for node in self.servers.nodes if node.primary and node.process), None)
        self.front.lead(alive.port if alive else None)

    def describe(self, status: str) -> None:
        """Write into moto's model how the group stands."""
        servers, groups = self.servers, []
        for shard in sorted({node.shard for node in servers.nodes}):
            group: dict[str, Any] = {"NodeGroupId": f"{shard:04}", "Status": status}
            group["NodeGroupMembers"] = [self._member(node) for node in servers.nodes if node.shard == shard]
            if servers.clustered:
                group["Slots"] = servers.slots(shard)
            else:
                replica = next(iter(servers.replicas(shard)), servers.primary(shard))
                group["PrimaryEndpoint"] = _endpoint(self.front)
                group["ReaderEndpoint"] = _endpoint(replica.place.proxy)
            groups.append(group)
        model = self.model
        model.status, model.node_groups = status, groups
        model.member_clusters = [node.name for node in servers.nodes]
        model.cluster_enabled = servers.clustered
        if servers.clustered:
            model.configuration_endpoint = _endpoint(self.front)

    def _member(self, node: Node) -> dict[str, Any]:
        member: dict[str, Any] = {
            "CacheClusterId": node.name,
            "CacheNodeId": "0001",
            "PreferredAvailabilityZone": node.place.zone,
        }
        if not self.servers.clustered:  # the service does not say it of a cluster
            member["ReadEndpoint"] = _endpoint(node.place.proxy)
            member["CurrentRole"] = "primary" if node.primary else "replica"
        return member


class Caches:
    """The handlers of ElastiCache."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.groups: dict[tuple[str, str], Group] = {}
        self._tested: list[float] = []
        world.resets.append(self._reset)
        self.handlers: dict[tuple[str, str], Any] = {
            ("elasticache", "CreateReplicationGroup"): self.create,
            ("elasticache", "DeleteReplicationGroup"): self.delete,
            ("elasticache", "ModifyReplicationGroup"): self.modify,
            ("elasticache", "TestFailover"): self.test_failover,
            ("elasticache", "RebootCacheCluster"): self.reboot,
            ("elasticache", "DescribeCacheClusters"): self.describe_clusters,
            ("elasticache", "DescribeEvents"): self.events,
            ("elasticache", "DeleteCacheSubnetGroup"): self.delete_subnet_group,
        }

    def create(self, call: Call) -> Any:
        params = call.params
        subnet_group = params.get("CacheSubnetGroupName", "")
        backend = elasticache_backends[ACCOUNT][call.region]
        if subnet_group not in backend.cache_subnet_groups:
            raise Refused("CacheSubnetGroupNotFoundFault", f"no cache subnet group {subnet_group!r}", 404)
        call_answer = call.moto()
        if not call_answer.ok:
            return call_answer
        name = params["ReplicationGroupId"]
        model = backend.replication_groups[name]
        subnets = {}
        for subnet in backend.cache_subnet_groups[subnet_group].subnet_ids:
            subnets[ec2(call.region).get_subnet(subnet).availability_zone] = subnet
        clustered = int(params.get("NumNodeGroups", 1)) > 1 or params.get("ClusterMode") == "enabled"
        nodes = [
            Node(cluster, shard, Place(self.world.board.proxy(), call.region, subnets, zone), primary)
            for cluster, shard, zone, primary in _laid_out(params, sorted(subnets), clustered)
        ]
        servers = Servers(self.world.path(name), nodes, clustered)
        group = self.groups[call.region, name] = Group(model, servers, self.world.board.proxy(), subnet_group)
        self.world.other_places += [node.place for node in nodes]
        group.describe("creating")
        self.world.beside(self._bring_up, group)
        return {"ReplicationGroup": model}

    def delete(self, call: Call) -> Any:
        group = self._need(call)
        if group.model.status != "available":
            raise Refused("InvalidReplicationGroupState", f"the replication group is {group.model.status}")
        group.describe("deleting")
        self.world.beside(self._remove, group, call.region, call.params["ReplicationGroupId"])
        return {"ReplicationGroup": group.model}

    def modify(self, call: Call) -> Any:
        group = self._need(call)
        if group.model.status != "available":
            raise Refused("InvalidReplicationGroupState", f"the replication group is {group.model.status}")
        wanted = call.params.get("PrimaryClusterId")
        node = next((node for node in group.servers.nodes if node.name == wanted), None)
        if wanted and (node is None or group.servers.clustered):
            raise Refused("InvalidParameterValue", f"{wanted} cannot be made the primary")
        if wanted and "enabled" in (group.model.automatic_failover, group.model.multi_az):
            raise Refused("InvalidParameterCombination", "nobody is promoted by hand while Multi-AZ is on")
        call_answer = call.moto()
        if not call_answer.ok:
            return call_answer
        if node is not None and not node.primary:
            group.describe("modifying")
            self.world.beside(self._move_primary, group, node)
        elif {"AutomaticFailoverEnabled", "MultiAZEnabled"} & call.params.keys():
            group.describe("modifying")
            self.world.beside(self._modify, group)
        return {"ReplicationGroup": group.model}

    def test_failover(self, call: Call) -> Any:
        group, model = self._need(call), self._need(call).model
        shard = int(call.params["NodeGroupId"])
        if shard not in {node.shard for node in group.servers.nodes}:
            raise Refused("NodeGroupNotFoundFault", f"no node group {call.params['NodeGroupId']}", 404)
        if model.automatic_failover != "enabled" or not group.servers.replicas(shard):
            raise Refused("TestFailoverNotAvailableFault", "automatic failover is not enabled")
        if model.status != "available":
            raise Refused("InvalidReplicationGroupState", f"the replication group is {model.status}")
        since = time.time() - _DAY_S
        self._tested = [at for at in self._tested if at > since]
        if len(self._tested) >= _QUOTA:
            raise Refused("APICallRateForCustomerExceeded", f"{_QUOTA} shards were tested within 24 hours")
        self._tested.append(time.time())
        self._tell(group, f"Test Failover API called for node group {shard:04}")
        group.describe("modifying")
        self.world.beside(self.fail, group, shard)
        return {"ReplicationGroup": model}

    def reboot(self, call: Call) -> Any:
        wanted = call.params["CacheClusterId"]
        for group in self.groups.values():
            for node in group.servers.nodes:
                if node.name == wanted and group.model.arn.split(":")[3] == call.region:
                    if group.servers.clustered:
                        raise Refused("InvalidCacheClusterState", "a node of a cluster is not rebooted")
                    if call.params["CacheNodeIdsToReboot"] != ["0001"]:
                        raise Refused("InvalidParameterValue", f"{wanted} has the node 0001 alone")
                    node.kill()
                    self.world.beside(self._restart, group, node)
                    return {"CacheCluster": self._cluster(group, node, "rebooting cluster nodes", False)}
        raise Refused("CacheClusterNotFound", f"CacheCluster {wanted} not found.", 404)

    def describe_clusters(self, call: Call) -> Any:
        wanted, shown = call.params.get("CacheClusterId"), bool(call.params.get("ShowCacheNodeInfo"))
        found = [
            self._cluster(group, node, "available" if node.process else "rebooting cluster nodes", shown)
            for (region, _), group in self.groups.items()
            for node in group.servers.nodes
            if region == call.region and wanted in (None, node.name)
        ]
        if wanted and not found:
            raise Refused("CacheClusterNotFound", f"CacheCluster {wanted} not found.", 404)
        return {"CacheClusters": found}

    def events(self, call: Call) -> Any:
        kinds = ("cache-cluster", "replication-group")
        return {"Events": self.world.found_events(call.region, call.params, kinds)}

    def delete_subnet_group(self, call: Call) -> Any:
        name = call.params["CacheSubnetGroupName"]
        if any(region == call.region and group.subnet_group == name for (region, _), group in self.groups.items()):
            raise Refused("CacheSubnetGroupInUse", f"{name} is in use")
        backend = elasticache_backends[ACCOUNT][call.region]
        if backend.cache_subnet_groups.pop(name, None) is None:
            raise Refused("CacheSubnetGroupNotFoundFault", f"no cache subnet group {name!r}", 404)
        return {}

    def fail(self, group: Group, shard: int) -> None:
        """Let the primary of a shard die: a replica takes over, and the dead node comes back as a replica."""
        servers = group.servers
        dead, heir = servers.primary(shard), servers.replicas(shard)[0]
        group.describe("modifying")
        dead.kill()
        group.lead()
        begun = time.monotonic()
        self.world.last("test_failover_s", begun, 0.5)
        servers.promote(heir)
        group.lead()
        words = f"Failover from primary node {dead.name} to replica node {heir.name} completed"
        self._tell(group, words, dead)
        self._tell(group, words)
        self._tell(group, f"Recovering cache nodes {dead.name}", dead)
        servers.begin(dead)
        servers.await_ready(dead, heir)
        self.world.last("test_failover_s", begun)
        self._tell(group, f"Finished recovery for cache nodes {dead.name}", dead)
        if not group.gone:
            group.describe("available")

    def notice(self, region: str) -> None:
        """The service sees primaries that are cut off, and promotes a replica after a while."""
        if not self.world.settings.detect_s:
            return
        for (where, _), group in self.groups.items():
            if where != region or group.model.automatic_failover != "enabled":
                continue
            for node in group.servers.nodes:
                if node.primary and node.place.notice():
                    self.world.beside(self._promote_if_still_cut, group, node, node.place.cut_at)

    # What happens beside ----------------------------------------------------------------------------------------

    def _bring_up(self, group: Group) -> None:
        begun = time.monotonic()
        for node in sorted(group.servers.nodes, key=lambda node: not node.primary):
            group.servers.begin(node)
        group.servers.await_ready()
        self.world.last("creating_s", begun)
        if not group.gone:
            group.lead()
            group.describe("available")

    def _promote_if_still_cut(self, group: Group, node: Node, cut_at: float) -> None:
        self.world.last("detect_s", cut_at)
        heirs = [heir for heir in group.servers.replicas(node.shard) if not heir.place.proxy.is_cut]
        if node.primary and node.place.cut_at == cut_at and heirs and not group.gone:
            group.servers.promote(heirs[0])
            group.lead()
            group.describe("available")
            self._tell(group, f"Failover from primary node {node.name} to replica node {heirs[0].name} completed")

    def _move_primary(self, group: Group, node: Node) -> None:
        group.servers.promote(node)
        group.lead()
        self.world.last("modifying_s")
        group.describe("available")

    def _modify(self, group: Group) -> None:
        self.world.last("modifying_s")
        if not group.gone:
            group.describe("available")

    def _restart(self, group: Group, node: Node) -> None:
        group.lead()
        self.world.last("rebooting_s")
        group.servers.begin(node)
        group.servers.await_ready(node)
        group.lead()
        self._tell(group, f"Cache node {node.name} restarted", node)

    def _remove(self, group: Group, region: str, name: str) -> None:
        self.world.last("deleting_s")
        self._end(group)
        self.groups.pop((region, name), None)
        elasticache_backends[ACCOUNT][region].replication_groups.pop(name, None)

    def _end(self, group: Group) -> None:
        group.gone = True
        group.servers.end()
        group.front.end()
        for node in group.servers.nodes:
            if node.place in self.world.other_places:
                self.world.other_places.remove(node.place)

    def _reset(self) -> None:
        for group in self.groups.values():
            self._end(group)
        self.groups.clear()
        self._tested.clear()

    def _tell(self, group: Group, message: str, node: Node | None = None) -> None:
        kind, name = ("cache-cluster", node.name) if node else ("replication-group", group.model.replication_group_id)
        self.world.event(group.model.arn.split(":")[3], kind, name, group.model.arn, message)

    def _need(self, call: Call) -> Group:
        group = self.groups.get((call.region, call.params["ReplicationGroupId"]))
        if group is None:
            raise Refused("ReplicationGroupNotFoundFault", "no such replication group", 404)
        return group

    def _cluster(self, group: Group, node: Node, status: str, shown: bool) -> dict[str, Any]:
        described: dict[str, Any] = {
            "CacheClusterId": node.name,
            "CacheClusterStatus": status,
            "CacheNodeType": group.model.cache_node_type,
            "Engine": "redis",
            "EngineVersion": "7.0.7",
            "NumCacheNodes": 1,
            "PreferredAvailabilityZone": node.place.zone,
            "CacheSubnetGroupName": group.subnet_group,
            "ReplicationGroupId": group.model.replication_group_id,
            "ARN": f"{group.model.arn.rsplit(':', 2)[0]}:cluster:{node.name}",
        }
        if shown:
            described["CacheNodes"] = [
                {
                    "CacheNodeId": "0001",
                    "CacheNodeStatus": status,
                    "Endpoint": _endpoint(node.place.proxy),
                    "CustomerAvailabilityZone": node.place.zone,
                }
            ]
        return described


def _laid_out(params: dict[str, Any], zones: list[str], clustered: bool) -> list[tuple[str, int, str, bool]]:
    """Name, shard, zone, and whether it is the primary, of each node of a group."""
    found = []
    given = params.get("NodeGroupConfiguration", [])
    count = int(params.get("NumNodeGroups", len(given) or 1))
    replicas = int(params.get("ReplicasPerNodeGroup", max(0, int(params.get("NumCacheClusters", 1)) - 1)))
    for index in range(count):
        wish = given[index] if index < len(given) else {}
        chosen = [wish.get("PrimaryAvailabilityZone"), *wish.get("ReplicaAvailabilityZones", [])]
        if not any(chosen):
            chosen = list(params.get("PreferredCacheClusterAZs", []))
        for number in range(int(wish.get("ReplicaCount", replicas)) + 1):
            zone = chosen[number] if number < len(chosen) and chosen[number] else zones[(index + number) % len(zones)]
            middle = f"{index + 1:04}-" if clustered else ""
            found.append((f"{params['ReplicationGroupId']}-{middle}{number + 1:03}", index + 1, zone, number == 0))
    return found


def _endpoint(proxy: Proxy) -> dict[str, Any]:
    return {"Address": "127.0.0.1", "Port": proxy.port}
