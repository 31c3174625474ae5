"""The configuration: what is accepted, and that a mistake is told with its line, its key and what would be right."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from ftchaos import config
from ftchaos.errors import Invalid

EXAMPLE = """\
objectives: {rto: 4h, rpo: 15m, success: 99.5%, p95: 500ms}
environments:
  lab: {platform: lab}
  staging:
    platform: aws
    account: "111122223333"
    region: us-east-1
    mysql: {instance: file-transfer-staging}
    redis: {replication_group: ft-staging}
    kubernetes: {context: file-transfer-staging-cluster}
    api: https://staging.filetransfer.example.com
    blast_radius: {zones: 1, share: 34%}
  production:
    platform: aws
    protected: true
    allow: [drill/restore, experiment/zone-outage]
    windows: ["Sat 02:00-06:00"]
    approval: approvals/next.json
    stop: {success: 90%, longer_than: 30s, after: 5m}
restore:
  checks:
    - SELECT 1 FROM files LIMIT 1
    - {name: no orphans, sql: SELECT COUNT(*) FROM transfers WHERE file_id IS NULL, expect: 0}
  newest_row: SELECT MAX(created_at) FROM transfers
"""


def _aws(key: str) -> str:
    return f'environments:\n  a:\n    platform: aws\n    account: "111122223333"\n    region: us-east-1\n    {key}\n'


def _load(folder: Path, text: str) -> config.Config:
    path = folder / "ftchaos.yaml"
    path.write_text(text)
    return config.load(path)


def test_without_a_file_the_defaults_hold_and_the_lab_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    loaded = config.load()

    assert "lab" == loaded.environment("lab").platform
    assert (14400, 900) == (loaded.promises("lab").rto_s, loaded.promises("lab").rpo_s)
    assert loaded.path is None


def test_file_in_the_working_folder_is_found_without_being_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ftchaos.yaml").write_text("objectives: {rto: 1m}")
    monkeypatch.chdir(tmp_path)

    assert 60 == config.load().promises("lab").rto_s


def test_example_of_the_design_is_read_in_full(tmp_path: Path) -> None:
    loaded = _load(tmp_path, EXAMPLE)

    assert 0.995 == loaded.objectives.success
    assert 0.5 == loaded.objectives.p95
    assert "SELECT 1 FROM files LIMIT 1" == loaded.restore.checks[0].sql
    assert 0 == loaded.restore.checks[1].expect
    radius = loaded.environments["staging"].blast_radius
    assert radius is not None
    assert 0.34 == radius.share


def test_lab_must_sustain_the_service_for_less_time_than_the_cloud(tmp_path: Path) -> None:
    loaded = _load(tmp_path, EXAMPLE)

    assert 3 == loaded.promises("lab").sustain_s
    assert 30 == loaded.promises("production").sustain_s
    assert 5 == _load(tmp_path, "objectives: {sustain: 5s}").promises("lab").sustain_s


def test_keys_of_a_cluster_are_read_and_a_wrong_namespace_is_not(tmp_path: Path) -> None:
    example = "environments: {a: {platform: kubernetes, kubernetes: {context: staging, namespaces: [app]}}}"
    found = _load(tmp_path, example).environments["a"].kubernetes

    assert found is not None
    assert ("staging", ["app"], None) == (found.context, found.namespaces, found.kubeconfig)
    with pytest.raises(Invalid, match="should match pattern"):
        _load(tmp_path, example.replace("[app]", "[App_1]"))


def test_protected_environment_is_left_to_the_guard(tmp_path: Path) -> None:
    assert _load(tmp_path, EXAMPLE).environment("production").protected


def test_protection_is_read_and_its_approval_lies_beside_the_configuration(tmp_path: Path) -> None:
    found = _load(tmp_path, EXAMPLE).environment("production")

    assert ["drill/restore", "experiment/zone-outage"] == found.allow
    assert ["Sat 02:00-06:00"] == [window.text for window in found.windows]
    assert tmp_path / "approvals/next.json" == found.approval
    assert config.Stop(success=0.9, longer_than=30, after=300) == found.stop


def test_unknown_environment_is_answered_with_those_that_are_known(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="known here: lab, production, staging"):
        _load(tmp_path, EXAMPLE).environment("prod")


def test_keys_of_an_environment_on_aws_are_read(tmp_path: Path) -> None:
    text = _aws("drill: {class: db.t4g.medium, subnets: [subnet-0123abcd, subnet-4567abcd], region: us-west-2}")
    text += (
        "    mysql: {cluster: ft, secret: ftchaos/staging/mysql, database: app}\n    endpoint: http://127.0.0.1:5000\n"
    )
    text += "    backup: {plan: nightly, vault: Default}\n    buckets: [ft-uploads]\n"
    text += "    client_zone: outside\n    zonal_shift: true\n    fis: {template: EXT1a2B}\n"
    found = _load(tmp_path, text).environments["a"]

    assert found.drill is not None
    assert ("db.t4g.medium", "us-west-2") == (found.drill.instance_class, found.drill.region)
    assert ("ftchaos=allowed", [], "outside") == (found.tag, found.lacks, found.client_zone)
    assert (True, "EXT1a2B") == (found.zonal_shift, found.fis.template if found.fis else None)


def test_the_ledger_writes_less_where_it_is_told_to_but_never_without_a_limit(tmp_path: Path) -> None:
    lab = "environments:\n  lab: {platform: lab, writes: %s}\n"

    assert [1.0, 0.25] == [_load(tmp_path, lab % one).environments["lab"].writes for one in ("100%", "25%")]
    for nothing in ("0", "0%"):  # to the writers a rate of 0 means as many as they can
        with pytest.raises(Invalid, match=r"line 2, environments\.lab\.writes: input should be greater than 0"):
            _load(tmp_path, lab % nothing)


@pytest.mark.parametrize(
    ("text", "line", "told"),
    [
        ("objectives: {rto: 4 hours-ish}", 1, "'4 hours-ish' is not a duration"),
        ("objectives: {rto: -1s}", 1, "is not a duration"),
        ("objectives: {rto: .nan}", 1, "is not a duration"),
        ("objectives: {rto: true}", 1, "is not a duration"),
        ("objectives: {success: 99.5}", 1, "is not a share"),
        ("objectives: {success: 0}", 1, "promises nothing"),
        ("objectivs: {}", 1, "known here: environments, metrics, notify, objectives, restore"),
        ("objectives:\n  rto: 4h\n  rtoo: 1h", 3, "unknown key 'rtoo'\nHINT: known here: p95, rpo, rto"),
        ("objectives: 5", 1, "must be a mapping"),
        ("objectives: {rto: 1h, rto: 2h}", 1, "'rto' stands twice"),
        ("objectives: {rto: 1h\n", 2, "expected"),
        ("environments:\n  a:\n    platform: labb", 3, "'lab', 'aws' or 'kubernetes'"),
        ("environments:\n  a: {platform: lab, blast_radius: {zone: 1}}", 2, "known here: requests, share, zones"),
        ("environments: {a: {platform: aws, account: 111122223333}}", 1, "12 digits in quotes"),
        ("environments: {a: {platform: aws, region: us-east-1}}", 1, "needs 'account'"),
        ('environments: {a: {platform: aws, account: "111122223333"}}', 1, "needs 'region'"),
        ("environments: {a: {platform: aws, account: '111122223333', region: mars}}", 1, "'mars' is not a region"),
        (_aws("endpoint: http://10.0.0.1:5000"), 3, "is on this machine"),
        (_aws("role: arn:aws:iam::999999999999:role/a"), 3, "not in the account 111122223333"),
        (_aws("role: ftchaos"), 6, "should match pattern"),
        (_aws("mysql: {instance: a, cluster: b}"), 6, "either 'instance' or 'cluster'"),
        (_aws("mysql: {secret: a}"), 6, "either 'instance' or 'cluster'"),
        (_aws("mysql: {instance: a, password: b}"), 6, "known here: ca, cluster, database, instance, secret"),
        (
            _aws('mysql: {instance: a, secret: "arn:aws:secretsmanager:us-east-1:999999999999:secret:a"}'),
            3,
            "the 'secret' of mysql is not in the account",
        ),
        (_aws("drill: {subnets: [subnet-01234567]}"), 6, "at least two zones"),
        (_aws("drill: {klass: db.t3.small}"), 6, "known here: class, clients, kms_key, region, subnets, vpc"),
        (_aws("drill: {class: small}"), 6, "should match pattern"),
        (_aws("tag: allowed"), 6, "should match pattern"),
        (_aws("buckets: [A]"), 6, "should match pattern"),
        (_aws("zonal_shift: 'yes'"), 6, "should be a valid boolean"),
        (_aws("fis: {template: i-0123}"), 6, "should match pattern"),
        (_aws("fis: {}"), 6, "template"),
        ("environments: {a: {platform: kubernetes, zonal_shift: true}}", 1, "kubernetes has no 'zonal_shift'"),
        ("environments: {../a: {platform: lab}}", 1, "lowercase letters"),
        ("environments: {lab: {platform: lab, region: x}}", 1, "the lab takes no 'region'"),
        ("environments: {a: }", 1, "must be a mapping"),
        (
            "environments:\n  a:\n    platform: lab\n    protected: true\n    windows: [Sat]",
            5,
            "'Sat' is not a window\nHINT: write it in UTC",
        ),
        ("environments:\n  a: {platform: lab, protected: true, allow: [restore]}", 2, "should match pattern"),
        ("environments:\n  a: {platform: lab, windows: [Sat 02:00-06:00]}", 2, "'windows' protects nothing without"),
        ("environments:\n  a: {platform: lab, stop: {after: soon}}", 2, "'soon' is not a duration"),
        ("environments:\n  a: {platform: lab, stop: {afer: 5m}}", 2, "known here: after, longer_than, success"),
        (
            "restore:\n  checks:\n    - SELECT 1\n    - {name: a, sql: b, expected: 5}",
            4,
            "known here: expect, name, sql",
        ),
        ("restore: {checks: [5]}", 1, "must be a mapping"),
        ("restore: {heartbeat: ''}", 1, "at least 1 character"),
        ("a: &bomb [x, x]\nb: *bomb", 1, "aliases are not accepted"),
        ("objectives: !!python/object/apply:os.system [ls]", 1, "tag"),
    ],
)
def test_mistake_is_told_with_its_line(tmp_path: Path, text: str, line: int, told: str) -> None:
    with pytest.raises(Invalid) as caught:
        _load(tmp_path, text)

    assert f"ftchaos.yaml, line {line}" in str(caught.value)
    assert told in str(caught.value)
    assert caught.value.hint


@pytest.mark.parametrize("text", ["", "[]", "\x00", "[" * 5000, "x: " + "y" * (2 << 20)])
def test_what_is_no_mapping_of_a_decent_size_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(Invalid):
        _load(tmp_path, text)


def test_file_that_was_asked_for_must_exist(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="cannot be read"):
        config.load(tmp_path / "absent.yaml")


@pytest.mark.parametrize(
    ("expect", "first", "met"),
    [
        (None, 0, True),
        (5, 5, True),
        (5, Decimal("5.0"), True),
        (5, 6, False),
        (True, 1, True),
        ("5", 5, True),
        ("ok", b"ok", True),
        ("2026-11-23", date(2026, 11, 23), True),
        ("ok", None, False),
        (0, None, False),
    ],
)
def test_check_compares_the_first_value_with_what_is_expected(
    expect: int | str | None, first: object, met: bool
) -> None:
    check = config.Check(name="a", sql="SELECT 1", expect=expect)

    assert met is check.is_met([(first, "rest")])


def test_check_without_a_row_is_not_met() -> None:
    assert not config.Check(name="a", sql="SELECT 1").is_met([])
