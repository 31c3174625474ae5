"""Verification: equal data is found equal, and every planted flaw is found, on both flavours."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from ftchaos.errors import Inconclusive
from ftchaos.mysql import flavour as flavours
from ftchaos.mysql import session, template, verify
from ftchaos.mysql.flavour import Flavour
from ftchaos.mysql.gtidset import GtidSet
from ftchaos.mysql.server import Server, start_plain

SCHEMA = """
CREATE DATABASE flaws;
CREATE TABLE flaws.parents (id INT PRIMARY KEY, name VARCHAR(40) NULL) ENGINE = InnoDB;
CREATE TABLE flaws.children (
    id INT PRIMARY KEY AUTO_INCREMENT, parent INT NULL, other INT NULL, title VARCHAR(40) NULL, body TEXT NULL,
    raw MEDIUMBLOB NULL, made DATETIME(6) NULL, price DECIMAL(10, 2) NULL, ratio DOUBLE NULL, flag BIT(3) NULL,
    doc JSON NULL, kind ENUM('a', 'b') NULL, KEY by_parent (parent), KEY by_title (title),
    CONSTRAINT of_parent FOREIGN KEY (parent) REFERENCES flaws.parents (id)
) ENGINE = InnoDB CHARACTER SET utf8mb4;
INSERT INTO flaws.parents VALUES (1, 'eins'), (2, NULL), (3, '');
INSERT INTO flaws.children (parent, title, body, raw, made, price, ratio, flag, doc, kind) VALUES
    (1, 'ab', 'cd', REPEAT(UNHEX('00FF10'), 90000), '2026-01-01 00:00:00.123456', 1.10, 0.1, b'101', '{"a": 1}', 'a'),
    (2, '測試', '', NULL, NULL, -1.10, -0.0, NULL, NULL, NULL),
    (NULL, 'xy', 'zz', '', NULL, NULL, NULL, b'0', '[]', 'b');
CREATE VIEW flaws.titles AS SELECT title FROM flaws.children;
CREATE TRIGGER flaws.noted BEFORE UPDATE ON flaws.parents FOR EACH ROW SET NEW.name = COALESCE(NEW.name, 'noted')
"""
CHILD = "UPDATE flaws.children SET {} WHERE id = {}"
FLAWS = {
    "a dropped row": ["DELETE FROM flaws.children WHERE id = 3"],
    "a row too many": ["INSERT INTO flaws.children (title) VALUES ('new')"],
    "a row twice instead of another": [
        "DELETE FROM flaws.parents WHERE id = 3",
        "INSERT INTO flaws.parents VALUES (4, 'eins')",
    ],
    "a flipped bit in a text": [CHILD.format("title = 'aa'", 1)],
    "a flipped bit in a blob": [CHILD.format("raw = INSERT(raw, 200000, 1, UNHEX('01'))", 1)],
    "NULL for an empty text": [CHILD.format("body = NULL", 2)],
    "an empty blob for NULL": [CHILD.format("raw = ''", 2)],
    "a text moved into the next column": [CHILD.format("title = 'abc', body = 'd'", 1)],
    "values that two rows exchanged": [CHILD.format("title = 'xy'", 1), CHILD.format("title = 'ab'", 3)],
    "a microsecond": [CHILD.format("made = '2026-01-01 00:00:00.123457'", 1)],
    "a sign": [CHILD.format("price = 1.10", 2)],
    "a bit": [CHILD.format("flag = b'100'", 1)],
    "a document": [CHILD.format("""doc = '{"a": 2}'""", 1)],
    "an enumerated value": [CHILD.format("kind = 'b'", 1)],
    "a trailing blank": [CHILD.format("title = 'ab '", 1)],
    "an index that is missing": ["ALTER TABLE flaws.children DROP KEY by_title"],
    "a column that is wider": ["ALTER TABLE flaws.parents MODIFY name VARCHAR(41) NULL"],
    "a table that is missing": ["SET foreign_key_checks = 0", "DROP TABLE flaws.parents"],
    "a table too many": ["CREATE TABLE flaws.more (id INT)"],
    "a view that is another": ["ALTER VIEW flaws.titles AS SELECT body FROM flaws.children"],
    "a trigger that is missing": ["DROP TRIGGER flaws.noted"],
}


@pytest.fixture(scope="module", params=flavours.NAMES)
def flavour(request: pytest.FixtureRequest) -> Flavour:
    """Each flavour in turn."""
    return flavours.find(str(request.param))


@pytest.fixture(scope="module")
def server(flavour: Flavour, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with the template's tables."""
    datadir = tmp_path_factory.mktemp("verify") / "data"
    template.copy(template.template(flavour, 8 << 20, lambda _: None), datadir)
    with start_plain(flavour, datadir, options={"skip-log-bin": None, "event-scheduler": "OFF"}) as running:
        yield running


def run(server: Server, statements: Sequence[str]) -> None:
    with server.connect() as connection:
        session.execute(connection, statements)


@pytest.fixture
def planted(server: Server) -> Server:
    """The server with fresh tables for flaws."""
    run(server, ["SET foreign_key_checks = 0", "DROP DATABASE IF EXISTS flaws", *SCHEMA.split(";\n")])
    return server


def content(server: Server) -> verify.Record:
    return verify.record(server.connect)


def test_every_planted_flaw_is_found_and_nothing_else(planted: Server) -> None:
    sound = content(planted)
    missed = []
    for name, statements in FLAWS.items():
        run(planted, statements)
        differing = verify.differences(sound, content(planted))
        if not differing or any("filetransfer." in flaw for flaw in differing):
            missed.append(f"{name}: {differing}")
        run(planted, ["SET foreign_key_checks = 0", "DROP DATABASE flaws", *SCHEMA.split(";\n")])
        assert verify.differences(sound, content(planted)) == [], name

    assert missed == []


def test_rows_are_counted_as_sql_counts_them(planted: Server) -> None:
    run(
        planted,
        [
            "CREATE TABLE flaws.pieces (id INT PRIMARY KEY) PARTITION BY HASH (id) PARTITIONS 4",
            "INSERT INTO flaws.pieces VALUES (1), (2), (3), (4), (5)",
            "CREATE TABLE flaws.other (id INT PRIMARY KEY) ENGINE = MyISAM",
            "INSERT INTO flaws.other VALUES (1), (2)",
            "CREATE TABLE flaws.none (id INT PRIMARY KEY)",
        ],
    )
    found = content(planted).tables
    with planted.connect() as connection:
        counted = {name: session.value(connection, f"SELECT COUNT(*) FROM {name}") for name in found}

    assert {name: table.rows for name, table in found.items()} == counted
    assert counted["flaws.pieces"] == 5


def test_order_of_rows_and_counters_do_not_matter(planted: Server) -> None:
    sound = content(planted)
    run(
        planted,
        [
            "SET foreign_key_checks = 0",
            "CREATE TABLE flaws.kept AS SELECT * FROM flaws.parents ORDER BY id DESC",
            "TRUNCATE flaws.parents",
            "INSERT INTO flaws.parents SELECT * FROM flaws.kept",
            "DROP TABLE flaws.kept",
            "ALTER TABLE flaws.children AUTO_INCREMENT = 1000",
            "OPTIMIZE TABLE flaws.children",
        ],
    )

    assert verify.differences(sound, content(planted)) == []


def test_differences_are_said_in_sentences(planted: Server) -> None:
    sound = content(planted)
    run(planted, [*FLAWS["a dropped row"], *FLAWS["an index that is missing"], "UPDATE flaws.parents SET name = 'x'"])
    schema, children, parents = verify.differences(sound, content(planted))

    assert schema == "the schema differs from the one recorded"
    assert children == "flaws.children has 2 rows, 3 were recorded"
    assert parents.startswith("flaws.parents has the checksum ")


def test_orphans_are_found_by_foreign_key(planted: Server) -> None:
    assert verify.foreign_keys_whole(planted.connect) == []

    run(planted, ["SET foreign_key_checks = 0", "DELETE FROM flaws.parents WHERE id < 3"])

    assert verify.foreign_keys_whole(planted.connect) == [
        "2 rows of flaws.children refer by of_parent to what is not in flaws.parents"
    ]


def test_sound_tables_pass_their_check_and_progress_ends_at_all_of_them(planted: Server) -> None:
    told: list[tuple[int, int]] = []

    assert verify.check_tables(planted.connect, lambda done, total: told.append((done, total))) == []
    verify.record(planted.connect, lambda done, total: told.append((done, total)))
    assert told[-1][0] == told[-1][1]


def test_page_that_was_damaged_on_disk_is_never_taken_for_sound(flavour: Flavour, tmp_path: Path) -> None:
    """The server notices by the page's own checksum, and may die of it."""
    datadir = tmp_path / "data"
    template.copy(template.template(flavour, 8 << 20, lambda _: None), datadir)
    path = datadir / "filetransfer/files.ibd"
    page = bytearray(path.read_bytes())
    for number in range(40, 60):
        page[number * 16384 + 8000] ^= 0xFF
    path.write_bytes(page)
    flaws: list[str] = []
    with suppress(Inconclusive), start_plain(flavour, datadir, options={"skip-log-bin": None}) as damaged:
        for check in (verify.check_tables, verify.record):
            try:
                found = check(damaged.connect)
                flaws += found if isinstance(found, list) else []
            except Inconclusive as error:
                flaws.append(error.fact)

    assert any("files" in flaw or "server died" in flaw for flaw in flaws), flaws


def test_position_is_held_against_the_one_wanted_on_both_sides() -> None:
    wanted = GtidSet.parse("0-1-100")

    assert verify.gtid_reached("0-1-100", wanted) == []
    assert verify.gtid_reached("0-1-99", wanted) == ["the server lacks 0:100"]
    assert verify.gtid_reached("0-1-101", wanted) == [
        "the server also has 0:101, which lies beyond the point wanted",
    ]
