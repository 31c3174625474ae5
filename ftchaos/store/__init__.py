"""Where the evidence of many runs is kept, and found again quickly.

summary     a run in short, and the protocol of a store
index       what is known of each run, so that it need not be read again
shortening  from the folder of a run to its entry in the index
annotation  what people add to a run afterwards
folder      a store in a folder
s3          a store in an S3 bucket, with link (one run in it) and bucket (the network)
"""

from __future__ import annotations

from pathlib import Path

from ftchaos import signing
from ftchaos.store.folder import FolderStore
from ftchaos.store.summary import Store, Summary

__all__ = ["Store", "Summary", "ensure_takes", "open", "publish", "staging"]

S3 = "s3://"


def open(location: str | Path) -> Store:
    """The store at a folder or at ``s3://bucket/prefix``.

    Raises:
        Invalid: the address is none.
    """
    if not str(location).startswith(S3):
        return FolderStore(Path(location))
    # What speaks to a cloud is dear to import, and mostly a folder is meant.
    from ftchaos.store.s3 import S3Store

    return S3Store(str(location))


def staging(location: str | Path) -> Path:
    """The local folder into which a run writes its own: the store's, or one from which it is published at its end.

    Raises:
        Invalid: the address is none, or the key that is to sign cannot be used.
    """
    # A key that is not there must stop a run before it begins, not when its evidence is to be sealed.
    signing.signer()
    return open(location).outbox


def ensure_takes(location: str | Path) -> None:
    """Try whether a run can be kept there, before anything is touched for it.

    Raises:
        Refused: it cannot.
    """
    open(location).ensure_takes()


def publish(location: str | Path, folder: Path) -> None:
    """Complete a run that ended: put it into the store whole, where that is elsewhere.

    Raises:
        Inconclusive: it could not be put; the fact says so, and that the local folder has everything.
    """
    open(location).publish(folder)
