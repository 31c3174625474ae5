"""How an experiment behaves as a command: previewed, refused, stopped, killed, and under plain `chaos run`."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path

import pytest
from stages import CONFIGURATION, wait_until
from trials import LAB, Trials
from workplaces import TIMEOUT_S

from ftchaos import definitions

EXPERIMENT = "worker-kill"


def begin(trials: Trials, *options: str) -> subprocess.Popen[str]:
    return trials.stage.place.begin("experiment", "run", EXPERIMENT, "--lab", LAB, "--json", *options)


def wait_for_fault(trials: Trials, process: subprocess.Popen[str], known: set[Path]) -> Path:
    """The folder of a run that has begun since, as soon as its fault is proven."""
    found: list[Path] = []

    def proven() -> bool:
        assert process.poll() is None, process.communicate()
        found[:] = [folder for folder in trials.stage.place.runs() if folder not in known]
        return bool(found) and "inject" in json.loads((found[0] / "run.json").read_text())["facts"]

    assert wait_until(proven, timeout_s=60)
    return found[0]


def test_a_preview_names_the_exact_targets_and_touches_nothing(trials: Trials) -> None:
    before = trials.stage.place.runs()
    options = ["--lab", LAB, "--dry-run", "--json", "--zone=zone-b"]
    done = trials.stage.place.run("experiment", "run", "zone-outage", *options)

    assert done.exit_code == 0
    assert done.json["faults"] == ["zone-b lost its power"]
    assert {"zone-b", "mysql-b in zone-b", "worker-b in zone-b"} <= set(done.json["targets"])
    assert trials.stage.place.runs() == before


@pytest.mark.parametrize(
    ("configuration", "options", "environment", "words"),
    [
        ("environments: {lab: {platform: lab, blast_radius: {zones: 0}}}\n", ["zone-outage"], {}, "blast radius"),
        (
            "objectives: {p95: 2s}\n",
            ["redis-master-kill"],
            {"FTCHAOS_WHICH": "every-second"},
            "the quorum of the Redis Cluster",
        ),
    ],
)
def test_too_much_is_refused_before_anything_is_touched(
    configuration: str, options: list[str], environment: dict[str, str], words: str, trials: Trials,
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "ftchaos.yaml").write_text(configuration)
    before = trials.stage.place.runs()
    done = trials.stage.place.run(
        "experiment", "run", *options, "--lab", LAB, "--config", str(tmp_path / "ftchaos.yaml")
    )

    assert done.exit_code == 5
    assert words in done.stderr
    assert "HINT: " in done.stderr
    assert trials.stage.place.runs() == before


def test_a_stop_heals_and_is_inconclusive_with_its_reason(trials: Trials, tmp_path: Path) -> None:
    # Long enough that the run is not over before it is stopped.
    lasting = CONFIGURATION.replace("sustain: 1s", "sustain: 5s")
    (tmp_path / "ftchaos.yaml").write_text(f"{lasting}environments: {{lab: {{platform: lab, writes: 25%}}}}\n")
    known = set(trials.stage.place.runs())
    process = begin(trials, "--config", str(tmp_path / "ftchaos.yaml"))
    folder = wait_for_fault(trials, process, known)
    second = trials.stage.place.run("experiment", "run", EXPERIMENT, "--lab", LAB)
    assert second.exit_code == 5
    assert "is in use by run" in second.stderr

    assert trials.stage.place.run("stop", "--reason", "a customer called").exit_code == 0
    stdout, stderr = process.communicate(timeout=TIMEOUT_S)
    said = json.loads(stdout)

    assert (process.returncode, said["verdict"]) == (3, "inconclusive"), stderr
    assert said["reasons"][0] == "The run was stopped: a customer called."
    clients = json.loads((folder / "observations" / "workload.json").read_text())
    assert said["system"]["settings"]["writes_per_s"] == clients["mysql"]["rate"] == 200  # of 800, as configured
    assert clients["redis"]["rate"] == 25
    assert said["undo"]["recorded"] == said["undo"]["healed"] == 1
    trials.stage.ensure_up()


def test_sigterm_heals_and_says_interrupted(trials: Trials) -> None:
    known = set(trials.stage.place.runs())
    process = begin(trials)
    wait_for_fault(trials, process, known)
    process.send_signal(signal.SIGTERM)
    stdout, stderr = process.communicate(timeout=TIMEOUT_S)

    assert process.returncode == 130, stderr
    assert json.loads(stdout)["reasons"][0] == "The run was interrupted: SIGTERM."
    trials.stage.ensure_up()


def test_the_reaper_heals_what_a_killed_experiment_left(trials: Trials) -> None:
    known = set(trials.stage.place.runs())
    process = begin(trials)
    folder = wait_for_fault(trials, process, known)
    process.kill()
    process.communicate(timeout=TIMEOUT_S)

    assert wait_until(lambda: (folder / "evidence.json").exists(), timeout_s=60)
    assert wait_until(lambda: not list(trials.stage.place.state.glob("runs/*.json")), timeout_s=60)
    trials.stage.ensure_up()
    evidence = json.loads((folder / "evidence.json").read_text())
    assert evidence["exit_code"] == 130
    assert evidence["undo"]["recorded"] == evidence["undo"]["healed"] == 1
    assert "nothing to recover" in trials.stage.place.run("recover").stdout


def test_plain_chaos_run_comes_to_the_same_verdict(trials: Trials, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FTCHAOS_LAB", LAB)
    path = definitions.find("experiment", "worker-kill")
    done = trials.stage.place.run("--no-version-check", "run", str(path), program="chaostoolkit")

    assert done.exit_code == 0, done.stderr
    evidence = json.loads((trials.stage.place.runs()[-1] / "evidence.json").read_text())
    assert (evidence["name"], evidence["verdict"]) == ("worker-kill", "passed")
