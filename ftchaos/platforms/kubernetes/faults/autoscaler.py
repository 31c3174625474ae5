"""Requests beyond the usual, until the metric of an autoscaler is above its target: does it scale, how soon, how far?

Nothing in the cluster is changed by us, and only GET requests are sent, so that nothing is written. The load is a
process of ours, :mod:`ftchaos.platforms.kubernetes.load`, with a top rate and a time limit. The replicas that an
autoscaler added go by themselves; nobody waits for that.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from ftchaos import scaling, state
from ftchaos.clock import now
from ftchaos.errors import FtchaosError, Inconclusive, Invalid, Refused, StepFailed
from ftchaos.guard import Target
from ftchaos.platforms.base import Harm, ScalingSeen
from ftchaos.platforms.kubernetes import autoscalers, load, sight, survey
from ftchaos.platforms.kubernetes import inventory as stock
from ftchaos.platforms.kubernetes.autoscalers import Autoscaler
from ftchaos.platforms.kubernetes.calls import LOAD
from ftchaos.platforms.kubernetes.failures import ApiFailed, Unanswered
from ftchaos.platforms.kubernetes.faults import instance, settling
from ftchaos.platforms.kubernetes.inventory import Inventory
from ftchaos.platforms.mending import Mending
from ftchaos.platforms.recorder import RUN
from ftchaos.units import duration_s, human_duration

if TYPE_CHECKING:
    from ftchaos.platforms.kubernetes.access import Access

HITS = ("api", "database", "queue", "websocket")  # as all that is read comes from the database
TIER = "api"
PATH = "/api/users/1/files"
EVERY_S = 1.0
RESOURCE = "horizontalpodautoscalers"
ARRIVAL_S = 10.0
"""Over how much of the newest past it is judged whether the load arrives."""


def plan(
    inventory: Inventory, target: str = "", rate: str = "200", rise: str = "1m", bites_within: str = "3m",
    lasts: str = "14m", under_way: str = "200", path: str = PATH,
) -> Harm:  # fmt: skip
    """Which autoscaler is loaded, and how much.

    Args:
        target: namespace and name of a HorizontalPodAutoscaler; without it that of the tier api.
        rate: requests a second at the most; the guard has a limit of its own.
        rise: how long it takes to get there; it rises no more once the metric is above its target.
        bites_within: how long after that it may take until it is.
        lasts: after which time the load ends by itself, whatever became of ftchaos.
        under_way: how many requests may be under way at once.
        path: what is read, by GET.

    Raises:
        Invalid: nobody says where requests go, there is no such autoscaler, or an argument is none.
        Refused: it could not scale, as it is at its maximum, has no metric, or is above its target already; or
            nothing could be said of its pods.
    """
    if not inventory.api:
        raise Invalid("nobody says where requests go", "say where the application is: api: http://...")
    found = [autoscalers.of(one) for one in inventory.scalers]
    one = _chosen(inventory, found, target)
    _ensure_can_scale(one)
    most, rises_s, wait_s, lasts_s = _number(rate), duration_s(rise), duration_s(bites_within), duration_s(lasts)
    if lasts_s <= rises_s + wait_s:
        raise Invalid(
            f"a load of {human_duration(lasts_s)} would end before it must have bitten",
            "let it last longer, or rise sooner",
        )
    if not path.startswith("/"):
        raise Invalid(f"{path!r} is no path", "let it begin with /")
    pods = [pod for pod in inventory.pods if pod.owner == one.scales]
    if not pods:
        raise Refused(
            f"no pods of {one.scales} are seen, which the autoscaler {one.full_name} scales",
            "choose one that scales a Deployment or a StatefulSet",
        )
    sent = {
        "folder": str(state.root() / "loads" / uuid4().hex), "url": inventory.api.rstrip("/") + path, "rate": most,
        "rise_s": rises_s, "under_way": int(_number(under_way)), "timeout_s": load.TIMEOUT_S, "lasts_s": lasts_s,
    }  # fmt: skip
    return Harm(
        f"{one.scales} got up to {most:g} requests a second more",
        (Target(one.scales, "workload", "", max(1, len(inventory.wanted))),),
        {f"autoscaler {one.full_name}": sight.autoscaler(one)},
        {
            "place": dict(inventory.place), "manner": LOAD, "load": sent, "pods": [], "nodes": [], "spared": {},
            "autoscaler": {"namespace": one.namespace, "name": one.name, "scales": one.scales,
                           "before": one.replicas, "most": one.most, "cooldown_s": one.cooldown_s},
            "ready": settling.plan(inventory, pods),
        },
        HITS,
        proof_s=rises_s + wait_s,
        requests_per_s=most,
    )  # fmt: skip


def _chosen(inventory: Inventory, found: Sequence[Autoscaler], target: str) -> Autoscaler:
    spaces = ", ".join(inventory.namespaces)
    if not found:
        raise Invalid(f"there is no HorizontalPodAutoscaler in {spaces}", "make one, or name its namespace")
    names = ", ".join(one.full_name for one in found)
    if target:
        named = [one for one in found if target in (one.full_name, one.name)]
    else:
        owners = {pod.owner for pod in instance.members(inventory, TIER)}
        named = [one for one in found if one.scales in owners]
    if len(named) != 1:
        what = repr(target) if target else f"the tier {TIER}"
        raise Invalid(f"{len(named) or 'no'} HorizontalPodAutoscalers are those of {what}", f"name one of {names}")
    return named[0]


def _ensure_can_scale(one: Autoscaler) -> None:
    if one.trouble:
        raise Refused(f"the autoscaler {one.full_name} does not scale: {one.trouble}", "is the metrics server there?")
    if one.within is None:
        raise Refused(f"the autoscaler {one.full_name} knows no metric: {one.metric}", "is the metrics server there?")
    if one.replicas >= one.most:
        raise Refused(f"the autoscaler {one.full_name} is at its maximum of {one.most}", "raise maxReplicas")
    if not one.within:
        raise Refused(f"the autoscaler {one.full_name} is above its target before the load: {one.metric}", "wait")
    if one.wanted != one.replicas:
        raise Refused(f"the autoscaler {one.full_name} is scaling just now: {one}", "wait until it has")


def _number(text: str) -> float:
    try:
        number = Decimal(str(text))
    except InvalidOperation:
        number = Decimal(0)
    if not number.is_finite() or number < 1:
        raise Invalid(f"{text!r} is no number of requests", "give a number of at least 1")
    return float(number)


def inject(access: Access, harm: Harm) -> str:
    """Load it until it is above its target, or has decided to scale.

    Raises:
        Inconclusive: it never was: the load does not bite.
        StepFailed: the load ended.
    """
    sent, run_id = harm.undo["load"], harm.undo.get(RUN, "")
    load.begin(sent, run_id)
    last_at, most, worst = now() + harm.proof_s, "no metric", 0.0
    while True:
        load.ensure_alive(sent)
        with suppress(ApiFailed, Unanswered):  # the cluster is silent for a while
            one = _of(access, harm.undo)
            if _bites(one, harm.undo):
                load.hold(sent)
                return f"{harm.clause}: {one}"
            if one.ratio >= worst:
                most, worst = one.metric, one.ratio
        if now() > last_at:
            raise Inconclusive(
                f"the load did not bring the autoscaler above its target: {most} at most, "
                f"with {scaling.load_words(load.read(load.log_of(sent, run_id)))}",
                "send more: rate; or see whether requests reach the pods",
            )
        time.sleep(EVERY_S)


def effect(access: Access, undo: Mapping[str, Any]) -> list[str]:
    """What is not loaded yet."""
    one = _of(access, undo)
    return [] if _bites(one, undo) else [f"{one.full_name}: {one.metric}"]


def look(access: Access, undo: Mapping[str, Any], run_id: str) -> ScalingSeen:
    """How the autoscaler stands under the load.

    Raises:
        StepFailed: the load or the autoscaler is gone, so nothing more can be learnt.
        ApiFailed, Unanswered: the cluster does not say.
    """
    load.ensure_alive(undo["load"])
    one, key = _of(access, undo), undo["autoscaler"]
    pods = survey.pods(access, [key["namespace"]])
    ready = stock.ready_counts(pods, (node.name for node in survey.nodes(access))).get(one.scales, 0)
    at, told = now(), load.read(load.log_of(undo["load"], run_id))
    return ScalingSeen(
        at, one.full_name, key["before"], one.within, one.replicas, one.wanted, ready, one.most, one.metric,
        load.lately(told, at - ARRIVAL_S), scaling.load_words(told),
    )  # fmt: skip


def heal(access: Access, arguments: Mapping[str, Any]) -> str:
    """End the load; the replicas that were added go by themselves."""
    mending = Mending("by hand")
    mending.attempt("the load", lambda: load.end(arguments["load"]))
    settling.wait(access, arguments, mending)
    mending.attempt("the autoscaler", lambda: _left(access, arguments))
    return mending.end("the load had ended")


def _left(access: Access, undo: Mapping[str, Any]) -> str:
    """How many replicas there still are; a word to people, so whatever keeps it from being known harms nothing."""
    key = undo["autoscaler"]
    try:
        one = _of(access, undo)
    except FtchaosError as error:
        return f"how many replicas {key['scales']} has is not known: {error.fact}"
    if one.replicas <= key["before"]:
        return f"{key['scales']} has {one.replicas} replicas, {key['before']} before"
    takes = human_duration(one.cooldown_s)
    return f"{key['scales']} still has {one.replicas} replicas, {key['before']} before: going down takes it {takes}"


def _of(access: Access, undo: Mapping[str, Any]) -> Autoscaler:
    key = undo["autoscaler"]
    for obj in access.pages(RESOURCE, key["namespace"]):
        if obj["metadata"]["name"] == key["name"]:
            return autoscalers.of(obj)
    raise StepFailed(f"the autoscaler {key['namespace']}/{key['name']} is gone", "somebody deleted it meanwhile")


def _bites(one: Autoscaler, undo: Mapping[str, Any]) -> bool:
    return one.within is False or one.wanted > undo["autoscaler"]["before"]
