"""From the configuration to those who are told: each with a name, and with what it wants of an event."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ftchaos.config import Config
from ftchaos.errors import Invalid
from ftchaos.receivers import (
    Grafana,
    Metrics,
    Notify,
    Opentelemetry,
    Pagerduty,
    Pushgateway,
    Slack,
    Webhook,
    address,
)
from ftchaos.telling import grafana, pagerduty, pushgateway, secrets, slack, textfile, traces, webhook
from ftchaos.telling.event import Event
from ftchaos.telling.request import Delivery

Compose = Callable[[Event], Sequence[Delivery]]


@dataclass(frozen=True)
class Place:
    """Somebody who is told of runs.

    Attributes:
        environments: whose runs; all where it is empty.
        compose: what is to be delivered for an event; reads the secrets, so that it may raise ``Invalid``.
    """

    name: str
    environments: tuple[str, ...]
    compose: Compose

    def deliveries(self, event: Event) -> Sequence[Delivery]:
        """What is to be delivered for an event; often nothing.

        Raises:
            Invalid: a secret is not to be had.
        """
        elsewhere = self.environments and event.about.environment not in self.environments
        return [] if elsewhere and event.what != "test" else self.compose(event)


def places(config: Config) -> list[Place]:
    """All that the configuration names."""
    base = config.path.absolute().parent if config.path is not None else Path.cwd()
    named = [Place(name, tuple(one.environments), _compose(one, base)) for name, one in config.notify.items()]
    return named + _metrics(config.metrics, base)


def chosen(known: Sequence[Place], names: Sequence[str]) -> list[Place]:
    """Those of these names; all of them without any name.

    Raises:
        Invalid: there are none, or none of that name.
    """
    if not known:
        raise Invalid("nobody is to be told", "name somebody under 'notify' or 'metrics' in ftchaos.yaml")
    by_name = {one.name: one for one in known}
    for name in names:
        if name not in by_name:
            raise Invalid(f"nobody is called {name!r} in the configuration", f"known here: {', '.join(by_name)}")
    return [by_name[name] for name in dict.fromkeys(names)] if names else list(known)


def _compose(one: Notify, base: Path) -> Compose:
    def report(event: Event) -> str:
        return one.report_url.replace("{run_id}", event.about.run_id) if one.report_url else ""

    def compose(event: Event) -> Sequence[Delivery]:
        # Whoever does not want an event is not asked for a secret.
        match one:
            case Slack() | Webhook() if not _wanted(event, one.events, one.verdicts):
                return []
            case Grafana() | Opentelemetry() if event.what not in ("test", "verdict"):
                return []
            case Slack():
                return slack.requests(address(secrets.read(one, "url", base)), event, report(event))
            case Pagerduty():
                return pagerduty.requests(one.url, secrets.read(one, "key", base), event, one.trigger, report(event))
            case Webhook():
                url = one.url or address(secrets.read(one, "url", base))
                return webhook.requests(url, secrets.read(one, "secret", base), event, report(event))
            case Grafana():
                token = secrets.read(one, "token", base)
                return grafana.requests(one.url, token, event, one.dashboard or "", report(event))
            case Opentelemetry():
                return traces.requests(one.url, secrets.read(one, "headers", base), event)

    return compose


def _wanted(event: Event, events: Sequence[str], verdicts: Sequence[str]) -> bool:
    if event.what == "test" or event.harmed:
        return True  # a system that was left harmed is everybody's business
    found = event.evidence
    return event.what in events and (not verdicts or found is None or found.verdict in verdicts)


def _metrics(one: Metrics, base: Path) -> list[Place]:
    found = []
    environments = tuple(one.environments)
    if one.textfile is not None:
        folder = base / one.textfile
        found.append(Place("textfile", environments, lambda event: textfile.deliveries(folder, event)))
    if (gateway := one.pushgateway) is not None:
        found.append(Place("pushgateway", environments, lambda event: _push(gateway, base, event)))
    return found


def _push(gateway: Pushgateway, base: Path, event: Event) -> Sequence[Delivery]:
    password = secrets.read(gateway, "password", base)
    return pushgateway.requests(gateway.url, gateway.user or "", password, event)
