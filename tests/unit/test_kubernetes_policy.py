"""The roles: made of the table of calls, and narrowed to the namespaces of an environment."""

from __future__ import annotations

from pathlib import Path

import yaml
from click.testing import CliRunner

from ftchaos.cli import policy as command
from ftchaos.platforms.kubernetes import policy
from ftchaos.platforms.kubernetes.calls import CALLS, KINDS, RESOURCES, Action, needed

HARMFUL = {"patch", "delete", "update", "deletecollection"}


def test_reading_changes_nothing() -> None:
    rules = [rule for document in policy.documents("read", ["app"]) for rule in document["rules"]]
    creates = [rule["resources"] for rule in rules if "create" in rule["verbs"]]

    assert set() == HARMFUL & {verb for rule in rules for verb in rule["verbs"]}
    assert [["selfsubjectaccessreviews"]] == creates


def test_faults_are_allowed_in_the_listed_namespaces_and_beyond_them_on_nodes_alone() -> None:
    cluster, *roles = policy.documents("faults", ["app", "queue"])
    beyond = {rule["resources"][0]: rule["verbs"] for rule in cluster["rules"] if HARMFUL & set(rule["verbs"])}

    assert {"nodes": ["create", "delete", "get", "list", "patch", "watch"]} == beyond
    assert ["app", "queue"] == [role["metadata"]["namespace"] for role in roles]
    assert ["kube-system", "app", "queue"] == next(
        rule["resourceNames"] for rule in cluster["rules"] if rule["resources"] == ["namespaces"]
    )


def test_only_the_secret_with_the_account_of_the_database_may_be_read() -> None:
    _, app, queue = policy.documents("faults", ["app", "queue"], secret="queue/account")
    rules = [rule for role in (app, queue) for rule in role["rules"] if rule["resources"] == ["secrets"]]

    assert [{"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["account"], "verbs": ["get"]}] == rules
    assert rules[0] in queue["rules"]


def test_no_rule_has_a_wildcard() -> None:
    for kind in KINDS:
        for document in policy.documents(kind):
            for rule in document["rules"]:
                assert "*" not in [*rule["apiGroups"], *rule["resources"], *rule["verbs"]]


def test_each_line_of_the_table_stands_there_once() -> None:
    assert len(CALLS) == len({(one.kind, one.verb, one.resource, one.everywhere) for one in CALLS})
    assert set() == {one.resource for one in CALLS} ^ set(RESOURCES)


def test_fault_asks_for_what_its_manner_calls_and_no_more() -> None:
    drain = needed("drain", ["app"])

    assert Action("create", "pods/eviction", "app") in drain
    assert Action("patch", "nodes") in drain
    assert Action("delete", "pods", "app") not in drain
    assert "create pods/eviction in app" == str(Action("create", "pods/eviction", "app"))


def test_command_prints_roles_for_kubectl(tmp_path: Path) -> None:
    config = tmp_path / "ftchaos.yaml"
    config.write_text(
        "environments: {staging: {platform: kubernetes, kubernetes: {context: staging, namespaces: [app]}}}"
    )
    done = CliRunner().invoke(
        command.policy, ["kubernetes", "--kind", "read", "--environment", "staging", "--config", str(config)]
    )

    assert 0 == done.exit_code
    assert [("ClusterRole", None), ("Role", "app")] == [
        (one["kind"], one["metadata"].get("namespace")) for one in yaml.safe_load_all(done.output)
    ]
