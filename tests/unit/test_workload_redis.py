"""What writers to Redis know without a server: the protocol, hash slots, and what nodes say."""

from __future__ import annotations

import pytest
from redis.crc import key_slot

from ftchaos.errors import Invalid
from ftchaos.ledger import Outcome
from ftchaos.workload import cluster, fate
from ftchaos.workload.resp import Refusal, Reply, command, parse

# The protocol --------------------------------------------------------------------------------------------------

REPLIES: list[tuple[bytes, Reply]] = [
    (b"+OK\r\n", "OK"),
    (b"-MOVED 3999 10.0.0.1:6381\r\n", Refusal("MOVED 3999 10.0.0.1:6381")),
    (b":-12\r\n", -12),
    (b"$5\r\nab\r\nc\r\n", b"ab\r\nc"),
    (b"$0\r\n\r\n", b""),
    (b"$-1\r\n", None),
    (b"*-1\r\n", None),
    (b"*0\r\n", []),
    (b"*3\r\n$1\r\na\r\n$-1\r\n*1\r\n:1\r\n", [b"a", None, [1]]),
]


@pytest.mark.parametrize(("data", "reply"), REPLIES, ids=[str(reply) for _, reply in REPLIES])
def test_reply_is_read_when_it_is_whole_and_not_before(data: bytes, reply: Reply) -> None:
    assert (reply, len(data)) == parse(data)
    assert (reply, len(data) + 3) == parse(b"xyz" + data + b"+more", 3)
    assert all(parse(data[:end]) is None for end in range(len(data)))


def test_refusal_is_no_word_of_success() -> None:
    (reply, _) = parse(b"-READONLY You can't write against a read only replica.\r\n") or (None, 0)

    assert isinstance(reply, Refusal)
    assert "READONLY" == reply.kind


@pytest.mark.parametrize(
    "data", [b"HTTP/1.1 400 Bad Request\r\n", b"$x\r\n", b"$1\r\nabc", b"\r\n", b"*1\r\n" * 50 + b":1\r\n"], ids=str
)
def test_what_is_no_reply_is_an_error(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"repl|int"):
        parse(data)


def test_command_carries_its_words_byte_for_byte() -> None:
    assert b"*3\r\n$3\r\nSET\r\n$3\r\n\xc3\xa4x\r\n$2\r\n12\r\n" == command("SET", "äx", 12)
    assert b"*1\r\n$4\r\na\r\nb\r\n" == command(b"a\r\nb")


# What an answer says -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("replies", "outcome"),
    [
        (["OK"], Outcome.ACKNOWLEDGED),
        (["OK", 1], Outcome.ACKNOWLEDGED),
        (["OK", 0], Outcome.INDETERMINATE),
        (["OK", Refusal("ERR WAIT cannot be used with replica instances")], Outcome.INDETERMINATE),
        (["OK", None], Outcome.INDETERMINATE),
        ([None], Outcome.INDETERMINATE),
        ([b"OK"], Outcome.INDETERMINATE),
        ([Refusal("WHATEVER new kind of error")], Outcome.INDETERMINATE),
        ([Refusal("MOVED 1 10.0.0.1:6379"), 1], Outcome.FAILED),
        ([Refusal("READONLY You can't write"), Refusal("ERR WAIT cannot")], Outcome.FAILED),
        ([Refusal("CLUSTERDOWN The cluster is down"), 0], Outcome.FAILED),
        ([Refusal("LOADING Redis is loading the dataset in memory")], Outcome.FAILED),
        ([Refusal("ERR unknown command")], Outcome.FAILED),
        ([Refusal("MISCONF Redis is configured to save RDB snapshots")], Outcome.FAILED),
    ],
    ids=str,
)
def test_key_is_acknowledged_only_when_all_was_answered_as_it_should(replies: list[Reply], outcome: Outcome) -> None:
    assert outcome is fate.of_replies(replies)


# Slots ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "key", ["", "a", "foo{bar}baz", "foo{}bar", "foo{{bar}}zap", "foo{bar}{zap}", "}{", "{", "a{b", "ключ{я}"]
)
def test_slot_is_what_redis_makes_of_a_key(key: str) -> None:
    assert key_slot(key.encode()) == cluster.slot_of(key)


@pytest.mark.parametrize(("first", "last"), [(0, 5460), (5461, 10921), (10922, 16383), (0, 0), (16383, 16383), (7, 7)])
def test_keys_with_a_tag_lie_in_its_range(first: int, last: int) -> None:
    tag = cluster.tag(first, last)

    assert first <= cluster.slot_of(cluster.key_prefix(tag, "ab" * 16) + "1234") <= last
    assert tag == cluster.tag(first, last)


@pytest.mark.parametrize(("first", "last"), [(-1, 5), (5, 4), (0, 16384)])
def test_range_of_slots_that_cannot_be_has_no_tag(first: int, last: int) -> None:
    with pytest.raises(Invalid, match="no range of hash slots"):
        cluster.tag(first, last)


# What nodes say ------------------------------------------------------------------------------------------------

A, B, C = "a" * 40, "b" * 40, "c" * 40
NODES = f"""{A} 10.0.0.1:6379@16379,zone-a.example master - 0 0 1 connected 0-99 200 [300->-{B}]
{B} 10.0.0.2:6379@16379 myself,master - 0 0 2 connected 100-199 201-16383
{C} :0@0 slave,noaddr {A} 0 0 1 disconnected
"""


def test_node_says_what_it_has_and_where_the_others_are() -> None:
    seen = cluster.view(NODES)

    assert B == seen.myself
    assert {A: ("10.0.0.1", 6379), B: ("10.0.0.2", 6379)} == seen.addresses
    assert [A, A, B, A, B] == [seen.owner(slot) for slot in (0, 99, 100, 200, 300)]
    assert (False, True) == (seen.claims(0), seen.claims(150))


def test_ipv6_address_is_an_address() -> None:
    assert {A: ("2001:db8::1", 6379)} == cluster.view(f"{A} 2001:db8::1:6379@16379 myself,master - 0 0 1 connected")\
        .addresses  # fmt: skip


@pytest.mark.parametrize("text", ["", "a b", NODES.replace("myself,", ""), f"{A} x:y@z myself - 0 0 1 connected 1-x"])
def test_what_no_node_says_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        cluster.view(text)


def view(myself: str, owner: str) -> cluster.View:
    return cluster.View(myself, ((0, 16383, owner),), {})


HERE, THERE, ELSEWHERE = ("10.0.0.1", 1), ("10.0.0.2", 1), ("10.0.0.3", 1)


def test_masters_are_those_that_all_agree_on() -> None:
    assert {5: THERE} == cluster.agreed([(HERE, view(A, B)), (THERE, view(B, B)), (ELSEWHERE, view(C, B))], [5])


@pytest.mark.parametrize(
    ("views", "said"),
    [
        ([(HERE, view(A, A)), (THERE, view(B, B))], "do not agree"),
        ([(HERE, view(A, B)), (ELSEWHERE, view(C, B))], "the master of slot 5 does not answer"),
        ([(HERE, cluster.View(A, ((0, 4, A),), {}))], "nobody has slot 5"),
    ],
)
def test_cluster_that_does_not_agree_has_no_masters(
    views: list[tuple[cluster.Address, cluster.View]], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        cluster.agreed(views, [5])


def test_kinds_say_where_their_writes_lie() -> None:
    kinds = ["redis-a", "redis-wait-b", "redis-inside-c", "mysql", "mysql-inside", "uploads", "rediscluster"]

    assert [True, True, True, False, False, False, False] == [cluster.lies_in_redis(kind) for kind in kinds]
    assert ["a", "b", "c"] == [cluster.shard_of(kind) for kind in kinds[:3]]
