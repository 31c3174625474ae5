"""SQL text is cut into statements as a client would, wherever the reading stops, and no command is obeyed."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ftchaos.errors import Unusable
from ftchaos.mysql.foreign import statements as module
from ftchaos.mysql.foreign.statements import statements


def texts(text: bytes, *, by_line: bool = False) -> list[bytes]:
    return [statement.text for statement in statements(BytesIO(text).read, by_line=by_line)]


def slowly(text: bytes, size: int) -> Callable[[int], bytes]:
    stream = BytesIO(text)
    return lambda wanted: stream.read(min(size, wanted))


DUMP = rb"""/*M!999999\- enable the sandbox mode */
-- MariaDB dump; with a semicolon

/*!40101 SET NAMES utf8mb4 */;
# another; comment
INSERT INTO `t;` VALUES (1,'a;b\';c'),(2,'it''s -- no comment'),(3,"x\";y"),(4,_binary 0x3B);
/* a real comment; with ' an apostrophe */ SELECT 1 - -1 /2;
CREATE TABLE `x` (a int COMMENT 'a /* b');
DELIMITER ;;
/*!50003 CREATE*/ /*!50017 DEFINER=`root`@`localhost`*/ /*!50003 TRIGGER tr BEFORE INSERT ON p BEGIN -- don't;
 SET NEW.v = CONCAT(NEW.v,';'); END */;;
DELIMITER ;
\! touch /tmp/owned
;
UNLOCK TABLES;
-- Dump completed
"""
CUT = [
    b"/*!40101 SET NAMES utf8mb4 */",
    rb"""INSERT INTO `t;` VALUES (1,'a;b\';c'),(2,'it''s -- no comment'),(3,"x\";y"),(4,_binary 0x3B)""",
    b"SELECT 1 - -1 /2",
    b"CREATE TABLE `x` (a int COMMENT 'a /* b')",
    b"/*!50003 CREATE*/ /*!50017 DEFINER=`root`@`localhost`*/ /*!50003 TRIGGER tr BEFORE INSERT ON p "
    b"BEGIN -- don't;\n SET NEW.v = CONCAT(NEW.v,';'); END */",
    b"\\! touch /tmp/owned\n",
    b"UNLOCK TABLES",
]


def test_a_dump_is_cut_at_its_delimiters_and_nowhere_else() -> None:
    assert texts(DUMP) == CUT


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64])
def test_it_does_not_matter_where_the_reading_stops(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_CHUNK_BYTES", size)

    assert [one.text for one in statements(slowly(DUMP, size))] == CUT


def test_each_statement_knows_where_it_begins() -> None:
    for statement in statements(BytesIO(DUMP).read):
        assert DUMP[statement.begin :].startswith(statement.text)


def test_a_body_in_a_mydumper_file_ends_only_at_the_end_of_a_line() -> None:
    text = b"CREATE PROCEDURE `p`()\nBEGIN SELECT 1; SELECT 2; \nEND;\nSET @a = 1;\n"

    assert texts(text, by_line=True) == [b"CREATE PROCEDURE `p`()\nBEGIN SELECT 1; SELECT 2; \nEND", b"SET @a = 1"]


@pytest.mark.parametrize(
    "text", [b"INSERT INTO t VALUES (1,'abc", b"SET a = 1; CREATE TABLE t (", b"SELECT /* x", b"DROP"]
)
def test_text_that_ends_within_a_statement_is_truncated(text: bytes) -> None:
    with pytest.raises(Unusable, match="ends within the statement at byte"):
        texts(text)


@pytest.mark.parametrize("text", [b"", b"\n \n", b"-- Dump completed on 2026-11-23", b"SET a = 1;\n/* done */\n# end"])
def test_comments_and_blanks_at_the_end_are_no_statement(text: bytes) -> None:
    assert texts(text) in ([], [b"SET a = 1"])


def test_a_lost_quote_ends_in_an_error_and_not_in_all_of_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LIMIT_BYTES", 1000)
    monkeypatch.setattr(module, "_CHUNK_BYTES", 100)

    with pytest.raises(Unusable, match="does not end within"):
        texts(b"INSERT INTO t VALUES ('" + b"x" * 5000)


@given(st.lists(st.binary(max_size=40), max_size=5))
@settings(max_examples=200, deadline=None)
def test_any_value_that_a_dump_escapes_stays_within_its_statement(values: list[bytes]) -> None:
    escaped = [value.replace(b"\\", b"\\\\").replace(b"'", b"\\'").replace(b"\n", b"\\n") for value in values]
    wanted = [b"INSERT INTO `t` VALUES ('" + value + b"')" for value in escaped]

    assert texts(b"".join(one + b";\n" for one in wanted)) == wanted
