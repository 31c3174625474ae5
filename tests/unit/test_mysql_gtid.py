"""GTID positions as data: which server has more, and is one server's history part of another's."""

from __future__ import annotations

import pytest

from ftchaos.errors import Invalid
from ftchaos.mysql import gtid

A, B = "3e11fa47-71ca-11e1-9e33-c80aa9429562", "4e11fa47-71ca-11e1-9e33-c80aa9429562"


def test_mariadb_progress_counts_the_highest_of_each_domain() -> None:
    assert gtid.mariadb_progress("0-1-100,0-2-205,7-1-5") == 210
    assert gtid.mariadb_progress("") == 0


def test_mariadb_history_contains_what_each_server_wrote_up_to_there() -> None:
    history = "0-1-498,0-2-520"

    assert gtid.mariadb_contains(history, "0-1-498")
    assert gtid.mariadb_contains(history, "0-2-501")
    assert gtid.mariadb_contains(history, "")


def test_mariadb_tail_of_an_old_primary_is_not_in_the_history_of_the_new_one() -> None:
    assert not gtid.mariadb_contains("0-1-498,0-2-520", "0-1-500")
    assert not gtid.mariadb_contains("", "0-1-1")


def test_a_text_that_is_no_mariadb_position_is_refused() -> None:
    with pytest.raises(Invalid, match="no MariaDB GTID"):
        gtid.mariadb_progress("0-1")


def test_oracle_sets_are_read_with_gaps_spaces_and_tags() -> None:
    assert gtid.oracle_intervals(f"{A}:1-5:7,\n{B}:3:backup:1-2") == {
        A: [(1, 5), (7, 7)],
        B: [(3, 3)],
        f"{B}:backup": [(1, 2)],
    }


def test_oracle_progress_counts_transactions() -> None:
    assert gtid.oracle_progress(f"{A}:1-5:7,{B}:1-10") == 16
    assert gtid.oracle_progress("") == 0


def test_oracle_history_contains_only_whole_intervals() -> None:
    assert gtid.oracle_contains(f"{A}:1-10", f"{A}:3-5:9")
    assert not gtid.oracle_contains(f"{A}:1-10:12", f"{A}:9-12")
    assert not gtid.oracle_contains(f"{A}:1-10", f"{B}:1")


def test_oracle_union_joins_neighbouring_intervals() -> None:
    assert gtid.oracle_union(f"{A}:1-5", f"{A}:6-9:11,{B}:2") == f"{A}:1-9:11,{B}:2"
    assert gtid.oracle_union("", "") == ""


@pytest.mark.parametrize("text", [A, f"{A}:1-x", f"{A}:x:y:1-z"])
def test_a_text_that_is_no_gtid_set_is_refused(text: str) -> None:
    with pytest.raises(Invalid, match="no MySQL GTID set"):
        gtid.oracle_intervals(text)
