"""What is done with each statement of a dump: nothing that no dump needs is run, and nothing goes unsaid."""

from __future__ import annotations

import pytest

from ftchaos.mysql.foreign.policy import Named, decide, shown


@pytest.mark.parametrize(
    "text",
    [
        b"CREATE TABLE `t` (`id` int)",
        b"/*!50001 CREATE ALGORITHM=UNDEFINED */ /*!50001 VIEW `v` AS select 1 */",
        b"INSERT INTO `t` VALUES (1,'LOAD_FILE(x)')",
        b"LOCK TABLES `t` WRITE",
        b"/*!40000 ALTER TABLE `t` DISABLE KEYS */",
        b"/*!40101 SET @OLD_SQL_MODE=@@SQL_MODE, SQL_MODE='NO_AUTO_VALUE_ON_ZERO' */",
        b"DO SETVAL(`seq`, 1, 0)",
        b"/*!80002 ANALYZE TABLE `t` UPDATE HISTOGRAM ON `a` WITH 10 BUCKETS */",
        b"START TRANSACTION",
    ],
)
def test_what_a_dump_needs_is_run(text: bytes) -> None:
    assert decide(text, "shop").do == "run"


@pytest.mark.parametrize(
    "text",
    [
        b"\\! touch /tmp/owned\n",
        b"system touch /tmp/owned\n",
        b"SELECT 'x' INTO OUTFILE '/tmp/owned'",
        b"/*!50000 SELECT 'x' INTO DUMPFILE '/tmp/owned' */",
        b"INSERT INTO `t` VALUES (1, load_file ('/etc/passwd'))",
        b"REPLACE INTO `t` VALUES (1, LOAD_FILE('/etc/passwd'))",
        b"SET @a = LOAD_FILE('/etc/passwd')",
        b"LOAD DATA INFILE '/etc/passwd' INTO TABLE t",
        b"INSTALL PLUGIN x SONAME 'x.so'",
        b"CREATE FUNCTION f RETURNS STRING SONAME 'udf.so'",
        b"CREATE AGGREGATE FUNCTION f RETURNS STRING SONAME 'udf.so'",
        b"SET GLOBAL general_log_file = '/tmp/owned'",
        b"SET @@global.event_scheduler = ON",
        b"SET PERSIST event_scheduler = ON",
        b"SET STATEMENT max_statement_time = 1 FOR DELETE FROM mysql.user",
        b"DELETE FROM `t`",
        b"UPDATE mysql.user SET x = 1",
        b"CALL p()",
        b"EXECUTE s",
        b"SHUTDOWN",
        b"HANDLER t OPEN",
        b"CREATE SERVER s FOREIGN DATA WRAPPER mysql OPTIONS (HOST '127.0.0.1')",
    ],
)
def test_what_no_dump_needs_is_refused_and_named(text: bytes) -> None:
    decision = decide(text, "shop")

    assert decision.do == "refuse"
    assert decision.why


def test_deleting_from_the_accounts_is_refused_even_among_system_tables() -> None:
    assert decide(b"DELETE FROM user", "mysql").do == "refuse"
    assert decide(b"INSERT INTO `db` VALUES (1)", "mysql").do == "leave out"


@pytest.mark.parametrize(
    "text",
    [
        b"CREATE USER a@b IDENTIFIED BY 'secret'",
        b"GRANT ALL ON *.* TO a@b",
        b"/*!80001 ALTER USER 'a'@'b' DEFAULT ROLE NONE */",
        b"SET PASSWORD FOR a@b = 'secret'",
        b"SELECT COALESCE(CURRENT_ROLE(),'NONE') into @current_role",
        b"EXECUTE IMMEDIATE CONCAT('SET ROLE ', @current_role)",
    ],
)
def test_accounts_are_not_restored_and_that_is_known(text: bytes) -> None:
    assert decide(text, "shop").do == "account"


@pytest.mark.parametrize(
    "text",
    [
        b"SET @@GLOBAL.GTID_PURGED=/*!80000 '+'*/ 'a91f63c5-e754-11f1-ab8d-02fc00000001:1-10'",
        b"SET @@SESSION.SQL_LOG_BIN= 0",
        b"SET GLOBAL gtid_slave_pos='0-1-10'",
        b"/*!50606 SET GLOBAL INNODB_STATS_AUTO_RECALC=OFF */",
        b"CHANGE MASTER TO MASTER_LOG_FILE='binlog.000001', MASTER_LOG_POS=4",
        b"USE `mysql`",
        b"CREATE DATABASE IF NOT EXISTS `sys`",
        b"FLUSH PRIVILEGES",
    ],
)
def test_what_the_bench_has_no_use_for_is_left_out_with_the_reason(text: bytes) -> None:
    decision = decide(text, "shop")

    assert decision.do == "leave out"
    assert decision.why


def test_use_enters_a_schema_and_create_database_only_names_it() -> None:
    use = decide(b"USE `a``b`", "")
    create = decide(b"CREATE DATABASE /*!32312 IF NOT EXISTS*/ `shop` /*!40100 DEFAULT CHARACTER SET utf8mb4 */", "")

    assert (use.schema, use.enters) == ("a`b", True)
    assert (create.schema, create.enters) == ("shop", False)


@pytest.mark.parametrize(
    ("text", "run"),
    [
        (b"CREATE DEFINER=`root`@`localhost` PROCEDURE `p`() SELECT 1", b"CREATE  PROCEDURE `p`() SELECT 1"),
        (
            b"/*!50003 CREATE*/ /*!50017 DEFINER=`o``dd`@`%`*/ /*!50003 TRIGGER `p` BEFORE INSERT ON t x */",
            b"/*!50003 CREATE*/ /*!50017 */ /*!50003 TRIGGER `p` BEFORE INSERT ON t x */",
        ),
        (
            b"CREATE DEFINER=CURRENT_USER() FUNCTION `p`() RETURNS int RETURN 1",
            b"CREATE  FUNCTION `p`() RETURNS int RETURN 1",
        ),
        (b"CREATE PROCEDURE `p`() SELECT 'DEFINER=`x`@`y`'", b"CREATE PROCEDURE `p`() SELECT 'DEFINER=`x`@`y`'"),
    ],
)
def test_a_definer_is_taken_away_because_its_account_is_not_restored(text: bytes, run: bytes) -> None:
    decision = decide(text, "shop")

    assert decision.text == run
    assert decision.makes is not None
    assert (decision.makes.schema, decision.makes.name) == ("shop", "p")


def test_files_of_a_table_stay_on_the_bench() -> None:
    text = b"CREATE TABLE `t` (`a` int COMMENT 'DATA DIRECTORY=''/x''') ENGINE=InnoDB DATA DIRECTORY='/srv/fast/'"

    assert decide(text, "shop").text == b"CREATE TABLE `t` (`a` int COMMENT 'DATA DIRECTORY=''/x''') ENGINE=InnoDB "


def test_rows_are_counted_only_where_each_is_new_or_an_error() -> None:
    plain = decide(b"INSERT INTO `t` VALUES (1)", "shop")
    ignored = decide(b"INSERT  IGNORE INTO `other`.`t` VALUES (1)", "shop")

    assert (plain.fills, plain.counts) == (("shop", "t"), True)
    assert (ignored.fills, ignored.counts) == (("other", "t"), False)
    assert not decide(b"REPLACE INTO `t` VALUES (1)", "shop").counts


def test_an_object_is_known_by_its_kind_and_place() -> None:
    view = decide(b"CREATE ALGORITHM=UNDEFINED DEFINER=`r`@`%` SQL SECURITY DEFINER VIEW `v` AS select 1", "shop")

    assert view.makes == Named("view", "shop", "v")


def test_no_password_is_ever_shown() -> None:
    assert shown(b"CREATE USER a@b IDENTIFIED BY 'secret'") == "CREATE USER a@b"
    assert "secret" not in shown(b"SET PASSWORD FOR a@b = PASSWORD('secret')")
