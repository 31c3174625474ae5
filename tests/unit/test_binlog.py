"""Binary logs of both flavours, recorded from real servers, read event by event."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from zlib import crc32

import pytest

from ftchaos.mysql.binlog import Damaged, Head, Tail, Torn, Transaction, head, transactions

LOGS = Path(__file__).parent / "binlogs"
FLAVOURS = ("mariadb", "mysql")
MYSQL_UUID = "8a0e4f40-e753-11f1-99de-02fc00000001"


def read(data: bytes) -> tuple[Head, list[Transaction], Tail]:
    about, tail = head(memoryview(data)), Tail()
    return about, list(transactions(memoryview(data), about, tail)), tail


def log(flavour: str, number: int) -> bytes:
    return (LOGS / flavour / f"binlog.{number:06}").read_bytes()


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_head_says_who_wrote_the_log_and_what_had_gone_before(flavour: str) -> None:
    about, _, tail = read(log(flavour, 2))

    assert (about.flavour, about.server_id, about.checksums) == (flavour, 7, True)
    assert str(about.before) == ("0-7-3" if flavour == "mariadb" else f"{MYSQL_UUID}:1-3")
    assert (tail.closed, tail.next_name) == (True, "binlog.000003")


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_transactions_follow_each_other_without_a_byte_between(flavour: str) -> None:
    numbers = []
    for number in (1, 2, 3, 4):
        _, found, tail = read(log(flavour, number))
        assert [one.end for one in found[:-1]] == [one.begin for one in found[1:]]
        assert tail.whole == len(log(flavour, number))
        numbers += [one.number for one in found if "drill" not in one.source]

    assert numbers == list(range(1, 13))


def test_savepoint_that_is_rolled_back_does_not_end_a_transaction() -> None:
    for flavour in FLAVOURS:
        _, found, _ = read(log(flavour, 2))

        assert [one.number for one in found] == [4, 5]


def test_mysql_commit_time_has_microseconds_and_mariadb_seconds() -> None:
    _, mysql, _ = read(log("mysql", 1))
    _, mariadb, _ = read(log("mariadb", 1))

    assert mysql[2].at_s == pytest.approx(1795448146.970438, abs=1e-6)
    assert mariadb[2].at_s == 1795448132.0


def test_mysql_tagged_ids_are_sources_of_their_own() -> None:
    _, found, _ = read(log("mysql", 4))

    assert [one.gtid.removeprefix(MYSQL_UUID) for one in found] == [":10", ":11", ":drill:1", ":drill:2", ":12"]
    assert found[2].at_s == pytest.approx(found[4].at_s, abs=3)


def test_mysql_tags_in_the_head_are_read() -> None:
    # The head of a log after tagged transactions, as MySQL 9.7 wrote it; 8.0 has no format bytes and no tags.
    body = bytes.fromhex(
        "010200000000000177860e5fe75111f1b10802fc000000010001000000000000000100000000000000de0700000000000077860e5f"
        "e75111f1b10802fc000000010a6472696c6c010000000000000001000000000000000300000000000000"
    )
    first = log("mysql", 1)
    description = first[4:127]
    size = 19 + len(body) + 4
    event = (
        bytes(4) + b"\x23" + first[9:13] + size.to_bytes(4, "little") + (127 + size).to_bytes(4, "little") + b"\x80\0"
    )
    event += body
    event += crc32(event).to_bytes(4, "little")

    about = head(memoryview(first[:4] + description + event + b"\0"))

    assert str(about.before) == (
        "77860e5f-e751-11f1-b108-02fc00000001:1-2013,77860e5f-e751-11f1-b108-02fc00000001:drill:1-2"
    )


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_log_cut_anywhere_is_torn_and_keeps_its_whole_transactions(flavour: str) -> None:
    data = log(flavour, 2)
    about, whole, _ = read(data)
    for size in range(about.body + 1, len(data)):
        tail, found = Tail(), []
        with suppress(Torn):
            for one in transactions(memoryview(data[:size]), about, tail):
                found.append(one)
        assert found == [one for one in whole if one.end <= size]
        assert not tail.closed


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_log_that_ends_in_zeros_is_torn(flavour: str) -> None:
    data = log(flavour, 2)
    with pytest.raises(Torn, match="zeros"):
        read(data + bytes(512))


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_flipped_bit_anywhere_is_damage_and_never_a_torn_tail(flavour: str) -> None:
    data = log(flavour, 2)
    _, whole, _ = read(data)
    in_use = 4 + 17  # the one byte whose lowest bit a server flips itself, while it writes the log
    for offset in range(len(data)):
        for bit in (1, 64):
            flipped = bytearray(data)
            flipped[offset] ^= bit
            if (offset, bit) == (in_use, 1):
                assert read(bytes(flipped))[1] == whole
                continue
            with pytest.raises(Damaged) as caught:
                read(bytes(flipped))
            assert not isinstance(caught.value, Torn), (offset, bit)


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_event_cut_out_of_the_middle_is_damage(flavour: str) -> None:
    data = log(flavour, 2)
    _, found, _ = read(data)
    with pytest.raises(Damaged, match="not where it says"):
        read(data[: found[0].begin] + data[found[0].end :])


def test_what_is_no_log_or_encrypted_is_named() -> None:
    for data, words in ((b"-- MariaDB dump", "not a binary log"), (b"\xfdbin" + bytes(600), "encrypted")):
        with pytest.raises(Damaged, match=words) as caught:
            read(data)
        assert not isinstance(caught.value, Torn)


def test_incident_event_is_damage() -> None:
    data = bytearray(log("mariadb", 2))
    _, found, _ = read(bytes(data))
    rotate = found[-1].end
    data[rotate + 4] = 26
    data[-4:] = crc32(data[rotate:-4]).to_bytes(4, "little")

    with pytest.raises(Damaged, match="lost events"):
        read(bytes(data))
