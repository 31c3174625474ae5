"""Telling while a run goes on: it is tried again, nobody waits for it, and it never harms the run."""

from __future__ import annotations

import logging
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import samples

from ftchaos import config, telling
from ftchaos.clock import Clock
from ftchaos.objectives import Objectives
from ftchaos.record import RunRecord
from ftchaos.telling import About, Teller, event
from ftchaos.telling.messenger import WAITING, Messenger
from ftchaos.telling.place import Place

SECRET = "xk7Qplanted0SECRETz93"


def _config(folder: Path, text: str) -> config.Config:
    path = folder / "ftchaos.yaml"
    path.write_text(text)
    return config.load(path)


def _webhooks(folder: Path, **urls: str) -> config.Config:
    lines = [f'  {name}: {{kind: webhook, url: "{url}"}}' for name, url in urls.items()]
    return _config(folder, "notify:\n" + "\n".join(lines) + "\n")


def _about() -> About:
    record = RunRecord(
        "20261123T061441Z-restore-7f3a", "drill", "restore", "lab", "lab", Clock.anchored(), 0.0, Objectives(),
        {"title": "The database tier is lost"}, {}, {}, [], {},
    )  # fmt: skip
    return About.record(record)


def _teller(found: config.Config, last_wait_s: float = 5.0) -> tuple[Teller, list[str]]:
    notes: list[str] = []
    return Teller(found, notes.append, last_wait_s=last_wait_s), notes


def test_whole_run_is_told_in_order(tmp_path: Path, receiver: Any) -> None:
    teller, notes = _teller(_webhooks(tmp_path, audit=receiver.url))

    teller.begin(_about())
    teller.stopped("too many uploads failed")
    outcomes = teller.end(samples.failed())

    assert ["begin", "stop", "end", "verdict"] == [one.json["event"] for one in receiver.asked]
    assert "too many uploads failed" == receiver.asked[1].json["text"]
    assert [] == notes
    assert [1, 1, 1, 1] == [one.deliveries for one in outcomes]


def test_receiver_that_fails_at_first_is_told_all_the_same(tmp_path: Path, receiver: Any) -> None:
    receiver.answers = [(500, {}), (503, {})]
    teller, notes = _teller(_webhooks(tmp_path, audit=receiver.url))

    teller.begin(_about())
    deadline = time.monotonic() + 20
    while len(receiver.asked) < 3 and time.monotonic() < deadline:
        time.sleep(0.02)
    teller.end(samples.passed())

    assert ["begin", "begin", "begin", "end", "verdict"] == [one.json["event"] for one in receiver.asked]
    assert 1 == len({one.body for one in receiver.asked[:3]})
    assert [] == notes


def test_end_of_the_run_cuts_a_long_pause_short(tmp_path: Path, receiver: Any) -> None:
    receiver.answers = [(500, {})] * 5
    teller, notes = _teller(_webhooks(tmp_path, audit=receiver.url))
    teller.begin(_about())
    time.sleep(2.5)  # by then it waits for 2 to 4 s

    teller.end(samples.passed())

    assert [] == notes
    assert "verdict" == receiver.asked[-1].json["event"]


def test_nobody_waits_for_a_receiver_that_hangs(tmp_path: Path, receiver: Any, other: Any) -> None:
    receiver.hangs = threading.Event()
    teller, notes = _teller(_webhooks(tmp_path, stuck=receiver.url, audit=other.url), last_wait_s=5.0)

    began = time.monotonic()
    teller.begin(_about())
    teller.stopped("a stranger is down")
    during_s = time.monotonic() - began
    teller.end(samples.passed())
    whole_s = time.monotonic() - began

    assert during_s < 1.0  # on a busy machine; it hangs for 30 s
    assert whole_s < 30.0
    assert ["begin", "stop", "end", "verdict"] == [one.json["event"] for one in other.asked]
    assert ["stuck was not told of begin, stop, end, verdict: it did not answer in time"] == notes


def test_receiver_that_drips_does_not_hold_the_run_either(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def drip() -> None:
            connection, _ = server.accept()
            with connection:
                for _ in range(60):
                    try:
                        connection.sendall(b"H")
                    except OSError:
                        return
                    time.sleep(0.05)

        threading.Thread(target=drip, daemon=True).start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        teller, notes = _teller(_webhooks(tmp_path, audit=url), last_wait_s=0.5)

        began = time.monotonic()
        teller.begin(_about())
        teller.end(samples.passed())

        assert time.monotonic() - began < 2.5
        assert 1 == len(notes)


def test_process_ends_at_once_while_a_receiver_hangs(tmp_path: Path, receiver: Any) -> None:
    receiver.hangs = threading.Event()
    _webhooks(tmp_path, audit=receiver.url)
    program = """
import samples, time
from pathlib import Path
from ftchaos import config, telling
began = time.monotonic()
teller = telling.Teller(config.load(Path("ftchaos.yaml")), print, last_wait_s=0.3)
teller.end(samples.passed())
"""
    began = time.monotonic()
    root = Path(__file__).resolve().parents[2]
    environment = os.environ | {"PYTHONPATH": f"{root / 'tests'}:{root}"}
    told = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True,
        timeout=60,
    )  # fmt: skip

    assert "audit was not told of end, verdict: it did not answer in time\n" == told.stdout
    assert time.monotonic() - began < 15


def test_queue_is_bounded_and_what_does_not_fit_is_noted(receiver: Any, tmp_path: Path) -> None:
    receiver.hangs = threading.Event()
    messenger = Messenger(telling.places(_webhooks(tmp_path, audit=receiver.url))[0])

    began = time.monotonic()
    for _ in range(1000):
        messenger.tell(event.test())

    assert time.monotonic() - began < 5.0
    assert 1000 - WAITING - 1 <= len(messenger.outcomes) <= 1000 - WAITING
    messenger.close(time.monotonic() + 0.2)
    assert 1000 == len(messenger.result())


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (404, "it answered 404 Not Found: the address is wrong, or was revoked"),
        (401, "it answered 401 Unauthorized: the secret is wrong or has expired"),
        (302, "it answered 302 Found, and redirects are not followed"),
    ],
)
def test_what_will_not_get_better_is_tried_once(
    tmp_path: Path, receiver: Any, other: Any, status: int, said: str
) -> None:
    receiver.answers = [(status, {"Location": other.url})] * 9

    outcomes = telling.tell(telling.places(_webhooks(tmp_path, audit=receiver.url)), [event.test()], 5.0)

    assert [said] == [one.problem for one in outcomes]
    assert 1 == len(receiver.asked)
    assert [] == other.asked


def test_receiver_that_asks_for_a_pause_gets_it(tmp_path: Path, receiver: Any) -> None:
    receiver.answers = [(429, {"Retry-After": "1"})]

    began = time.monotonic()
    outcomes = telling.tell(telling.places(_webhooks(tmp_path, audit=receiver.url)), [event.test()], 8.0)

    assert [""] == [one.problem for one in outcomes]
    assert time.monotonic() - began >= 0.5  # at most 0.5 s at the end of a run
    assert 2 == len(receiver.asked)


def test_flaw_of_ours_is_noted_and_is_not_the_runs() -> None:
    def flawed(_: event.Event) -> list[Any]:
        raise ZeroDivisionError(SECRET)

    outcomes = telling.tell([Place("audit", (), flawed)], [event.test()], 5.0)

    assert ["internal error (ZeroDivisionError)"] == [one.problem for one in outcomes]


def test_only_the_environments_asked_for_are_told(tmp_path: Path, receiver: Any) -> None:
    found = _config(
        tmp_path, f'notify: {{audit: {{kind: webhook, url: "{receiver.url}", environments: [production]}}}}\n'
    )

    outcomes = telling.tell(telling.places(found), [event.verdict(samples.passed())], 5.0)

    assert [0] == [one.deliveries for one in outcomes]
    assert [] == receiver.asked


ALL = """\
notify:
  slack: {{kind: slack, url_env: PLANTED_URL, events: [begin, stop, end, verdict]}}
  pager: {{kind: pagerduty, key_env: PLANTED, url: "{url}", trigger: [begin, failed]}}
  hook: {{kind: webhook, url_file: address, secret_file: secret}}
  grafana: {{kind: grafana, url: "{url}", token_file: secret}}
  traces: {{kind: opentelemetry, url: "{url}", headers_env: PLANTED_HEADERS}}
metrics: {{pushgateway: {{url: "{url}", user: me, password_env: PLANTED}}}}
"""


@pytest.mark.parametrize("answer", ["200", "302", "401", "500", "nobody", "hangs", "wrong", "missing"])
def test_secrets_are_told_to_their_receivers_and_to_nobody_else(
    answer: str,
    tmp_path: Path,
    receiver: Any,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Secrets are planted wherever one may stand; whatever goes wrong, none of them comes out."""
    caplog.set_level(logging.DEBUG)
    url = f"{receiver.url}/{SECRET}"
    if answer == "nobody":
        with socket.create_server(("127.0.0.1", 0)) as free:
            url = f"http://127.0.0.1:{free.getsockname()[1]}/{SECRET}"
    elif answer == "hangs":
        receiver.hangs = threading.Event()
    elif answer.isdigit() and answer != "200":
        receiver.answers = [(int(answer), {"Location": f"/{SECRET}"})] * 99
    bad = {"wrong": "\n\u00e9\n", "missing": ""}.get(answer, "")
    for name, value in {"PLANTED_URL": url, "PLANTED": SECRET, "PLANTED_HEADERS": f"x-key={SECRET}"}.items():
        monkeypatch.setenv(name, value + bad)
        if answer == "missing":
            monkeypatch.delenv(name)
    if answer != "missing":
        (tmp_path / "address").write_text(url + bad)
        (tmp_path / "secret").write_text(SECRET + bad)
    found = _config(tmp_path, ALL.format(url=receiver.url if answer != "nobody" else url.rsplit("/", 1)[0]))
    tried_again = answer in ("500", "nobody", "hangs")  # for as long as there is time
    teller, notes = _teller(found, last_wait_s=1.0 if tried_again else 30.0)

    teller.begin(_about())
    teller.stopped("a stranger is down")
    outcomes = teller.end(samples.failed())

    said = [*notes, repr(outcomes), repr(vars(teller)), caplog.text, *capfd.readouterr()]
    for one in telling.places(found):
        if answer in ("200", "302", "401"):
            said.append(repr(one.deliveries(event.verdict(samples.failed()))))
    assert SECRET not in "\n".join(said)
    assert bool(notes) == (answer != "200")
    if answer == "200":
        told = "\n".join(f"{one.path} {one.headers} {one.body!r}" for one in receiver.asked)
        assert told.count(SECRET) >= 8


def test_machine_without_threads_left_does_not_harm_the_run(
    tmp_path: Path, receiver: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_more(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    teller, notes = _teller(_webhooks(tmp_path, audit=receiver.url))
    with monkeypatch.context() as full:
        full.setattr(threading.Thread, "start", no_more)
        teller.begin(_about())
    teller.end(samples.passed())

    assert ["audit was not told of begin: this machine has no thread left"] == notes
    assert ["end", "verdict"] == [one.json["event"] for one in receiver.asked]
