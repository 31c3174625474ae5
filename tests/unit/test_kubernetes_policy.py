"""The roles: made of the table of calls, and narrowed to the namespaces of an environment."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from ftchaos.cli import policy as command
from ftchaos.platforms.kubernetes import drift, manifests, policy
from ftchaos.platforms.kubernetes.calls import CALLS, DISCOVERY, KINDS, RESOURCES, Action, Kind, needed

HARMFUL = {"patch", "delete", "update", "deletecollection"}


def test_reading_changes_nothing() -> None:
    rules = [rule for document in policy.documents("read", ["app"]) for rule in document["rules"]]
    creates = [rule["resources"] for rule in rules if "create" in rule["verbs"]]

    assert set() == HARMFUL & {verb for rule in rules for verb in rule["verbs"]}
    assert [["selfsubjectaccessreviews"]] == creates


def test_faults_are_allowed_in_the_listed_namespaces_and_beyond_them_on_nodes_alone() -> None:
    cluster, *roles, _ = policy.documents("faults", ["app", "queue"])
    beyond = {rule["resources"][0]: rule["verbs"] for rule in cluster["rules"] if HARMFUL & set(rule["verbs"])}

    assert {"nodes": ["create", "delete", "get", "list", "patch", "watch"]} == beyond
    assert ["app", "queue"] == [role["metadata"]["namespace"] for role in roles]
    assert ["kube-system", "app", "queue"] == next(
        rule["resourceNames"] for rule in cluster["rules"] if rule["resources"] == ["namespaces"]
    )


def test_only_the_secrets_with_the_accounts_of_the_stores_may_be_read() -> None:
    _, app, queue, vault, _ = policy.documents("faults", ["app", "queue"], secrets=["queue/db", "vault/b", "vault/a"])
    rules = [[rule for rule in role["rules"] if rule["resources"] == ["secrets"]] for role in (app, queue)]
    rule = {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}

    assert [[], [{**rule, "resourceNames": ["db"]}]] == rules
    assert ("vault", [{**rule, "resourceNames": ["a", "b"]}]) == (vault["metadata"]["namespace"], vault["rules"])
    assert "secrets" not in str(policy.documents("read", ["app"], secrets=["app/db", "vault/a"]))


def test_whoever_harms_may_take_the_one_lease_of_the_cluster_and_who_reads_may_not() -> None:
    for kind in ("faults", "configuration"):
        *others, role = policy.documents(kind, ["app"], lease_namespace="locks")  # type: ignore[arg-type]
        rules = [(rule["verbs"], rule.get("resourceNames")) for rule in role["rules"]]

        assert ("ftchaos-lease", "locks") == (role["metadata"]["name"], role["metadata"]["namespace"])
        assert [(["create"], None), (["get", "patch"], ["ftchaos"])] == rules
        assert not any("leases" in rule.get("resources", ()) for one in others for rule in one["rules"])
    assert "leases" not in str(policy.documents("read", ["app"]))


def test_no_role_for_losing_a_namespace_is_in_it_and_all_that_is_read_there_is_allowed_everywhere() -> None:
    cluster, _ = policy.documents("configuration", ["app"])
    allowed = {(verb, rule.get("resources", [DISCOVERY])[0]) for rule in cluster["rules"] for verb in rule["verbs"]}

    assert set() == {(one.verb, one.resource) for one in CALLS if one.kind in ("read", "configuration")} - allowed
    assert {"nonResourceURLs": ["/api/*", "/apis", "/apis/*"], "verbs": ["get"]} in cluster["rules"]


def test_no_rule_has_a_wildcard_but_that_whoever_deletes_namespaces_may_list_all_that_they_hold() -> None:
    found = []
    for kind in KINDS:
        for document in policy.documents(kind):
            for rule in document["rules"]:
                if "*" in [*rule.get("apiGroups", ()), *rule.get("resources", ()), *rule["verbs"]]:
                    found.append((kind, rule))

    assert [("configuration", {"apiGroups": ["*"], "resources": ["*"], "verbs": ["list"]})] == found


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


def test_command_allows_to_read_each_secret_that_the_environment_names(tmp_path: Path) -> None:
    config = tmp_path / "ftchaos.yaml"
    stores = "mysql: {service: app/db, secret: app/db}, redis: {service: app/cache, secret: app/cache}"
    place = f"{{context: staging, namespaces: [app], {stores}}}"
    config.write_text(f"environments: {{staging: {{platform: kubernetes, kubernetes: {place}}}}}")
    done = CliRunner().invoke(command.policy, ["kubernetes", "--environment", "staging", "--config", str(config)])
    rules = [rule for one in yaml.safe_load_all(done.output) for rule in one["rules"]]

    assert [["cache", "db"]] == [rule["resourceNames"] for rule in rules if rule.get("resources") == ["secrets"]]


def _printed(account: str, kind: str) -> dict[tuple[str, str, str], dict[str, Any]]:
    asked = ["kubernetes", "--kind", kind, "--account", account]
    documents = yaml.safe_load_all(CliRunner().invoke(command.policy, asked, catch_exceptions=False).output)
    return {
        (one["kind"], one["metadata"].get("namespace", ""), one["metadata"]["name"]): one
        for one in documents
        if one["kind"].endswith("Binding")
    }


def test_no_binding_takes_the_place_of_one_of_another_account_or_another_role() -> None:
    accounts = ("staging/ftchaos", "prod/ftchaos", "a/b-c", "a-b/c", "a/b.c")
    printed = [_printed(account, kind) for account in accounts for kind in KINDS]
    of_kinds = [set(one) for one in printed if not any("ftchaos-lease" in name for _, _, name in one)]
    every = [name for one in printed for name in one if not name[2].endswith(".ftchaos-lease")]
    leases = {name for one in printed for name in one if name[2].endswith(".ftchaos-lease")}

    assert len(every) == len(set(every))
    assert len(accounts) == len(of_kinds) == len(leases)  # the lock is the same for whatever harms
    assert ("ClusterRoleBinding", "", "prod.ftchaos.ftchaos-faults") in every


@pytest.mark.parametrize("kind", KINDS)
def test_no_role_takes_the_place_of_that_of_another_environment_in_the_cluster(kind: Kind) -> None:
    made = {
        environment: {
            (one["kind"], one["metadata"].get("namespace", ""), one["metadata"]["name"]): one["rules"]
            for one in policy.documents(kind, [f"app-{environment}"], environment=environment)
        }
        for environment in ("dev", "staging")
    }
    shared = made["dev"].keys() & made["staging"].keys()

    assert {"ftchaos-lease"} >= {name for _, _, name in shared}  # the lock is the same for all of the cluster
    assert [made["dev"][one] for one in shared] == [made["staging"][one] for one in shared]


@pytest.mark.parametrize("environment", ["", "staging"])
@pytest.mark.parametrize("kind", KINDS)
def test_whatever_is_printed_is_told_from_the_application(kind: Kind, environment: str) -> None:
    for role in policy.documents(kind, ["app"], environment=environment):
        binding = policy.binding(role, "chaos", "app")
        bare = {**binding, "metadata": {"name": "chaos"}}  # as an older one printed it
        name = manifests.Name(binding["kind"], "app", "chaos")

        assert drift.is_ours(manifests.Name(role["kind"], "app", role["metadata"]["name"]), role)
        assert drift.is_ours(name, binding)
        assert (role["kind"] == "Role") == drift.is_ours(name, bare)
        assert not drift.is_ours(name, {**bare, "roleRef": {"kind": "ClusterRole", "name": "cluster-admin"}})
