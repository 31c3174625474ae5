"""AWS FIS, whose experiments in moto do nothing: here they do it to what carries the tag, and take it back."""

from __future__ import annotations

import copy
import dataclasses
import re
import threading
import time
import uuid
from collections.abc import Callable
from typing import Any

from standin.call import Call, Refused
from standin.interruption import Effect, Interruption
from standin.targets import Targets
from standin.world import ACCOUNT, World, now

_NEVER = 12 * 3600.0
_MINUTES = re.compile(r"PT(?:(\d+)H)?(?:(\d+)M)?")
_ENDED = ("completed", "stopped", "failed")


@dataclasses.dataclass
class Experiment:
    """One experiment, as ``GetExperiment`` says it, and its stop."""

    said: dict[str, Any]
    resolved: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    stop: threading.Event = dataclasses.field(default_factory=threading.Event)

    def become(self, status: str, reason: str, actions: str = "") -> None:
        """Change its state, and that of its actions that were not passed over."""
        self.said["state"] = {"status": status, "reason": reason}
        if status in _ENDED:
            self.said["endTime"] = now()
        for action in self.said["actions"].values():
            if actions and action["state"]["status"] != "skipped":
                action["state"] = {"status": actions, "reason": reason}


class Fis:
    """The handlers of experiments and their templates."""

    def __init__(self, world: World, targets: Targets, interruption: Interruption) -> None:
        self.world = world
        self._targets = targets
        self._interruption = interruption
        self._templates: dict[str, dict[str, Any]] = {}
        self._experiments: dict[str, Experiment] = {}
        self._tokens: dict[str, str] = {}
        world.resets.append(self._reset)
        self.handlers: dict[tuple[str, str], Any] = {
            ("fis", "CreateExperimentTemplate"): self.create,
            ("fis", "GetExperimentTemplate"): lambda call: {"experimentTemplate": self._template(call.params["id"])},
            ("fis", "StartExperiment"): self.begin,
            ("fis", "GetExperiment"): lambda call: {"experiment": self._need(call.params["id"]).said},
            ("fis", "ListExperiments"): self.list_experiments,
            ("fis", "ListExperimentResolvedTargets"): self.resolved,
            ("fis", "StopExperiment"): self.stop,
        }

    def create(self, call: Call) -> Any:
        if any(one.get("startAfter") for one in call.params["actions"].values()):
            raise Refused("ValidationException", "the stand-in begins all actions at once")
        name = f"EXT{uuid.uuid4().hex[:17]}"
        kept = {key: value for key, value in call.params.items() if key != "clientToken"}
        self._templates[name] = {
            **kept, "id": name, "arn": f"arn:aws:fis:{call.region}:{ACCOUNT}:experiment-template/{name}",
            "creationTime": now(), "lastUpdateTime": now(),
        }  # fmt: skip
        return {"experimentTemplate": self._templates[name]}

    def begin(self, call: Call) -> Any:
        token = call.params["clientToken"]
        if token in self._tokens:
            return {"experiment": self._experiments[self._tokens[token]].said}
        template = copy.deepcopy(self._template(call.params["experimentTemplateId"]))
        name = f"EXP{uuid.uuid4().hex[:17]}"
        said = {
            "id": name, "arn": f"arn:aws:fis:{call.region}:{ACCOUNT}:experiment/{name}",
            "experimentTemplateId": template["id"], "roleArn": template["roleArn"],
            "state": {"status": "pending", "reason": "Experiment is pending"},
            "targets": template.get("targets", {}),
            "actions": {key: {**one, "state": {"status": "pending", "reason": ""}}
                        for key, one in template["actions"].items()},
            "stopConditions": template["stopConditions"], "creationTime": now(), "startTime": now(),
            "tags": call.params.get("tags", {}),
            "experimentOptions": {
                "accountTargeting": "single-account", "emptyTargetResolutionMode": "fail", "actionsMode": "run-all",
                **template.get("experimentOptions", {}),
            },
        }  # fmt: skip
        self._experiments[name] = Experiment(said)
        self._tokens[token] = name
        self.world.beside(self._run, self._experiments[name], call)
        return {"experiment": said}

    def stop(self, call: Call) -> Any:
        one = self._need(call.params["id"])
        if one.said["state"]["status"] not in _ENDED:
            one.said["state"] = {"status": "stopping", "reason": "Experiment is stopping"}
            one.stop.set()
        return {"experiment": one.said}

    def list_experiments(self, call: Call) -> Any:
        wanted = call.params.get("experimentTemplateId")
        return {
            "experiments": [
                one.said for one in self._experiments.values() if wanted in (None, one.said["experimentTemplateId"])
            ]
        }

    def resolved(self, call: Call) -> Any:
        return {"resolvedTargets": self._need(call.params["experimentId"]).resolved}

    # What happens beside ----------------------------------------------------------------------------------------

    def _run(self, one: Experiment, call: Call) -> None:
        self.world.last("initiating_s")
        said, undo = one.said, list[Callable[[], None]]()
        if one.stop.is_set():
            one.become("stopped", "Experiment stopped", "cancelled")
            return
        found = {name: self._targets.find(call.region, target) for name, target in said["targets"].items()}
        one.resolved = [
            {"resourceType": said["targets"][name]["resourceType"], "targetName": name,
             "targetInformation": {"arn": arn}}
            for name, arns in found.items() for arn in arns
        ]  # fmt: skip
        if empty := [name for name, arns in found.items() if not arns]:
            if said["experimentOptions"]["emptyTargetResolutionMode"] == "fail":
                one.become("failed", f"Target resolution returned empty set: {', '.join(empty)}", "cancelled")
                return
            for action in said["actions"].values():
                if set(action.get("targets", {}).values()) & set(empty):
                    action["state"] = {"status": "skipped", "reason": "Target resolution returned empty set"}
        try:
            for action in said["actions"].values():
                if action["state"]["status"] != "skipped":
                    arns = [arn for name in action.get("targets", {}).values() for arn in found[name]]
                    undo.append(self._interruption.begin(Effect(action["actionId"], arns, _zone(said, action)), call))
        except Refused as refusal:
            one.become("failed", str(refusal), "failed")
        else:
            if not one.stop.is_set():
                one.become("running", "Experiment is running", "running")
            begun = time.monotonic()
            while time.monotonic() < begun + max(self._length_s(action) for action in said["actions"].values()):
                if one.stop.wait(0.02):
                    break
        for back in reversed(undo):
            back()
        if said["state"]["status"] != "failed":
            stopped = one.stop.is_set()
            one.become("stopped" if stopped else "completed", f"Experiment {'stopped' if stopped else 'completed'}",
                       "stopped" if stopped else "completed")  # fmt: skip

    def _length_s(self, action: dict[str, Any]) -> float:
        given = action.get("parameters", {})
        length = given.get("duration") or given.get("startInstancesAfterDuration")
        matched = _MINUTES.fullmatch(length) if length else None
        if not matched:
            return 0.0 if length is None else _NEVER
        hours, minutes = (int(number or 0) for number in matched.groups())
        return (hours * 60 + minutes) * self.world.settings.minute_s

    def _template(self, name: str) -> dict[str, Any]:
        if name not in self._templates:
            raise Refused("ResourceNotFoundException", f"Experiment template {name} does not exist", 404)
        return self._templates[name]

    def _need(self, name: str) -> Experiment:
        if name not in self._experiments:
            raise Refused("ResourceNotFoundException", f"Experiment {name} does not exist", 404)
        return self._experiments[name]

    def _reset(self) -> None:
        for one in self._experiments.values():
            one.stop.set()
        self._experiments.clear()
        self._templates.clear()
        self._tokens.clear()


def _zone(experiment: dict[str, Any], action: dict[str, Any]) -> str:
    """The zone that an action is told by its targets."""
    for name in action.get("targets", {}).values():
        given = experiment["targets"][name].get("parameters", {})
        if "availabilityZoneIdentifier" in given:
            return str(given["availabilityZoneIdentifier"])
    return ""
