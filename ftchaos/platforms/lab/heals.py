"""The lab's heals by name, each from its undo record alone and harmless when repeated."""

from __future__ import annotations

from ftchaos.errors import HealFailed, Invalid
from ftchaos.platforms.lab import faults, tier
from ftchaos.platforms.lab import lab as labs
from ftchaos.platforms.lab.lab import Lab
from ftchaos.undo import Record

LAB = "lab.begin"
TIER = "mysql.tier"
FAULT = "fault."


def heal(record: Record) -> str:
    """Heal one record.

    Raises:
        HealFailed: the harm remains, or nobody knows this heal.
    """
    arguments = record.arguments
    if record.heal == LAB:
        return f"the lab '{arguments['lab']}' is down" if labs.down(arguments["lab"]) else "there was no lab left"
    if record.heal == TIER:
        if arguments["ephemeral"]:
            return "it goes with its lab"
        try:
            lab = Lab.attach(arguments["lab"])
        except Invalid:
            return "its lab is gone"
        return tier.heal(lab, arguments["run_id"], arguments["servers"])
    if record.heal.startswith(FAULT) and (fault := faults.FAULTS.get(record.heal.removeprefix(FAULT))):
        try:
            lab = Lab.attach(arguments["lab"])
        except Invalid:
            return "its lab is gone"
        return fault.heal(lab, arguments)
    raise HealFailed(f"the lab knows no heal '{record.heal}'", "a newer ftchaos may have written this undo log")
