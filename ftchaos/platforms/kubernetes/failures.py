"""What the API server may answer instead of an answer, as errors of ours; nothing here knows its client.

StepFailed      3   ── ApiFailed      the server said no, with a status and a reason
Refused         5   ── Denied         the permission for it is missing
Inconclusive    3   ── Unanswered     nothing came back in time: whether it took effect is not known
"""

from __future__ import annotations

from ftchaos.errors import FtchaosError, Inconclusive, Invalid, Refused, StepFailed

FORBIDDEN, ABSENT, CONFLICT, BUSY = 403, 404, 409, 429
UNCOUNTED = "status unknown for quota"
NO_PERMISSION = ("being terminated", UNCOUNTED, "exceeded quota")
"""What is forbidden for another reason than that a permission is missing, by what the server says."""
PASSING = {429, 500, 502, 503, 504}
LONGEST = 400


class ApiFailed(StepFailed):
    """The API server refused a call.

    Attributes:
        call: as a role writes it, for example ``create pods/eviction``.
        status: of HTTP.
        reason: the server's word for it, for example ``AlreadyExists``.
        message: what it said.
        retry_after_s: when it wants to be asked again, in seconds; 0 where it did not say.
    """

    def __init__(self, call: str, status: int, reason: str, message: str, retry_after_s: float = 0.0) -> None:
        super().__init__(f"{call} failed: {reason or status}: {_short(message)}")
        self.call, self.status, self.reason, self.message = call, status, reason, _short(message)
        self.retry_after_s = retry_after_s

    @property
    def is_absent(self) -> bool:
        """Whether what was asked for does not exist."""
        return self.status == ABSENT

    @property
    def is_conflict(self) -> bool:
        """Whether it exists already, is another than was meant, or has changed since it was read."""
        return self.status == CONFLICT

    @property
    def of_quota(self) -> bool:
        """Whether a quota forbids it for the moment: it is not counted yet.

        Source: Kubernetes, admission plugin ResourceQuota.
        """
        return self.status == FORBIDDEN and UNCOUNTED in self.message

    @property
    def is_passing(self) -> bool:
        """Whether the same question may be answered later."""
        return self.status in PASSING


class Denied(Refused):
    """The permission for a call is missing.

    Attributes:
        action: as a role writes it, with its namespace.
    """

    def __init__(self, action: str, message: str = "") -> None:
        said = f"; the server said: {_short(message)}" if message else ""
        super().__init__(
            f"{action} is not allowed to these credentials",
            f"allow it: `ftchaos policy kubernetes` prints what is needed{said}",
        )
        self.action = action


class Unanswered(Inconclusive):
    """A call got no answer in time."""

    def __init__(self, call: str, why: str, writes: bool) -> None:
        doubt = "; whether it took effect is not known, and it was not tried again" if writes else ""
        known = "CERTIFICATE_VERIFY_FAILED" not in why
        hint = "check the network to the API server" if known else "check the certificate authority of the context"
        super().__init__(f"{call} got no answer: {_short(' '.join(why.split()))}{doubt}", hint)
        self.call = call


def of_answer(call: str, status: int, reason: str, message: str, retry_after_s: float = 0.0) -> FtchaosError:
    """The error that an answer other than success is."""
    if status == 401:
        return Invalid(f"the cluster does not know these credentials ({call})", "sign in again, or check the context")
    if status == FORBIDDEN and not any(one in message for one in NO_PERMISSION):
        return Denied(call, message)
    return ApiFailed(call, status, reason, message, retry_after_s)


def _short(message: str) -> str:
    return (message.strip().splitlines() or [""])[0][:LONGEST].rstrip(". ")
