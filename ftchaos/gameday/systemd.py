"""A plan as a systemd service and its timer.

A timer that comes due while its service still runs begins nothing, and one that was missed while the machine was off
is not made up for at any hour: that it was missed shows in the calendar and in the gate.
"""

from __future__ import annotations

from pathlib import Path

from ftchaos.errors import Invalid
from ftchaos.gameday.schedule import HEAL_S, Wanted


def units(wanted: Wanted) -> str:
    """Both units, each below a comment that names its file."""
    return "\n".join(f"# {name}\n{text}" for name, text in files(wanted).items())


def files(wanted: Wanted) -> dict[str, str]:
    """The units by the names of their files."""
    plan = wanted.loaded.path.resolve()
    words = [wanted.program, "gameday", "run", str(plan), "--environment", wanted.environment, "--reports", "reports"]
    title = _plain(wanted.loaded.plan.title)
    service = f"""[Unit]
Description=ftchaos: {title}
After=network-online.target
Wants=network-online.target

[Service]
Type=oneshot
User={_plain(wanted.user)}
WorkingDirectory={_path(wanted.folder)}
Environment=FTCHAOS_STATE={_path(wanted.folder)}/state
ExecStart={" ".join(_quoted(word) for word in words)}
TimeoutStartSec={wanted.longest_s}
# The day stops its part by the part's own stop, so only the day gets the signal, and nothing is killed while it heals.
KillMode=mixed
KillSignal=SIGTERM
TimeoutStopSec={HEAL_S}
NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=read-only
PrivateTmp=yes
ReadWritePaths={_path(wanted.folder)}
"""
    timer = f"""[Unit]
Description=When ftchaos holds: {title}

[Timer]
OnCalendar={wanted.schedule.cron.on_calendar}
AccuracySec=1min
Persistent=false
Unit={wanted.name}.service

[Install]
WantedBy=timers.target
"""
    return {f"{wanted.name}.service": service, f"{wanted.name}.timer": timer}


def _plain(text: str) -> str:
    """A text on its line; a percent sign would be a specifier, and a backslash at the end would go on."""
    return " ".join(text.split()).replace("%", "%%").rstrip("\\")


def _quoted(word: str) -> str:
    if any(ord(letter) < 32 for letter in word):
        raise Invalid(f"{word!r} cannot stand in a unit", "rename it")
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{escaped}"' if set(escaped) & set(" '\"\\;") else escaped


def _path(path: Path) -> str:
    text = str(path)
    if not path.is_absolute() or any(letter.isspace() or ord(letter) < 32 for letter in text):
        raise Invalid(f"{text!r} cannot be the folder of a unit", "name an absolute path without spaces")
    return text.replace("%", "%%")
