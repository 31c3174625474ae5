"""One thread for each place that is told: it waits, tries again and gives up on its own, and nobody waits for it."""

from __future__ import annotations

import queue
import random
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

from ftchaos.errors import FtchaosError
from ftchaos.telling.event import Event
from ftchaos.telling.place import Place
from ftchaos.telling.request import Delivery, NotTold

WAITING = 32
TRIES = 8
FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0
TIMEOUT_S = 5.0


@dataclass(frozen=True)
class Outcome:
    """Whether a place was told of an event.

    Attributes:
        problem: why not; empty when it was.
        deliveries: how many messages that were; 0 when the place wants none of that event.
    """

    place: str
    event: str
    problem: str = ""
    deliveries: int = 0


def pause_s(tries: int) -> float:
    """How long to wait after so many tries, before chance shortens it."""
    return min(FIRST_PAUSE_S * 2.0 ** min(tries - 1, 20), LONGEST_PAUSE_S)


class Messenger:
    """Tells one place, event after event, in a thread that dies with the process."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.outcomes: list[Outcome] = []
        self._told: list[str] = []
        self._dropped = 0
        self._waiting: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
        self._closing = threading.Event()
        self._deadline = float("inf")
        self._thread: threading.Thread | None = None

    def tell(self, event: Event) -> None:
        """Have an event told; returns at once, whatever becomes of it."""
        if self._waiting.qsize() >= WAITING:
            self.outcomes.append(Outcome(self.place.name, event.what, "too much was waiting to be told already"))
            self._dropped += 1
            return
        if self._thread is None:
            thread = threading.Thread(target=self._work, name=f"tell {self.place.name}", daemon=True)
            try:
                thread.start()
            except RuntimeError:  # the machine is at a limit; the run must go on all the same, and most of all its heal
                self.outcomes.append(Outcome(self.place.name, event.what, "this machine has no thread left"))
                self._dropped += 1
                return
            self._thread = thread
        self._told.append(event.what)
        self._waiting.put(event)

    def close(self, deadline: float) -> None:
        """Ask it to be ready by an instant of the monotonic clock; returns at once."""
        self._deadline = deadline
        self._closing.set()
        self._waiting.put(None)

    def result(self) -> list[Outcome]:
        """What became of everything, once the deadline has come or all is told; waits until then."""
        if self._thread is not None:
            self._thread.join(max(0.0, self._deadline - time.monotonic()))
        known = list(self.outcomes)
        done = len(known) - self._dropped
        late = [Outcome(self.place.name, event, "it did not answer in time") for event in self._told[done:]]
        return known + late

    def _work(self) -> None:
        while time.monotonic() < self._deadline:
            event = self._waiting.get()
            if event is None:
                return
            self.outcomes.append(self._tell(event))

    def _tell(self, event: Event) -> Outcome:
        name = self.place.name
        try:
            deliveries = self.place.deliveries(event)
            for delivery in deliveries:
                self._deliver(delivery)
        except NotTold as error:
            return Outcome(name, event.what, error.fact)
        except FtchaosError as error:
            return Outcome(name, event.what, error.fact)
        except Exception as error:  # noqa: BLE001 - a flaw of ours must not be the run's; its text may hold a secret
            return Outcome(name, event.what, f"internal error ({type(error).__name__})")
        return Outcome(name, event.what, "", len(deliveries))

    def _deliver(self, delivery: Delivery) -> None:
        """Try until it is delivered, cannot be, or there is no more time."""
        for tries in range(1, TRIES + 1):
            left_s = self._deadline - time.monotonic()
            try:
                delivery.attempt(max(0.1, min(TIMEOUT_S, left_s)))
                return
            except NotTold as error:
                pause = max(error.pause_s, pause_s(tries) * random.uniform(0.5, 1.0))
                if not error.again or tries == TRIES or time.monotonic() >= self._deadline:
                    raise
                self._wait(pause, error)

    def _wait(self, pause: float, error: NotTold) -> None:
        """Wait before the next try; the end of the run cuts a long pause short, and its deadline ends the trying."""
        if not self._closing.wait(pause):
            return
        left_s = self._deadline - time.monotonic()
        if left_s <= 0 or error.pause_s > left_s:
            raise error
        time.sleep(min(pause, FIRST_PAUSE_S, left_s))


def close(messengers: Sequence[Messenger], within_s: float) -> list[Outcome]:
    """Wait at most so long in all, and say what became of everything."""
    deadline = time.monotonic() + within_s
    for one in messengers:
        one.close(deadline)
    return [outcome for one in messengers for outcome in one.result()]
