"""Who is to be told, as the configuration has it: what is accepted, and that no refusal repeats a secret."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftchaos import config, receivers
from ftchaos.errors import Invalid

SECRET = "xk7Qplanted0SECRETz93"
WHOLE = """\
notify:
  ops: {kind: slack, url_env: SLACK_URL, events: [begin, verdict], verdicts: [failed], environments: [staging]}
  on-call: {kind: pagerduty, key_file: secrets/pagerduty, trigger: [begin, failed]}
  audit: {kind: webhook, url: "https://audit.example.com/hook", secret_env: AUDIT_KEY}
  dashboards: {kind: grafana, url: "https://grafana.example.com", token_env: GRAFANA_TOKEN, dashboard: ftchaos}
  traces: {kind: opentelemetry, url: "http://127.0.0.1:4318"}
metrics:
  textfile: metrics
  pushgateway: {url: "http://127.0.0.1:9091", user: ftchaos, password_env: PUSH_PASSWORD}
"""


def _load(folder: Path, text: str) -> config.Config:
    path = folder / "ftchaos.yaml"
    path.write_text(text)
    return config.load(path)


def test_every_kind_of_receiver_is_accepted(tmp_path: Path) -> None:
    loaded = _load(tmp_path, WHOLE)

    assert set(receivers.KINDS) == {one.kind for one in loaded.notify.values()}
    assert Path("metrics") == loaded.metrics.textfile
    assert loaded.metrics.pushgateway is not None


@pytest.mark.parametrize(
    ("text", "fact"),
    [
        (f'ops: {{kind: slack, url_env: "https://h/{SECRET}"}}', "ops.url_env: this is not the name of an environment"),
        (f'ops: {{kind: slack, url: "https://h/{SECRET}"}}', "ops.url: unknown key 'url'"),
        (f'ops: "https://h/{SECRET}"', "ops: this must be a mapping"),
        (f"ops: {{kind: {SECRET}}}", "ops: this needs a kind that is known"),
        ("ops: {}", "ops: this needs a kind that is known"),
        ("ops: {kind: slack}", "ops: one of the keys 'url_env', 'url_file' is missing"),
        ("ops: {kind: slack, url_env: A, url_file: b}", "ops: 'url_env' and 'url_file' do not go together"),
        (f"ops: {{kind: slack, url_env: [{SECRET}]}}", "ops.url_env: this is not the name of an environment variable"),
        (f"ops: {{kind: slack, url_env: A, events: [{SECRET}]}}", "ops.events.0: input should be 'begin', 'stop'"),
        (f'ops: {{kind: grafana, url: "https://a:{SECRET}@h", token_env: A}}', "ops.url: a name or a password in an"),
        (f'ops: {{kind: webhook, url: "ftp://h/{SECRET}"}}', "ops.url: this is not an address"),
        (f'ops: {{kind: pagerduty, key_file: "https://{SECRET}"}}', "ops.key_file: this is not the path of a file"),
        ('ops: {kind: slack, url_env: A, report_url: "https://h/x"}', "ops.report_url: this has no {run_id} in it"),
        ("textfile: {kind: slack, url_env: A}", "notify: a receiver needs a name of lowercase letters, digits"),
        ("'OPS ': {kind: slack, url_env: A}", "notify: a receiver needs a name of lowercase letters, digits"),
    ],
)
def test_mistake_is_told_with_its_line_and_without_the_value(tmp_path: Path, text: str, fact: str) -> None:
    with pytest.raises(Invalid) as refused:
        _load(tmp_path, f"notify:\n  {text}\n")

    assert fact in refused.value.fact
    assert ", line " in refused.value.fact
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "fact"),
    [
        (f"metrics: [{SECRET}]", "metrics: this must be a mapping"),
        (f"metrics: {{textfil: {SECRET}}}", "metrics.textfil: unknown key 'textfil'"),
        (f'metrics: {{pushgateway: "http://u:{SECRET}@h"}}', "metrics.pushgateway: this must be a mapping"),
        (f'metrics: {{pushgateway: {{url: "http://u:{SECRET}@h"}}}}', "metrics.pushgateway.url: a name or a password"),
        ('metrics: {pushgateway: {url: "http://h", user: me}}', "one of the keys 'password_env', 'password_file' is"),
        (
            'metrics: {pushgateway: {url: "http://h", password_env: A}}',
            "pushgateway: a password without a user",
        ),
    ],
)
def test_mistake_in_metrics_is_told_likewise(tmp_path: Path, text: str, fact: str) -> None:
    with pytest.raises(Invalid) as refused:
        _load(tmp_path, text)

    assert fact in refused.value.fact
    assert SECRET not in str(refused.value)


@given(st.text())
def test_address_is_sound_or_refused(text: str) -> None:
    try:
        found = receivers.address(f"http://h/{text}")
    except Invalid:
        return

    assert found.isascii()
    assert not set(found) & set(" \r\n\t")
