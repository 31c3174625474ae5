"""Everything that ftchaos raises on purpose, as one tree; nothing here does I/O.

    FtchaosError                exit code 70 unless a branch says otherwise
    ├── Invalid                 2   a definition, option or file that cannot be used
    ├── MissingProgram          2   a server or tool that this machine lacks
    ├── Refused                 5   the guard said no; nothing was touched
    │   └── Locked              5   another run holds the environment
    ├── Inconclusive            3   a measurement did not complete, so nothing is proven
    │   ├── StepFailed          3   a step of the method could not do its work
    │   └── Unusable            3   a backup or an archive that cannot be restored from
    ├── HealFailed              4   the system is left harmed
    └── Interrupted             130 a person or the machine asked us to stop

An error is a lowercase fact, then ``HINT:`` and what to do, after pgBackRest.
"""

from __future__ import annotations


class FtchaosError(Exception):
    """A failure that we can name, with what to do about it.

    Args:
        fact: what happened, lowercase, without a full stop.
        hint: what the reader should do next, or an empty string.
    """

    exit_code = 70

    def __init__(self, fact: str, hint: str = "") -> None:
        super().__init__(fact, hint)
        self.fact = fact
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.fact}\nHINT: {self.hint}" if self.hint else self.fact


class Invalid(FtchaosError):
    exit_code = 2


class MissingProgram(FtchaosError):
    exit_code = 2


class Refused(FtchaosError):
    exit_code = 5


class Locked(Refused):
    pass


class Inconclusive(FtchaosError):
    exit_code = 3


class Away(Inconclusive):
    """A store does not answer; it may do so later."""


class StepFailed(Inconclusive):
    pass


class Unusable(Inconclusive):
    pass


class HealFailed(FtchaosError):
    exit_code = 4


class Interrupted(FtchaosError):
    exit_code = 130
