"""What this machine has, what it lacks for the lab and the drills, and the exact command that gets it.

Nothing is guessed from lists of packages: programs are run for their versions, and namespaces are really made.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ftchaos import state, units
from ftchaos.errors import Invalid

if TYPE_CHECKING:
    from ftchaos.config import Config
    from ftchaos.platforms.findings import Finding as Judged

Status = Literal["ok", "missing", "optional"]

OLDEST_PYTHON, NEWEST_PYTHON = (3, 11), (3, 13)
NEEDED_DISK_BYTES = (
    2 << 30
)  # a drill of the default size leaves 1 GiB of this untouched; --size asks for six times itself
NEEDED_MEMORY_BYTES = 1 << 30  # the lab takes about 400 MB with MariaDB, and 900 MB with MySQL
_FETCH_MYSQL = Path(__file__).resolve().parent.parent / "scripts" / "fetch-mysql"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        name: what it is.
        status: ``ok``; ``missing``, and then the restore drill cannot run; ``optional``, and then it can, but
            something else cannot be had.
        detail: what was found, or what its absence means.
        command: what brings it; empty where nothing is to be done.
    """

    name: str
    status: Status
    detail: str
    command: str = ""


@dataclass(frozen=True)
class Distribution:
    """Which Linux this is, and what its packages are called."""

    name: str
    release: str
    title: str

    @classmethod
    def of_this_machine(cls) -> Distribution:
        """Read from ``/etc/os-release``."""
        try:
            about: Mapping[str, str] = platform.freedesktop_os_release()
        except OSError:
            about = {}
        return cls(about.get("ID", ""), about.get("VERSION_ID", ""), about.get("PRETTY_NAME", "an unknown Linux"))

    def install(self, *packages: str) -> str:
        """The command that installs packages, by their names in Debian."""
        if self.name not in ("debian", "ubuntu") and shutil.which("apt-get") is None:
            return f"install {' '.join(packages)} with the package manager of {self.title}"
        if (self.name, self.release) == ("ubuntu", "22.04"):
            packages = tuple(
                f"{name}-10.6" if re.match(r"mariadb-(server|client)", name) else name for name in packages
            )
        return self.as_root(f"apt-get install -y --no-install-recommends {' '.join(packages)}")

    @staticmethod
    def as_root(command: str) -> str:
        """The command as this user has to write it."""
        return command if os.geteuid() == 0 else f"sudo {command}"


def examine() -> list[Finding]:
    """Look at everything, in less than two seconds."""
    here = Distribution.of_this_machine()
    looks: list[Callable[[Distribution], list[Finding]]] = [
        _python, _databases, _servers, _mode, _filter, _clock, _room, _extras,
    ]  # fmt: skip
    with ThreadPoolExecutor(len(looks)) as pool:
        return [finding for found in pool.map(lambda look: look(here), looks) for finding in found]


def examine_environment(config: Config, name: str, progress: Callable[[str], None]) -> list[Judged]:
    """Whether what was documented of an environment in the cloud is so.

    Raises:
        Invalid: there is no such environment, or nothing is known of its platform.
        Refused: the credentials are of another account.
    """
    where = config.declared(name).platform
    if where == "aws":
        from ftchaos.platforms.aws import examination

        return examination.examine(config, name, progress)
    if where == "kubernetes":
        from ftchaos.platforms.kubernetes import examination as of_kubernetes

        return of_kubernetes.examine(config, name, progress)
    raise Invalid(
        f"nothing is documented of {name!r}, which is on the platform {where}",
        "name an environment on aws or kubernetes",
    )


def _python(here: Distribution) -> list[Finding]:
    version = sys.version_info[:2]
    findings = [Finding("python", "ok", f"{platform.python_version()} on {here.title}, kernel {platform.release()}")]
    if not OLDEST_PYTHON <= version <= NEWEST_PYTHON:
        detail = f"{platform.python_version()} is not one of 3.11 to 3.13, which is what ftchaos is tested on"
        findings = [Finding("python", "missing", detail, "PYTHON=/path/to/python3.13 scripts/install")]
    absent = [name for name in _libraries() if not _is_installed(name)]
    if absent:
        command = f"{shlex.quote(sys.executable)} -m pip install {' '.join(absent)}"
        findings.append(Finding("python libraries", "missing", f"absent: {', '.join(absent)}", command))
    return findings


def _libraries() -> list[str]:
    """The names of the libraries that the installed package says it needs."""
    try:
        wanted = importlib.metadata.requires("ftchaos") or []
    except importlib.metadata.PackageNotFoundError:  # run from the source tree: whoever does that knows
        return []
    return [match[0] for line in wanted if "extra ==" not in line and (match := re.match(r"[A-Za-z0-9._-]+", line))]


def _is_installed(library: str) -> bool:
    try:
        importlib.metadata.version(library)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def _databases(here: Distribution) -> list[Finding]:
    """Both flavours of MySQL; one whole flavour is enough for a drill."""
    from ftchaos.errors import MissingProgram
    from ftchaos.mysql import flavour

    mariadb = ("mariadb-server-core", "mariadb-client-core", "mariadb-client", "mariadb-backup")
    findings = []
    for name, programs, command in (
        ("mariadb", ("client", "dump", "binlog", "admin", "backup"), here.install(*mariadb)),
        ("mysql", ("client", "dump", "binlog", "admin"), _command_for_mysql(here)),
    ):
        try:
            found = flavour.find(name)
            for program in programs:
                found.program(program)
        except MissingProgram as error:
            findings.append(Finding(name, "optional", error.fact, command))
        else:
            where = next((word for word in reversed(found.program("server")) if word.startswith("/")), "")
            findings.append(Finding(name, "ok", f"{found.version_text} ({where})"))
    if all(finding.status != "ok" for finding in findings):
        findings[0] = Finding(
            "mariadb", "missing", f"{findings[0].detail}; one whole flavour is needed", findings[0].command
        )
    return findings


def _command_for_mysql(here: Distribution) -> str:
    if _FETCH_MYSQL.exists():
        return str(_FETCH_MYSQL)
    if here.name == "ubuntu":
        return here.install("mysql-server-core-8.0", "mysql-client-core-8.0")
    return "run scripts/fetch-mysql of the repository"


def _servers(here: Distribution) -> list[Finding]:
    """The other programs that the lab is made of."""
    return [
        _program(here, "redis-server", ("--version",), r"v=(\S+)", "redis-server"),
        _program(here, "haproxy", ("-v",), r"version (\S+)", "haproxy"),
        _program(here, "ip", ("-V",), r"iproute2-([0-9.]+)", "iproute2"),
        _program(here, "unshare", ("--version",), r"util-linux (\S+)", "util-linux"),
        _program(here, "nsenter", ("--version",), r"util-linux (\S+)", "util-linux"),
        _program(here, "setpriv", ("--version",), r"util-linux (\S+)", "util-linux"),
    ]


def _program(here: Distribution, name: str, ask: Sequence[str], version: str, package: str) -> Finding:
    path = shutil.which(name, path=_search_path())
    if path is None:
        return Finding(name, "missing", "the lab cannot be brought up without it", here.install(package))
    code, said = _run([path, *ask])
    match = re.search(version, said, re.MULTILINE)
    if code != 0:
        return Finding(name, "missing", f"{path} does not run: {_last(said)}", here.install(package))
    return Finding(name, "ok", f"{match[1] if match else 'unknown version'} ({path})")


def _mode(here: Distribution) -> list[Finding]:
    """How the lab can separate its zones; each way is tried."""
    from ftchaos.platforms.lab.launch import obstacle

    with ThreadPoolExecutor(2) as pool:
        root, user = pool.map(obstacle, ("root", "user"))
    modes = [name for name, reason in (("root", root), ("user", user)) if not reason] + ["loopback"]
    detail = f"{modes[0]}; to be had: {', '.join(modes)}"
    if modes[0] != "loopback":
        return [Finding("lab mode", "ok", detail)]
    lost = f"loopback only: no zone can be cut from the network, and none dies in one call (root: {root}; user: {user})"
    return [Finding("lab mode", "optional", lost, _command_for_namespaces(here))]


def _command_for_namespaces(here: Distribution) -> str:
    """The switch that this kernel has for unprivileged user namespaces."""
    for switch, closed, opened in (
        ("kernel/apparmor_restrict_unprivileged_userns", "1", "0"),
        ("kernel/unprivileged_userns_clone", "0", "1"),
        ("user/max_user_namespaces", "0", "10000"),
    ):
        path = Path("/proc/sys") / switch
        if path.exists() and path.read_text().strip() == closed:
            return here.as_root(f"sysctl -w {switch.replace('/', '.')}={opened}")
    return "run as root, or on a machine or container that allows namespaces"


def _filter(here: Distribution) -> list[Finding]:
    """Whether packets between two zones can be dropped, in a namespace of our own."""
    from ftchaos.platforms.lab.launch import namespace_options

    nft = shutil.which("nft", path=_search_path())
    if nft is None:
        return [Finding("nft", "optional", "no faults between single pairs of zones", here.install("nftables"))]
    rule = "add table bridge ftchaos; add chain bridge ftchaos cut { type filter hook forward priority 0; }"
    options = namespace_options("root" if os.geteuid() == 0 else "user")
    code, said = _run(["unshare", *options, nft, rule])
    if code != 0:
        detail = f"the kernel or this user may not filter a bridge: {_last(said)}"
        return [Finding("nft", "optional", detail, _command_for_namespaces(here))]
    return [Finding("nft", "ok", f"filters a bridge in a namespace ({nft})")]


def _clock(here: Distribution) -> list[Finding]:
    """Whether the clock of a database server can be moved."""
    from ftchaos.platforms.lab import clocks

    found = clocks.library()
    if found is None:
        return [Finding(clocks.PACKAGE, "optional", "no clock of a server can jump", here.install(clocks.PACKAGE))]
    return [Finding(clocks.PACKAGE, "ok", str(found))]


def _room(here: Distribution) -> list[Finding]:
    """Disk space where the lab and the templates live, and memory."""
    findings = []
    for name, folder in (("disk for the lab", state.root()), ("disk for the cache", state.cache())):
        existing = next(parent for parent in (folder, *folder.parents) if parent.exists())
        free = shutil.disk_usage(existing).free
        detail = f"{units.human_size(free)} free in {folder}"
        if not os.access(existing, os.W_OK):
            variable = "FTCHAOS_STATE" if folder == state.root() else "FTCHAOS_CACHE"
            findings.append(
                Finding(name, "missing", f"{existing} cannot be written", f"export {variable}=/a/folder/of/yours")
            )
        elif free < NEEDED_DISK_BYTES:
            wanted = units.human_size(NEEDED_DISK_BYTES)
            findings.append(Finding(name, "missing", f"{detail}, {wanted} are wanted", "free some space there"))
        else:
            findings.append(Finding(name, "ok", detail))
    available = _available_memory_bytes()
    enough = available >= NEEDED_MEMORY_BYTES
    detail = f"{units.human_size(available)} available, {os.cpu_count()} processors"
    findings.append(
        Finding("memory", "ok", detail) if enough else Finding("memory", "missing", detail, "end other programs")
    )
    return findings


def _available_memory_bytes() -> int:
    match = re.search(r"MemAvailable:\s+(\d+) kB", Path("/proc/meminfo").read_text())
    return int(match[1]) * 1024 if match else 0


def _extras(here: Distribution) -> list[Finding]:
    """What only the tests, the benchmarks, or backups of other tools want."""
    chromium = "sudo snap install chromium" if here.name == "ubuntu" else here.install("chromium")
    findings = []
    for names, use, command in (
        (("chromium", "chromium-browser", "google-chrome"), "the browser tests of the report", chromium),
        (("mydumper",), "the benchmarks", here.install("mydumper")),
        (("pt-table-checksum",), "the benchmarks", here.install("percona-toolkit")),
    ):
        path = next(filter(None, (shutil.which(name, path=_search_path() + ":/snap/bin") for name in names)), None)
        if path:
            findings.append(Finding(names[0], "ok", path))
        else:
            findings.append(Finding(names[0], "optional", f"wanted by {use} only", command))
    return findings


def _search_path() -> str:
    """PATH with the folders of system programs, which an ordinary user's PATH lacks on Debian."""
    return f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"


def _run(argv: Sequence[str]) -> tuple[int, str]:
    """Exit code and all output of a short program; 127 where it cannot be run or hangs."""
    try:
        done = subprocess.run(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return 127, str(error)
    return done.returncode, done.stdout.decode(errors="replace")


def _last(said: str) -> str:
    lines = said.strip().splitlines()
    return lines[-1] if lines else "it said nothing"
