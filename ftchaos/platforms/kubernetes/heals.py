"""The heals of Kubernetes by name, each from its undo record alone and harmless when repeated.

Where the record names its run, the calls of the heal are recorded in that run's evidence, whatever process makes them.
"""

from __future__ import annotations

from ftchaos.errors import FtchaosError, HealFailed
from ftchaos.platforms import login
from ftchaos.platforms.kubernetes import faults, lease, load
from ftchaos.platforms.kubernetes.access import Access, Place
from ftchaos.platforms.kubernetes.configuration import heal as configuration
from ftchaos.platforms.kubernetes.configuration import keep
from ftchaos.platforms.recorder import RUN, Recorder
from ftchaos.undo import Record

FAULT = "fault:"


def heal(record: Record) -> str:
    """Heal one record, in the cluster that it names.

    Raises:
        HealFailed: the harm remains, or nobody knows this heal.
        Refused: the context leads to another cluster by now.
    """
    recorder = Recorder.of(record.arguments.get(RUN, ""))
    if record.heal == lease.HEAL:
        return lease.release(record.arguments, recorder)
    if record.heal == login.HEAL:
        return login.forget(record.arguments)
    if record.heal == keep.BEGIN:
        return keep.forget(record.arguments)
    if record.heal == keep.LOST:
        access = Access(Place.from_json(dict(record.arguments["place"])), recorder)
        access.ensure_right_place()
        return configuration.heal(access, record.arguments)
    fault = faults.FAULTS.get(record.heal.removeprefix(FAULT)) if record.heal.startswith(FAULT) else None
    if fault is None:
        raise HealFailed(f"Kubernetes knows no heal '{record.heal}'", "a newer ftchaos may have written this undo log")
    try:
        access = Access(Place.from_json(dict(record.arguments["place"])), recorder)
        access.ensure_right_place()
    except FtchaosError:
        if "load" in record.arguments:  # a process of ours, which ends whatever the cluster says
            load.end(record.arguments["load"])
        raise
    return fault.heal(access, record.arguments)
