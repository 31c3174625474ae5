"""The calls that a run made to the API of a cloud, counted; each of them stands in the run's raw data."""

from __future__ import annotations

from ftchaos.evidence.part import Part
from ftchaos.evidence.types import Count, Instant, Text, UpTo200


class Operation(Part):
    """The calls of one operation."""

    name: Text
    """As boto3 names the service and the API the operation: ``rds:DescribeDBInstances``; ``kubernetes:list pods``."""
    calls: Count
    errors: Count = 0
    throttled: Count = 0
    """Those of the errors by which the service said that there were too many."""
    retries: Count = 0
    """How often they were tried again before they were answered."""


class Calls(Part):
    """All calls of a run, those of whoever healed it included, and of each operation, the most frequent first."""

    total: Count
    errors: Count = 0
    throttled: Count = 0
    retries: Count = 0
    unrecorded: Count = 0
    """Calls of which nothing is known but that they were made, as the disk was full; not in the total."""
    first_at: Instant | None = None
    last_at: Instant | None = None
    operations: UpTo200[Operation] = []
