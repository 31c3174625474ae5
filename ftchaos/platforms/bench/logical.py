"""Restores SQL on the bench: a dump file from front to end, a mydumper folder with two connections."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock

from ftchaos.mysql.foreign import dump, mydumper, policy
from ftchaos.mysql.foreign.about import About
from ftchaos.mysql.foreign.load import Key, Loaded, Loader, make_account
from ftchaos.mysql.foreign.statements import statements
from ftchaos.mysql.foreign.stream import Stream, opened
from ftchaos.platforms.bench import empty
from ftchaos.platforms.bench.scratch import Scratch
from ftchaos.platforms.bench.server import BenchServer

_THREADS = 2

Progress = Callable[[int, int], None]


class Logical:
    """The restore of SQL into a fresh server.

    Attributes:
        about: what the backup says of itself; a packed dump says more when it was read.
        loaded: what became of its statements.
        recorded: rows by table as the backup's maker counted them.
    """

    def __init__(self, about: About, server: BenchServer, scratch: Scratch) -> None:
        self.about = about
        self.loaded = Loaded()
        self.recorded: Mapping[Key, int] = {}
        self._server = server
        self._scratch = scratch
        self._allowed: set[str] = set()

    def provision(self) -> None:
        """Have an empty server with an account that may do nothing yet.

        Raises:
            StepFailed: it did not begin.
        """
        empty.lay(self._server.flavour, self._scratch.data)
        self._server.begin()
        with self._server.connect() as admin:
            make_account(admin)

    def restore(self, progress: Progress) -> None:
        """Run all of its statements.

        Raises:
            Unusable: it is truncated, damaged, or the server does not take it.
            StepFailed: the server died, or its disk is full.
        """
        if self.about.kind == "mydumper":
            self._mydumper(progress)
        else:
            self._dump(progress)

    def _dump(self, progress: Progress) -> None:
        loader = self._loader(self.about.schema)
        try:
            with opened(self.about.path) as stream:
                end = _End(stream)
                loader.run(statements(end.read), lambda: progress(stream.done_bytes, stream.size_bytes))
        finally:
            loader.close()
        self.about = dump.ended(self.about, end.tail)

    def _mydumper(self, progress: Progress) -> None:
        folder = mydumper.read(self.about.path)
        counter = _Counter(sum(file.stat().st_size for file in folder.files()), progress)
        loader = self._loader()
        names: dict[str, str] = {}
        try:
            for schema, file in folder.schemas.items():
                names[schema] = _named(file) or schema
                loader.use("")
                if file is not None:
                    _run(loader, file, counter)
                loader.use(names[schema])
            for table in folder.tables.values():
                loader.use(names[table.schema])
                for file in filter(None, (table.sequence, table.definition)):
                    _run(loader, file, counter)
            self._rows(folder, names, counter)
            for table in folder.tables.values():
                loader.use(names[table.schema])
                for file in [*filter(None, [table.view]), *table.triggers]:
                    _run(loader, file, counter)
            for schema, file in folder.posts:
                loader.use(names.get(schema, schema))
                _run(loader, file, counter)
        finally:
            loader.close()
        self.recorded = {
            (names[table.schema], table.name): table.rows
            for table in folder.tables.values()
            if table.rows is not None and table.view is None and not policy.is_system(names[table.schema])
        }

    def _rows(self, folder: mydumper.Folder, names: Mapping[str, str], counter: _Counter) -> None:
        """All files of rows, the biggest first, on two connections."""
        files = [(file, names[table.schema]) for table in folder.tables.values() for file in table.data]
        todo = deque(sorted(files, key=lambda entry: -entry[0].stat().st_size))

        def work() -> None:
            loader = self._loader()
            try:
                while todo:
                    try:
                        file, schema = todo.popleft()
                    except IndexError:  # the other thread was quicker
                        return
                    loader.use(schema)
                    _run(loader, file, counter)
            except BaseException:
                todo.clear()  # the other thread need not go on
                raise
            finally:
                loader.close()

        with ThreadPoolExecutor(_THREADS) as pool:
            for done in [pool.submit(work) for _ in range(_THREADS)]:
                done.result()

    def _loader(self, default: str = "") -> Loader:
        return Loader(self._server.connect, self.loaded, self._allowed, default)


class _End:
    """Reads a stream and keeps its last bytes."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self.tail = b""

    def read(self, size: int) -> bytes:
        data = self._stream.read(size)
        self.tail = (self.tail + data[-dump.TAIL_BYTES :])[-dump.TAIL_BYTES :]
        return data


class _Counter:
    """Bytes done over several files and threads."""

    def __init__(self, total: int, progress: Progress) -> None:
        self._total = total
        self._progress = progress
        self._done: dict[Path, int] = {}
        self._lock = Lock()

    def set(self, file: Path, done: int) -> None:
        with self._lock:
            self._done[file] = done
            self._progress(sum(self._done.values()), self._total)


def _run(loader: Loader, file: Path, counter: _Counter) -> None:
    with opened(file) as stream:
        loader.run(statements(stream.read, by_line=True), lambda: counter.set(file, stream.done_bytes))
    counter.set(file, file.stat().st_size)


def _named(file: Path | None) -> str:
    """The schema that a file creates; its name may not be fit for a file's name."""
    if file is None:
        return ""
    with opened(file) as stream:
        return next(
            (
                found.schema
                for one in statements(stream.read, by_line=True)
                if (found := policy.decide(one.text, "")).schema
            ),
            "",
        )
