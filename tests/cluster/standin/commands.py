"""What a test can command."""

from __future__ import annotations

from typing import Any

from cluster.standin.front import Commands
from cluster.standin.world import World


def commands(world: World) -> Commands:
    """The commands of a world by name."""
    gate = world.gate

    def state() -> list[Any]:
        return [record.obj for table in sorted(world.store.tables) for record in world.store.records(table)]

    def there(path: str) -> bool:
        *_, namespace, plural, name = path.split("/")
        return world.registry.get(plural, namespace, name) is not None

    def process(namespace: str, name: str) -> int:
        run = world.processes.runs.get((namespace, name))
        return run.process.pid if run and run.process and run.process.poll() is None else 0

    def changes(table: str, since_at: float = 0.0) -> list[Any]:
        log = [one for one in world.store.log if one.table == table and one.at >= since_at]
        return [{"at": one.at, "sort": one.sort, "object": one.record.obj} for one in log]

    return {
        "there": there,
        "changes": changes,
        "process": process,
        "settings": lambda **values: world.settings.change(values),
        "reset": world.reset,
        "clear": gate.clear,
        "requests": lambda: gate.record,
        "mishap": world.mishap,
        "stop_at": gate.stop_at,
        "stopped": lambda: gate.stopped,
        "resume": gate.resume,
        "compact": world.store.compact,
        "token": world.token,
        "kill": world.nodes.kill,
        "revive": world.nodes.revive,
        "load": world.autoscalers.load,
        "run_cronjob": world.cronjobs.run,
        "sicken": world.kubelets.sicken,
        "state": state,
    }
