"""Flows between places, and the packet filter's words for them."""

from __future__ import annotations

from ftchaos.platforms.lab.flows import Flow, from_json, into, out_of, ruleset, served_by, used_by


def test_without_flows_the_table_is_only_taken_away() -> None:
    assert "table bridge ftchaos\ndelete table bridge ftchaos\n" == ruleset([])


def test_each_flow_is_one_rule() -> None:
    text = ruleset([*into("zone-a"), *out_of("zone-b"), Flow("zone-a", "zone-b", source_port=3306)])

    assert '    oifname "zone-a" drop\n' in text
    assert '    iifname "zone-b" drop\n' in text
    assert '    iifname "zone-a" oifname "zone-b" tcp sport 3306 drop\n' in text


def test_a_server_is_cut_off_in_both_directions_but_its_zone_may_use_others() -> None:
    flows = served_by("zone-a", [3306])

    assert ["zone-a:3306 -> anywhere", "anywhere -> zone-a:3306"] == [str(flow) for flow in flows]


def test_clients_of_a_zone_are_cut_off_from_servers_elsewhere() -> None:
    flows = used_by("zone-a", [7001])

    assert ["zone-a -> anywhere:7001", "anywhere:7001 -> zone-a"] == [str(flow) for flow in flows]


def test_flows_survive_the_undo_log() -> None:
    flows = served_by("zone-a", [7001, 7002], ["zone-b", "zone-c"])

    assert flows == from_json([flow.to_json() for flow in flows])
