"""How everything in a lab stands that a fault may change, flat and in words, to be compared before and after.

Databases are asked through their sockets and Redis from inside its place, so that a cut network hides nothing.
"""

from __future__ import annotations

import re
import time
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

from pymysql.err import MySQLError

from ftchaos.errors import Inconclusive
from ftchaos.mysql import session as sessions
from ftchaos.mysql.flavour import ReplicaStatus
from ftchaos.mysql.server import Server
from ftchaos.platforms.lab import balancer, database, redis, serving, settling, volume
from ftchaos.platforms.lab.decisions import Folder
from ftchaos.platforms.lab.lab import Lab
from ftchaos.platforms.lab.layout import QUEUE_REDIS_PORT, SENTINEL_PORT, ZONES, Layout
from ftchaos.units import human_duration

ANSWER_S = 0.4
LOOKS = 3
"""Whoever does not answer is asked so often: a busy machine makes one answer late, not all."""
# Reading two clocks one after the other takes time as well, on a busy machine most.
CLOCK_TOLERANCE_S = 1.0
_SETTINGS = ("sync_binlog", "innodb_flush_log_at_trx_commit")
_WAITS = ("rpl_semi_sync_master_enabled", "rpl_semi_sync_source_enabled")


def state(lab: Lab) -> dict[str, str]:
    """How the lab stands at this moment."""
    status = lab.status()
    services = status["services"]
    found = {name: _place(one) for name, one in status["places"].items()}
    found |= {name: _service(one) for name, one in services.items()}
    found["network"] = f"without {', '.join(status['blocked'])}" if status.get("blocked") else "nothing is blocked"
    if "mysql" not in status:  # nothing but places
        return found
    servers = database.servers(status)
    names = {server.address: name for name, server in servers.items()}
    # Only what runs is asked: that a server is dead is said already.
    silent = {name for name, said in found.items() if name in services and not said.startswith("runs")}
    with ThreadPoolExecutor(3 + len(servers)) as pool:
        parts = [pool.submit(_redis, lab, silent), pool.submit(_balancer, lab), pool.submit(_manager, lab)]
        parts += [pool.submit(_mysql, server, names) for name, server in servers.items() if name not in silent]
        parts += [pool.submit(_volume, server, services[name]) for name, server in servers.items()]
        for part in parts:
            found |= {name: said for name, said in part.result().items() if name not in silent}
    return found


def _place(place: Mapping[str, Any]) -> str:
    alive = "alive" if place["alive"] else "dead"
    slow = f", slowed by {human_duration(place['slowed_s'])}" if place.get("slowed_s") else ""
    return f"{alive}{', cut off' if place['cut'] else ''}{slow}"


def _service(service: Mapping[str, Any]) -> str:
    if not service["alive"]:
        return "does not run"
    process = Path("/proc") / str(service["pid"])
    try:
        halted = (process / "stat").read_text().rpartition(")")[2].split()[0] in "Tt"
        limit = re.search(r"^Max address space\s+(\d+)", (process / "limits").read_text(), re.MULTILINE)
    except OSError:
        return "does not run"  # it died meanwhile
    memory = ", and gets no more memory" if limit else ""
    return f"{'is stopped' if halted else 'runs'}{memory}"


def _mysql(server: Server, names: Mapping[str, str]) -> dict[str, str]:
    said: dict[str, str] = {}
    for _ in range(LOOKS):
        try:
            return _answers(server, names)
        except (Inconclusive, MySQLError, OSError) as error:
            said = {server.name: f"runs, and gives no connection: {getattr(error, 'fact', error)}"}
    return said


def _answers(server: Server, names: Mapping[str, str]) -> dict[str, str]:
    name, flavour = server.name, server.flavour
    with closing(sessions.connect(server.datadir, timeout_s=ANSWER_S, answer_timeout_s=ANSWER_S)) as session:
        asked_at = time.time()
        clock = float(sessions.value(session, "SELECT UNIX_TIMESTAMP(NOW(6))"))
        ahead_s = clock - (asked_at + time.time()) / 2
        settings = {one["Variable_name"]: one["Value"] for one in sessions.rows(session, "SHOW GLOBAL VARIABLES")}
        status = flavour.replica_status(session)
    return {
        name: _role(status, settings["read_only"] == "ON", names),
        f"durability of {name}": ", ".join(f"{key} {settings[key]}" for key in _SETTINGS),
        f"commits of {name}": _waiting(settings),
        f"clock of {name}": _clock(ahead_s),
    }


def _volume(server: Server, service: Mapping[str, Any]) -> dict[str, str]:
    name = f"binary log of {server.name}"
    try:
        return {name: volume.describe(service["pid"], server.datadir)} if service["alive"] else {}
    except OSError:
        return {}  # it died meanwhile


def _role(status: ReplicaStatus | None, read_only: bool, names: Mapping[str, str]) -> str:
    if status is None:
        return "follows nobody, read-only" if read_only else "primary"
    source = names.get(status.source, status.source)
    lacks = [] if status.receiving else ["does not receive"]
    lacks += [] if status.applying else ["does not apply"]
    lacks += [] if read_only else ["takes writes"]
    return ", ".join([f"replica of {source}", *lacks])


def _waiting(settings: Mapping[str, str]) -> str:
    waits = any(settings.get(name) == "ON" for name in _WAITS)
    return "wait for a replica" if waits else "wait for nobody"


def _clock(ahead_s: float) -> str:
    if abs(ahead_s) < CLOCK_TOLERANCE_S:
        return "right"
    return f"{human_duration(round(abs(ahead_s)))} {'ahead' if ahead_s > 0 else 'behind'}"


def _redis(lab: Lab, silent: Collection[str]) -> dict[str, str]:
    layout = lab.layout
    nodes = {node.name: (node.place, node.port, "ROLE") for node in redis.cluster_nodes(layout)}
    nodes |= {f"redis-queue-{zone[-1]}": (zone, QUEUE_REDIS_PORT, "ROLE") for zone in ZONES}
    named = f"SENTINEL GET-MASTER-ADDR-BY-NAME {redis.QUEUE_MASTER}"
    sentinels = {f"sentinel-{zone[-1]}": (zone, SENTINEL_PORT, named) for zone in ZONES}
    questions = nodes | sentinels
    said = dict.fromkeys(questions, "")
    for _ in range(LOOKS):
        asked = [name for name, reply in said.items() if not reply and name not in silent]
        replies = lab.call("ask", questions=[questions[name] for name in asked]) if asked else []
        said |= dict(zip(asked, replies, strict=True))
    by_port = {(layout.address(place), port): name for name, (place, port, _) in nodes.items()}
    return {name: _redis_role(said[name], by_port) for name in nodes} | {
        name: _redis_master(said[name], layout) for name in sentinels
    }


def _redis_role(reply: str, names: Mapping[tuple[str, int], str]) -> str:
    role = settling.role_in(reply)
    if role is None:
        return "runs, and does not answer"
    if role.follows is None:
        return "master"
    master = names.get(role.follows, f"{role.follows[0]}:{role.follows[1]}")
    return f"replica of {master}{'' if role.linked else ', without a link to it'}"


def _redis_master(reply: str, layout: Layout) -> str:
    by_address = {layout.address(zone): f"redis-queue-{zone[-1]}" for zone in ZONES}
    words = reply.split("\r\n")
    return f"names {by_address.get(words[2], words[2])}" if len(words) > 2 else "runs, and does not answer"


def _balancer(lab: Lab) -> dict[str, str]:
    try:
        backends = {"way to": serving.targets(lab, "api"), "reading from": serving.targets(lab, "mysql_reader")}
        address, port = balancer.current_writer(lab.folder)
    except Inconclusive as error:
        return {"haproxy": f"runs, and does not answer: {error.fact}"}
    ways = {f"{what} {name}": "open" if up else "closed" for what, ups in backends.items() for name, up in ups.items()}
    return ways | {"writers": f"led to {address}:{port}"}


def _manager(lab: Lab) -> dict[str, str]:
    folder = Folder.of(lab.folder)
    decided = folder.primary()
    found = {
        "failover": "runs, and decides nothing" if folder.paused() else "runs",
        "a new primary": "waits for nobody" if folder.asynchronous() else "waits for a replica",
    }
    return found | ({"leader": decided["primary"]} if decided else {})
