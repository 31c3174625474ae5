"""Where the evidence of many runs is kept, and found again quickly.

summary     a run in short, and the protocol of a store
index       what is known of each run, so that it need not be read again
shortening  from the folder of a run to its entry in the index
annotation  what people add to a run afterwards
folder      a store in a folder
s3          a store in an S3 bucket, with link (one run in it) and bucket (the network)
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from ftchaos import signing
from ftchaos.errors import Away
from ftchaos.store.folder import FolderStore
from ftchaos.store.summary import Store, Summary

__all__ = ["Store", "Summary", "ensure_takes", "open", "publish", "staging"]

S3 = "s3://"
PATIENCE_S = 300.0
PAUSE_S = 5.0


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


def publish(location: str | Path, folder: Path, say: Callable[[str], None] = lambda said: None) -> None:
    """Complete a run that ended: put it into the store whole, where that is elsewhere.

    A store that does not answer is asked again for a while: the folder of a pod goes with it.

    Args:
        say: hears of it.

    Raises:
        Inconclusive: it could not be put; the fact says so, and that the local folder has everything.
    """
    there, until = open(location), time.monotonic() + PATIENCE_S
    while True:
        try:
            return there.publish(folder)
        except Away as error:
            left_s = until - time.monotonic()
            if left_s <= 0:
                raise
            try:
                say(f"{error.fact}; it is asked again for {left_s:.0f} s, and Ctrl-C ends that")
                time.sleep(min(PAUSE_S, left_s))
            except KeyboardInterrupt:
                raise error from None
