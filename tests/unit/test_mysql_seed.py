"""The seeded rows as statements: equal for equal sizes, complete, and never too few."""

from __future__ import annotations

import pytest

from ftchaos.errors import Invalid
from ftchaos.mysql import seed, template


def test_equal_sizes_give_equal_statements() -> None:
    assert seed.batches(seed.units(64 * 2**20)) == seed.batches(seed.units(64 * 2**20))


def test_nothing_in_the_rows_is_left_to_chance_or_to_the_clock() -> None:
    said = " ".join(batch.sql for batches in seed.batches(25_000).values() for batch in batches).upper()

    assert not [word for word in ("RAND(", "UUID(", "NOW(", "CURRENT_", "SYSDATE") if word in said]


def test_the_chunks_of_a_table_cover_it_without_a_gap() -> None:
    planned = seed.batches(25_001)

    assert [batch.units for batch in planned["filetransfer.files"]] == [10_000, 10_000, 5_001]
    assert "(20001 + n) * 1 AS i" in planned["filetransfer.files"][2].sql
    assert sum(batch.units for batch in planned["filetransfer.transfer_events"]) == 75_003


def test_every_table_of_the_schema_but_the_ledger_is_seeded() -> None:
    assert {*seed.batches(5000), "ftchaos.ledger_writes"} == set(template.TABLES)


def test_every_table_that_the_schema_makes_is_known() -> None:
    made = [text.split()[2] for text in template.schema_statements() if text.startswith("CREATE TABLE")]

    assert made == list(template.TABLES)


def test_a_size_that_would_prove_nothing_is_refused() -> None:
    with pytest.raises(Invalid, match="too few to prove"):
        seed.units(2**20)
