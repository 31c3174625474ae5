"""The heals of AWS by name, each from its undo record alone and harmless when repeated.

Where the record names its run, the calls of the heal are recorded in that run's evidence, whatever process makes them.
"""

from __future__ import annotations

from ftchaos.errors import HealFailed
from ftchaos.platforms import login
from ftchaos.platforms.aws import faults
from ftchaos.platforms.aws.access import Access, Place
from ftchaos.platforms.aws.copies import removal
from ftchaos.platforms.recorder import RUN, Recorder
from ftchaos.undo import Record

FAULT = "fault:"


def heal(record: Record) -> str:
    """Heal one record, in the account and region that it names.

    Raises:
        HealFailed: the harm remains, or nobody knows this heal.
        Refused: the credentials are of another account.
    """
    if record.heal == login.HEAL:
        return login.forget(record.arguments)
    if record.heal.startswith(FAULT) and (fault := faults.FAULTS.get(record.heal.removeprefix(FAULT))):
        access = Access(Place.from_json(dict(record.arguments["place"])), Recorder.of(record.arguments.get(RUN, "")))
        access.ensure_right_place()
        return fault.heal(access, record.arguments)
    if record.heal.startswith(removal.HEAL) and (kind := record.heal.removeprefix(removal.HEAL)) in removal.KINDS:
        if kind == "password":
            return removal.forget_password(record.arguments)
        access = Access(Place.from_json(dict(record.arguments["place"])), Recorder.of(record.arguments.get(RUN, "")))
        access.ensure_right_place()
        return removal.heal(access, kind, record.arguments, record.recorded_at)
    raise HealFailed(f"AWS knows no heal '{record.heal}'", "a newer ftchaos may have written this undo log")
