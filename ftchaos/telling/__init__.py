"""Telling others of a run: people, dashboards and traces. Nothing here can delay a heal, or fail a run.

event        what there is to tell, in words and data
slack, pagerduty, webhook, grafana, traces, metrics
             from an event to what is sent, without I/O
pushgateway, textfile
             the two ways of metrics
request      one HTTP request, tried once
secrets      read by reference
place        from the configuration to those who are told
messenger    one thread a place, with tries and a deadline
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ftchaos.config import Config
from ftchaos.evidence import Evidence
from ftchaos.telling import event as events
from ftchaos.telling.event import About, Event
from ftchaos.telling.messenger import Messenger, Outcome, close
from ftchaos.telling.place import Place, chosen, places

__all__ = ["About", "Outcome", "Place", "Teller", "chosen", "places", "problems", "tell"]

LAST_WAIT_S = 5.0


def tell(whom: Sequence[Place], what: Sequence[Event], within_s: float) -> list[Outcome]:
    """Tell some places some events now, and wait for it, but not longer than this."""
    messengers = [Messenger(place) for place in whom]
    for messenger in messengers:
        for event in what:
            messenger.tell(event)
    return close(messengers, within_s)


def problems(outcomes: Sequence[Outcome]) -> list[str]:
    """One line for each place and reason: ``ops was not told of begin, end: it refuses connections``."""
    missed: dict[tuple[str, str], list[str]] = {}
    for one in outcomes:
        if one.problem:
            missed.setdefault((one.place, one.problem), []).append(one.event)
    return [f"{place} was not told of {', '.join(what)}: {why}" for (place, why), what in missed.items()]


class Teller:
    """Tells of one run while it goes on; every method but :meth:`end` returns at once, and none ever raises.

    Args:
        config: who is to be told.
        note: told one line for each place that was not reached, at the end.
    """

    def __init__(self, config: Config, note: Callable[[str], None], *, last_wait_s: float = LAST_WAIT_S) -> None:
        self._messengers = [Messenger(place) for place in places(config)]
        self._note = note
        self._last_wait_s = last_wait_s
        self._about: About | None = None

    def begin(self, about: About) -> None:
        """The run begins."""
        self._about = about
        self._tell(events.begin(about))

    def stopped(self, reason: str) -> None:
        """The run is being stopped early, and heals what it harmed."""
        if self._about is not None:
            self._tell(events.stop(self._about, reason))

    def end(self, evidence: Evidence) -> list[Outcome]:
        """The run has ended: tell its end and its verdict, and wait a few seconds at most for all that is under way."""
        self._tell(events.end(evidence), events.verdict(evidence))
        return self._close()

    def broken(self, problem: str, *, harmed: bool) -> list[Outcome]:
        """The run ended without evidence; the same as :meth:`end` otherwise.

        Args:
            harmed: whether something is still harmed.
        """
        if self._about is not None:
            self._tell(events.broken(self._about, problem, harmed))
        return self._close()

    def _tell(self, *what: Event) -> None:
        for messenger in self._messengers:
            for event in what:
                messenger.tell(event)

    def _close(self) -> list[Outcome]:
        outcomes = close(self._messengers, self._last_wait_s)
        for words in problems(outcomes):
            self._note(words)
        return outcomes
