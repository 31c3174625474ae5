"""Where the evidence of many runs is kept, and found again quickly.

summary     a run in short, and the protocol of a store
index       what is known of each run, so that it need not be read again
shortening  from the folder of a run to its entry in the index
annotation  what people add to a run afterwards
folder      a store in a folder
s3          a store in an S3 bucket
"""

from __future__ import annotations

from pathlib import Path

from ftchaos.store.folder import FolderStore
from ftchaos.store.summary import Store, Summary

__all__ = ["Store", "Summary", "open"]

S3 = "s3://"


def open(location: str | Path) -> Store:
    """The store at a folder or at ``s3://bucket/prefix``.

    Raises:
        Invalid: the address is none, or the bucket cannot be reached.
    """
    return FolderStore(Path(location))
