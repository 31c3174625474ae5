"""Restores data files on the bench: a copy is made ready, its pages are checked, and a server is begun on it."""

from __future__ import annotations

import errno
import os
import shlex
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Lock

from ftchaos.errors import MissingProgram, StepFailed, Unusable
from ftchaos.mysql.flavour import Flavour, Options, option_argv, which
from ftchaos.mysql.foreign import physical, xbstream
from ftchaos.mysql.foreign.about import About
from ftchaos.mysql.foreign.stream import opened
from ftchaos.mysql.foreign.verify import Check
from ftchaos.platforms.bench.scratch import Scratch
from ftchaos.platforms.bench.server import BenchServer

_THREADS = 2
_COPY_BYTES = 64 << 20
_NO_RANGE = (errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP)
_PREPARE_MEMORY = "512M"
# What the copy brings along that would tell the new server what to do or who it is.
_NOT_DATA = ("mysqld-auto.cnf", "auto.cnf", "backup-my.cnf", "mysql.sock", "mysql.pid", "ib_buffer_pool")
_ADMIN: Mapping[str, list[str]] = {
    "mariadb": [
        "CREATE USER IF NOT EXISTS root@localhost",
        "ALTER USER root@localhost IDENTIFIED VIA mysql_native_password USING '' ACCOUNT UNLOCK",
        "GRANT ALL PRIVILEGES ON *.* TO root@localhost WITH GRANT OPTION",
    ],
    "mysql": [
        "CREATE USER IF NOT EXISTS root@localhost",
        "ALTER USER root@localhost IDENTIFIED WITH caching_sha2_password BY '' PASSWORD EXPIRE NEVER ACCOUNT UNLOCK",
        "GRANT ALL PRIVILEGES ON *.* TO root@localhost WITH GRANT OPTION",
    ],
}
_PAGE_BYTES = 16384
# $1 is a file; its name and what is wrong with it, when something is.
_CHECK_PAGES = """
case $1 in *.ibd|*/undo*) set -- "$1" '' ;; *) set -- "$1" {ranges} ;; esac
file=$1; shift
for range; do
    words=$({program} $range "$file" 2>&1) || printf '%s: %s\\n' "$file" "$(printf %s "$words" | tr '\\n' ' ')"
done
"""

Progress = Callable[[int, int], None]


class Physical:
    """The restore of data files.

    Attributes:
        about: what the backup says of itself; a stream says it when it was unpacked.
        pages: what the check of every page found; None before.
    """

    def __init__(self, about: About, choose: Callable[[About], Flavour], scratch: Scratch) -> None:
        """
        Args:
            choose: the server that can read the backup, once it has said what it is.
        """
        self.about = about
        self.pages: Check | None = None
        self._choose = choose
        self._scratch = scratch

    def restore(self, progress: Progress, make: Callable[[Flavour, Options], BenchServer]) -> BenchServer:
        """Copy the data files, make them ready, check their pages, and begin a server on them.

        Args:
            progress: told the bytes copied.
            make: makes the server, which is not begun yet.

        Raises:
            Unusable: it is truncated or damaged, or no server of this machine can read it.
            StepFailed: the disk is full, or a program failed.
        """
        self._scratch.data.mkdir(mode=0o700)
        if self.about.kind == "stream":
            self._unpack(progress)
        else:
            self._copy(progress)
        flavour = self._choose(self.about)
        server = make(flavour, self._options(flavour))
        if not self.about.details.get("ready"):
            self._prepare(server, flavour)
        for name in _NOT_DATA:
            (self._scratch.data / name).unlink(missing_ok=True)
        self.pages = self._check_pages(server, flavour)
        self._let_us_in(flavour)
        try:
            server.begin({"init-file": str(self._scratch.admin)})
        except StepFailed as error:
            pages = f"; {self.pages.detail}" if self.pages.result == "failed" else ""
            raise Unusable(
                f"no server can be begun on the backup's data files: {error.fact}{pages}",
                "they are damaged, or from a server that this one cannot follow",
            ) from error
        return server

    def _unpack(self, progress: Progress) -> None:
        with opened(self.about.path) as stream:
            xbstream.unpack(stream.read, self._scratch.data, lambda: progress(stream.done_bytes, stream.size_bytes))
        inside = physical.inspect(self._scratch.data, written=self.about.path)
        self.about = replace(
            inside,
            path=self.about.path,
            kind="stream",
            method=f"{inside.method.replace(' folder', '')}, {self.about.method}",
            size_bytes=self.about.size_bytes,
        )

    def _copy(self, progress: Progress) -> None:
        """All files, with two threads; blocks are shared where the file system can."""
        source, total = self.about.path, self.about.size_bytes
        todo = deque(sorted(physical.files(source), key=lambda file: -file.stat().st_size))
        done = [0]
        lock = Lock()

        def count(size: int) -> None:
            with lock:
                done[0] += size
                progress(done[0], total)

        def work() -> None:
            while todo:
                try:
                    file = todo.popleft()
                except IndexError:  # the other thread was quicker
                    return
                _copy_file(file, self._scratch.data / file.relative_to(source), count)

        for folder in sorted(path for path in source.rglob("*") if path.is_dir()):  # empty ones too: a schema is one
            (self._scratch.data / folder.relative_to(source)).mkdir(mode=0o700)
        try:
            with ThreadPoolExecutor(_THREADS) as pool:
                for one in [pool.submit(work) for _ in range(_THREADS)]:
                    one.result()
        except OSError as error:
            raise StepFailed(
                f"{error.filename or source} cannot be copied: {error.strerror}",
                "check the backup's permissions and the space in the state folder",
            ) from error

    def _options(self, flavour: Flavour) -> Options:
        return dict(physical.server_options(self._scratch.data, flavour.name))

    def _prepare(self, server: BenchServer, flavour: Flavour) -> None:
        """Apply the log that the backup gathered while it copied."""
        program = preparer(self.about)
        # It reads no file of settings, so it is told how the data files are laid out.
        options: Options = {
            "target-dir": str(self._scratch.data),
            "tmpdir": str(self._scratch.temporary),
            "use-memory": _PREPARE_MEMORY,
            **self._options(flavour),
        }
        try:
            argv = [program, "--no-defaults", "--prepare", *option_argv(options)]
            words = server.run_jailed(argv, f"{Path(program).name} --prepare")
        except StepFailed as error:
            raise Unusable(error.fact, "the backup is damaged, or prepare it with the version that made it") from error
        if "completed OK!" not in words:
            raise Unusable("the backup could not be prepared: no 'completed OK!'", "the backup is damaged")

    def _check_pages(self, server: BenchServer, flavour: Flavour) -> Check:
        """Every page of every table against its checksum: a server only looks at what it happens to read."""
        try:
            # It takes none of the options that are switched off for the others.
            program = [word for word in flavour.program("innochecksum") if not word.startswith("--no-defaults")]
        except MissingProgram as error:
            return Check("pages", "unknown", error.fact)
        program = [word for word in program if not word.startswith("--character-sets-dir")]
        data = self._scratch.data
        files = [*sorted(data.rglob("*.ibd")), *sorted(data.glob("ibdata*")), *sorted(data.glob("undo*"))]
        script = _CHECK_PAGES.format(program=shlex.join(program), ranges=self._ranges(flavour))
        argv = ["xargs", "--null", "--no-run-if-empty", "-P", str(_THREADS), "-n", "1", "sh", "-c", script, "sh"]
        listed = b"\0".join(os.fsencode(file) for file in files)
        words = server.run_jailed(argv, "the check of the pages", listed, reads=program)
        bad = [line.replace(f"{self._scratch.data}/", "") for line in words.splitlines() if line.strip()]
        if bad:
            detail = f"{len(bad):,} of {len(files):,} files have damaged pages: {'; '.join(bad[:3])}"
            return Check("pages", "failed", detail)
        return Check("pages", "passed", f"every page of {len(files):,} files matches its checksum")

    def _ranges(self, flavour: Flavour) -> str:
        """Which pages of the system's tablespace are looked at: in MariaDB's lies a buffer of copies of other pages."""
        if flavour.name != "mariadb":
            return "''"
        page_bytes = int(self._options(flavour).get("innodb_page_size") or _PAGE_BYTES)
        first, last = (1 << 20) // page_bytes, (3 << 20) // page_bytes - 1
        return f"--end-page={first - 1} --start-page={last + 1}"

    def _let_us_in(self, flavour: Flavour) -> None:
        """The accounts are those of the original server, whose passwords nobody told us."""
        statements = "".join(f"{statement};\n" for statement in _ADMIN[flavour.name])
        self._scratch.admin.write_text(statements)


def preparer(about: About) -> str:
    """The program that prepares a backup.

    Raises:
        Unusable: this machine lacks it.
    """
    name = "mariadb-backup" if about.flavour == "mariadb" else "xtrabackup"
    program = which(name)
    if program is None:
        series = ".".join(map(str, about.version[:2]))
        advice = "apt-get install mariadb-backup" if about.flavour == "mariadb" else f"install XtraBackup {series}"
        raise Unusable(
            f"{about.path} is not prepared, and this machine has no {name}",
            f"{advice}, or prepare it where it was made: {name} --prepare --target-dir=...",
        )
    return program


def _copy_file(source: Path, target: Path, count: Callable[[int], None]) -> None:
    descriptor = os.open(source, os.O_RDONLY | os.O_NOFOLLOW)
    with os.fdopen(descriptor, "rb", buffering=0) as file, target.open("xb", buffering=0) as copy:
        while True:
            try:
                size = os.copy_file_range(file.fileno(), copy.fileno(), _COPY_BYTES)
            except OSError as error:
                if error.errno not in _NO_RANGE:
                    raise
                size = copy.write(block) if (block := file.read(1 << 20)) else 0
            if not size:
                return
            count(size)
