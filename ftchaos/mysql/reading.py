"""Reads an archive in a process of its own, on another processor than whatever else a recovery does meanwhile.

A thread would not do: reading is all Python, and would slow down the copying of a backup beside it. Checksums are left
to the server, which recomputes that of each event before it applies it, on the other processor.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path

from ftchaos.errors import FtchaosError, StepFailed
from ftchaos.mysql import chain
from ftchaos.mysql.chain import Boundary, Reach
from ftchaos.mysql.gtidset import GtidSet
from ftchaos.process import die_with_parent


class Reading:
    """A reading under way; it dies with this process."""

    def __init__(self, folder: Path, since: GtidSet, boundary: Boundary | None = None) -> None:
        """Begin to read; the arguments are those of :func:`ftchaos.mysql.chain.reach`."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__, str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert self._process.stdin
        self._process.stdin.write(pickle.dumps((folder, since, boundary)))
        self._process.stdin.close()
        self._process.stdin = None

    def result(self) -> Reach:
        """What a replay would apply, once it is known.

        Raises:
            Unusable, Invalid: as :func:`ftchaos.mysql.chain.reach`.
            StepFailed: the process died.
        """
        answer, complaints = self._process.communicate()
        if self._process.returncode:
            said = complaints.decode(errors="replace").strip().splitlines()
            raise StepFailed(f"the archive could not be read: {said[-1] if said else 'the reader died'}")
        found = pickle.loads(answer)
        if isinstance(found, FtchaosError):
            raise found
        assert isinstance(found, Reach)
        return found

    def end(self) -> None:
        """Give up on it."""
        self._process.kill()
        self._process.communicate()


def main() -> None:
    """Read as standard input says, and answer on standard output; both are ours alone."""
    die_with_parent(int(sys.argv[1]))
    found: Reach | FtchaosError
    try:
        folder, since, boundary = pickle.load(sys.stdin.buffer)
        # The server verifies every event that it applies; but the time that ends a replay is read here alone.
        by_time = boundary is not None and boundary.at_s is not None
        found = chain.reach(folder, since, boundary, verify=by_time)
    except FtchaosError as error:
        found = error
    pickle.dump(found, sys.stdout.buffer)


if __name__ == "__main__":
    main()
