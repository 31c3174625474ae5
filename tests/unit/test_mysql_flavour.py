"""What differs between the flavours, as words: options, statements by version, texts quoted for SQL."""

from __future__ import annotations

from pathlib import Path

import pytest

from ftchaos.errors import Invalid
from ftchaos.mysql import flavour, replication
from ftchaos.mysql.mariadb import MariaDB
from ftchaos.mysql.oracle import OracleMySQL

MARIADB = MariaDB("/usr/sbin/mariadbd", (10, 11, 19), "10.11.19-MariaDB")
OLD = OracleMySQL((), (Path("/bin"),), {}, (8, 0, 26), "8.0.26")
NEW = OracleMySQL((), (Path("/bin"),), {}, (9, 7, 4), "9.7.4")


def test_a_later_layer_overrules_an_earlier_one_whichever_dashes_it_writes() -> None:
    argv = flavour.option_argv({"read-only": 1, "port": 3306}, {"read_only": 0, "skip_networking": None})

    assert argv == ["--read-only=0", "--port=3306", "--skip-networking"]


@pytest.mark.parametrize("server", [MARIADB, NEW], ids=["mariadb", "mysql"])
def test_a_server_is_durable_and_begins_read_only(server: flavour.Flavour, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(OracleMySQL, "program", lambda self, name: ["mysqld", "--no-defaults"])
    argv = server.server_argv(Path("/data"), server_id=7, bind="10.77.0.11", port=3306, options={"max-connections": 9})

    assert argv[1] == "--no-defaults"
    assert {"--sync-binlog=1", "--innodb-flush-log-at-trx-commit=1", "--read-only=1", "--log-bin=binlog"} <= set(argv)
    assert {"--bind-address=10.77.0.11", "--port=3306", "--server-id=7", "--socket=mysql.sock"} <= set(argv)
    assert [option for option in argv if "max-connections" in option] == ["--max-connections=9"]


@pytest.mark.parametrize("server", [MARIADB, NEW], ids=["mariadb", "mysql"])
def test_a_server_without_an_address_has_no_network(server: flavour.Flavour, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(OracleMySQL, "program", lambda self, name: ["mysqld", "--no-defaults"])
    argv = server.server_argv(Path("/data"), server_id=1, bind=None, port=3306)

    assert "--skip-networking" in argv
    assert not [option for option in argv if option.startswith(("--port", "--bind"))]


def test_each_version_of_mysql_hears_its_own_words() -> None:
    assert OLD.empty_binlog() == "RESET MASTER"
    assert NEW.empty_binlog() == "RESET BINARY LOGS AND GTIDS"
    named = [option for server in (OLD, NEW) for option in server._log_size()]
    assert named == ["innodb-log-file-size", "innodb-redo-log-capacity"]


def test_a_password_with_quotes_and_backslashes_stays_one_literal() -> None:
    assert flavour.quoted("it's \\ here") == "'it''s \\\\ here'"
    with pytest.raises(Invalid):
        flavour.quoted("a\0b")


def test_replication_statements_carry_the_password_as_a_literal() -> None:
    for server in (MARIADB, NEW):
        [change] = [text for text in server.replicate_from("10.0.0.1", 3306, "replication", "o'k") if "CHANGE" in text]
        assert "'o''k'" in change


def test_the_server_that_received_most_is_chosen() -> None:
    received = {"mysql-b": "0-1-99", "mysql-c": "0-1-100"}

    assert replication.most_advanced(MARIADB, received) == "mysql-c"


def test_of_equals_the_preferred_is_chosen_else_the_first() -> None:
    received = {"mysql-c": "0-1-100", "mysql-b": "0-1-100", "mysql-a": "0-1-100"}

    assert replication.most_advanced(MARIADB, received) == "mysql-a"
    assert replication.most_advanced(MARIADB, received, prefer="mysql-c") == "mysql-c"


def test_a_flavour_that_does_not_exist_is_refused() -> None:
    with pytest.raises(Invalid, match="no server flavour"):
        flavour.find("postgres")
