"""What the lab's components said of themselves, on the run's clock; it corroborates what clients saw, no more."""

from __future__ import annotations

from ftchaos.platforms.base import Event
from ftchaos.platforms.lab.decisions import Folder
from ftchaos.platforms.lab.lab import Lab


def read(lab: Lab, since_at: float) -> list[Event]:
    """What was said since an instant, in order."""
    found = [
        Event(said["at"], "database", said["event"], str(said.get("server") or said.get("primary") or ""))
        for said in Folder.of(lab.folder).events(since_at)
    ]
    return sorted(found, key=lambda event: event.at)
