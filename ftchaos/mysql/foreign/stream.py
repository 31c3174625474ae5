"""The bytes of a file after whatever compression it has, read once from front to end.

Decompression is another process: it uses another core, a damaged or truncated file shows in its exit code, and a
file made to explode can never be more than a pipe ahead of us.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from ftchaos.errors import MissingProgram, Unusable
from ftchaos.process import die_with_parent

CHUNK_BYTES = 1 << 20
NOBODY = 65534
_MAGICS: Mapping[str, bytes] = {"gz": b"\x1f\x8b", "zst": b"\x28\xb5\x2f\xfd"}
_PROGRAMS: Mapping[str, list[str]] = {
    "gz": ["gzip", "--decompress", "--stdout"],
    "zst": ["zstd", "--decompress", "--stdout", "--quiet", "--memory=1024MB"],
}


class Stream:
    """One opened file.

    Attributes:
        path: the file.
        size_bytes: its size as it lies on disk.
        offset: bytes read so far, after decompression.
    """

    def __init__(self, path: Path, file: IO[bytes], end: Callable[[], None]) -> None:
        self.path = path
        self.size_bytes = path.stat().st_size
        self.offset = 0
        self._file = file
        self._end = end
        self._raw: int | None = None

    @property
    def done_bytes(self) -> int:
        """How much of the file on disk has been consumed, for progress."""
        if self._raw is None:
            return min(self.offset, self.size_bytes)
        return os.lseek(self._raw, 0, os.SEEK_CUR)

    def read(self, size: int = CHUNK_BYTES) -> bytes:
        """The next bytes, fewer only at the end, none after it.

        Raises:
            Unusable: the file ends too early or is damaged.
        """
        try:
            data = self._file.read(size)
        except OSError as error:
            raise Unusable(f"{self.path} cannot be read: {error.strerror}", "check the disk that it lies on") from error
        self.offset += len(data)
        if len(data) < size:
            self._end()
        return data


def compression(path: Path) -> str:
    """``gz``, ``zst`` or an empty text, by what the file begins with."""
    with readable(path) as file:
        begin = file.read(4)
    return next((name for name, magic in _MAGICS.items() if begin.startswith(magic)), "")


@contextmanager
def readable(path: Path) -> Iterator[IO[bytes]]:
    """The file as it lies on disk.

    Raises:
        Unusable: it cannot be opened.
    """
    try:
        file = path.open("rb")
    except OSError as error:
        raise Unusable(f"{path} cannot be read: {error.strerror}", "check its name and its permissions") from error
    with file:
        yield file


@contextmanager
def opened(path: Path) -> Iterator[Stream]:
    """The file's bytes, decompressed where they are compressed.

    Raises:
        Unusable: it cannot be opened.
        MissingProgram: this machine cannot decompress it.
    """
    kind = compression(path)
    with readable(path) as file:
        if not kind:
            yield Stream(path, file, lambda: None)
            return
        with tempfile.TemporaryFile() as words:
            process = _decompressor(kind, file, words)
            try:
                assert process.stdout is not None
                stream = Stream(path, process.stdout, lambda: _ensure_whole(process, path, words))
                stream._raw = file.fileno()  # one offset for both: the child moves it as it reads
                yield stream
            finally:
                process.kill()
                process.wait()
                if process.stdout is not None:
                    process.stdout.close()


def _decompressor(kind: str, file: IO[bytes], words: IO[bytes]) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            _PROGRAMS[kind],
            stdin=file,
            stdout=subprocess.PIPE,
            stderr=words,
            pipesize=CHUNK_BYTES,
            # It reads bytes that nobody vouches for; nobody is who it should be.
            user=NOBODY if os.getuid() == 0 else None,
            preexec_fn=die_with_parent,
        )
    except FileNotFoundError as error:
        program = _PROGRAMS[kind][0]
        raise MissingProgram(f"no {program} on this machine", f"apt-get install {program}") from error


def _ensure_whole(process: subprocess.Popen[bytes], path: Path, words: IO[bytes]) -> None:
    if process.wait() == 0:
        return
    words.seek(0)
    said = " ".join(words.read().decode(errors="replace").split())
    raise Unusable(f"{path} is truncated or damaged: {said}", "copy it again, or take an older backup")
