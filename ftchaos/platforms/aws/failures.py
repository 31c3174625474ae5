"""What an API call may answer instead of an answer, as errors of ours; nothing here knows boto3.

StepFailed      3   ── ApiFailed      the service said no, with a code
                        └── NotOffered  an endpoint that stands for AWS has no such call
Refused         5   ── Denied         the permission for it is missing
Inconclusive    3   ── Unanswered     nothing came back in time: whether it took effect is not known
"""

from __future__ import annotations

from ftchaos.errors import FtchaosError, Inconclusive, Invalid, Refused, StepFailed

# Each service has its own word for it.
DENIED = {
    "403", "AccessDenied", "AccessDeniedException", "AuthorizationError", "AuthorizationErrorException", "Forbidden",
    "NotAuthorized", "UnauthorizedOperation",
}  # fmt: skip
STRANGERS = {
    "AuthFailure", "IncompleteSignature", "InvalidAccessKeyId", "InvalidClientTokenId", "MissingAuthenticationToken",
    "OptInRequired", "SignatureDoesNotMatch", "UnrecognizedClientException",
}  # fmt: skip
# The list of botocore's own retries: botocore.retries.standard.ThrottledRetryableChecker.
THROTTLED = {
    "BandwidthLimitExceeded", "EC2ThrottledException", "LimitExceededException", "PriorRequestNotComplete",
    "ProvisionedThroughputExceededException", "RequestLimitExceeded", "RequestThrottled", "RequestThrottledException",
    "SlowDown", "Throttling", "ThrottledException", "ThrottlingException", "TooManyRequestsException",
    "TransactionInProgressException",
}  # fmt: skip
PASSING = {"InternalError", "InternalFailure", "InternalServerError", "ServiceUnavailable", "Unavailable", "503"}
ABSENT_ENDINGS = ("NotFound", "NotFoundFault", "NotFoundException", ".NotFound", "NotFoundForReplicationGroup")
ABSENT = {"NoSuchBucket", "NoSuchEntity", "NoSuchKey", "404"}
# The ways in which moto says that it lacks a call; a parser that finds no XML is the third, and has no code.
LACKING = {"404", "500", "501", "NotImplemented", "NotYetImplemented"}
UNREADABLE = "unreadable answer"
# What to do where a code says it. Source: RDS API reference, errors of the restores.
HINTS = {
    "KMSKeyNotAccessibleFault": "let this identity use the key: kms:CreateGrant and kms:DescribeKey, in its policy or a"
    " grant; a key of another account must be shared",
    "InstanceQuotaExceeded": "ask for more in Service Quotas, or delete instances that nobody needs",
    "InsufficientDBInstanceCapacity": "AWS has no such class there at the moment: try later, or another drill.class",
    "StorageQuotaExceeded": "ask for more storage in Service Quotas",
    "SnapshotQuotaExceeded": "ask for more in Service Quotas, or delete snapshots by hand",
}
LONGEST = 400


class ApiFailed(StepFailed):
    """A service refused a call.

    Attributes:
        operation: as IAM writes it, for example ``rds:RebootDBInstance``.
        code: the service's word for the reason.
        request_id: what its support asks for.
    """

    def __init__(self, operation: str, code: str, message: str, request_id: str = "", hint: str = "") -> None:
        request = f" (request {request_id})" if request_id else ""
        super().__init__(f"{operation} failed: {code}: {_short(message)}{request}", hint)
        self.operation, self.code, self.request_id = operation, code, request_id

    @property
    def is_absent(self) -> bool:
        """Whether what was asked for does not exist."""
        return self.code in ABSENT or self.code.endswith(ABSENT_ENDINGS)

    @property
    def is_passing(self) -> bool:
        """Whether the same question may be answered later: throttled, or trouble at the service."""
        return self.code in THROTTLED | PASSING


class NotOffered(ApiFailed):
    pass


class Denied(Refused):
    """The permission for a call is missing."""

    def __init__(self, operation: str, action: str, message: str, request_id: str = "") -> None:
        super().__init__(
            f"{action} is not allowed to this identity ({operation}, request {request_id or 'without an id'})",
            "allow it: `ftchaos policy aws` prints what is needed; the service said: "
            + (_short(message) or "nothing more"),
        )
        self.operation, self.action, self.code, self.request_id = operation, action, "AccessDenied", request_id


class Unanswered(Inconclusive):
    """A call got no answer in time."""

    def __init__(self, operation: str, why: str, once: bool) -> None:
        doubt = "; whether it took effect is not known, and it was not tried again" if once else ""
        super().__init__(f"{operation} got no answer: {why}{doubt}", "check the network to the endpoints of AWS")
        self.operation = operation


def of_answer(operation: str, action: str, code: str, message: str, request_id: str, local: bool) -> FtchaosError:
    """The error that an answer with a code is.

    Args:
        operation: like ``rds:RebootDBInstance``.
        action: the permission that it needs, which may have another name.
        local: the answer is of an endpoint that only stands for AWS, and may lack calls.
    """
    plain = code.removeprefix("Client.")
    if plain in DENIED:
        return Denied(operation, action, message, request_id)
    if plain in STRANGERS:
        return Invalid(
            f"AWS does not know these credentials ({operation}: {plain})",
            "check the profile, the role and the environment variables of the AWS SDK",
        )
    if plain.startswith("ExpiredToken"):
        return ApiFailed(operation, plain, message, request_id, "give a role, which is refreshed, or sign in again")
    lacking = plain in LACKING or plain == UNREADABLE or "NotImplementedError" in message
    if local and lacking and not operation.startswith("s3:"):
        return NotOffered(operation, plain, "the local endpoint does not offer this call", request_id)
    return ApiFailed(operation, plain, message, request_id, HINTS.get(plain, ""))


def _short(message: str) -> str:
    """The first line of what a service said; an endpoint that stands for AWS may send a whole traceback."""
    return (message.strip().splitlines() or [""])[0][:LONGEST].rstrip(". ")
