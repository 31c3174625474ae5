"""The Chaos Toolkit control that stands around every run of ours, under ``ftchaos`` and under plain ``chaos run``.

chaoslib logs a control's exception at debug level and goes on, so what must stop the run is raised as
``InterruptExecution``, which is the only thing that chaoslib heeds. What the other hooks fail to note is missing from
the record, and nothing that is missing leads to passed.
"""

from __future__ import annotations

import signal
from collections.abc import Mapping
from types import FrameType
from typing import Any

from chaoslib.exceptions import InterruptExecution

from ftchaos import activities, engine, stop
from ftchaos.run import active

ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_previous: dict[int, Any] = {}


def configure_control(experiment: Mapping[str, Any]) -> None:
    """Take over the signals: chaoslib's own handler raises what an activity may swallow."""
    for number in ENDING:
        _previous[number] = signal.signal(number, _exit)


def before_experiment_control(
    context: Mapping[str, Any], configuration: Mapping[str, Any] | None = None, **_: Any
) -> None:
    """Guard, lock, undo log, platform and workload; refused or failed means that nothing else happens.

    A dry run of Chaos Toolkit's own, which plays no activity, begins nothing either.
    """
    if context.get("dry"):
        return
    try:
        engine.begin(context, configuration or {})
    except Exception as error:
        engine.remember(error)
        raise InterruptExecution(str(error)) from error


def before_hypothesis_control(context: Mapping[str, Any], **_: Any) -> None:
    activities.part_begins("hypothesis before")


def after_hypothesis_control(context: Mapping[str, Any], state: Mapping[str, Any] | None = None, **_: Any) -> None:
    activities.hypothesis_ended(state or {})


def before_method_control(context: Mapping[str, Any], **_: Any) -> None:
    activities.part_begins("method")


def before_rollback_control(context: Mapping[str, Any], **_: Any) -> None:
    activities.part_begins("rollback")


def before_activity_control(context: Mapping[str, Any], **_: Any) -> None:
    activities.step_begins(context)


def after_activity_control(context: Mapping[str, Any], state: Mapping[str, Any] | None = None, **_: Any) -> None:
    activities.step_ended(state or {})


def after_experiment_control(context: Mapping[str, Any], state: dict[str, Any], **_: Any) -> None:
    """End the run while its journal can still be told the verdict."""
    _end(state)


def cleanup_control() -> None:
    """Called however the run went: end it if the hook above was never reached."""
    try:
        if active() is not None:
            _end(None)
    finally:
        for number, handler in _previous.items():
            signal.signal(number, handler)
        _previous.clear()


def _end(journal: dict[str, Any] | None) -> None:
    """From here on nothing may stop the healing."""
    for number in (*ENDING, stop.SIGNAL, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)
    try:
        engine.end(journal)
    except Exception as error:
        engine.remember(error)
        if journal is not None:
            journal["status"] = "aborted"
        raise


def _exit(number: int, frame: FrameType | None) -> None:
    # A second signal while the first unwinds would cut the unwinding short.
    for each in (*ENDING, stop.SIGNAL):
        signal.signal(each, signal.SIG_IGN)
    engine.interrupted(signal.Signals(number).name)
    raise SystemExit(128 + number)
