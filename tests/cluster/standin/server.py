"""The stand-in as a test sees it: a process of its own, where it listens, and what can be commanded."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from cluster.standin.reach import Obj, Reach, kubeconfig


class Standin(Reach):
    """A cluster that runs until :meth:`end`, or until the process that began it dies.

    Attributes:
        folder: where its kubeconfigs and its log are.
        endpoint: its URL.
    """

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="ftchaos-cluster-"))
        self._tokens = 0
        token = secrets.token_urlsafe(24)
        tests = Path(__file__).parents[2]
        with (self.folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "cluster.standin", token, str(self.folder)],
                env={**os.environ, "PYTHONPATH": f"{tests}:{tests.parent}", "PYTHONDONTWRITEBYTECODE": "1"},
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log,
            )  # fmt: skip
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the stand-in does not come up: {self.messages()}")
        self.endpoint: str = json.loads(line)["endpoint"]
        super().__init__(kubeconfig(self.folder / "kubeconfig", self.endpoint, token))

    def command(self, command: str, /, **arguments: Any) -> Any:
        """What a command of the stand-in answers; see :mod:`cluster.standin.commands`.

        Raises:
            RuntimeError: it failed in there.
        """
        request = urllib.request.Request(f"{self.endpoint}/standin/{command}", json.dumps(arguments).encode())
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.loads(answer.read())
        except urllib.error.HTTPError as error:
            raise RuntimeError(json.loads(error.read())) from error

    def settings(self, **values: Any) -> None:
        """Change durations; see :class:`cluster.standin.settings.Settings`."""
        self.command("settings", **values)

    # Requests ---------------------------------------------------------------------------------------------------

    def requests(self, *, writes: bool = False) -> list[Obj]:
        """The requests since :meth:`clear`, in order: number, at, method, path, verb, group, resource, subresource,
        namespace, name, query, user, agent, status (-1 where it was hung up), and the body of writes."""
        verbs = ("create", "update", "patch", "delete", "deletecollection")
        return [one for one in self.command("requests") if not writes or one["verb"] in verbs]

    def changes(self, table: str, since_at: float = 0.0) -> list[Obj]:
        """The newest changes of a kind, in order: sort, object, and at, the instant on this machine's monotonic clock.

        It is exact, unlike what the objects say of themselves in whole seconds.
        """
        return list(self.command("changes", table=table, since_at=since_at))

    def clear(self) -> None:
        """Forget the requests and the mishaps that have not come up."""
        self.command("clear")

    def fail_next(self, reason: str, verb: str = "", resource: str = "", times: int = 1, **more: Any) -> None:
        """Let the next matching requests fail: with the reason of a Status, or ``HangUp`` without an answer.

        ``resource`` is as ``pods`` or ``pods/eviction``; ``after=True`` lets them take effect nevertheless; ``skip``
        lets that many go well before. See :class:`cluster.standin.gate.Mishap`.
        """
        self.command("mishap", reason=reason, verb=verb, resource=resource, times=times, **more)

    def throttle(self, times: int = 1, retry_after_s: int = 1, verb: str = "", resource: str = "") -> None:
        """Let the next matching requests be too many."""
        self.fail_next("TooManyRequests", verb, resource, times, retry_after_s=retry_after_s)

    def slow(self, slow_s: float, verb: str = "", resource: str = "", times: int = 1_000_000) -> None:
        """Let the next matching requests wait, in real seconds."""
        self.command("mishap", slow_s=slow_s, verb=verb, resource=resource, times=times)

    def stop_at(self, number: int, *, effect: bool = False, hang_up: bool = False, writes: bool = False) -> None:
        """Answer no more from the so-manieth request on.

        Args:
            number: counted from now, 1 is the next.
            effect: whether that request takes effect; its answer does not come in any case.
            hang_up: whether connections are closed at once; else they are held until :meth:`resume` or :meth:`clear`,
                which hangs up on them, so that nothing that was held takes effect later.
            writes: whether only writes count.
        """
        self.command("stop_at", number=number, effect=effect, hang_up=hang_up, writes=writes)

    @property
    def stopped(self) -> bool:
        """Whether that request has come."""
        return bool(self.command("stopped"))

    def resume(self) -> None:
        """Answer again."""
        self.command("resume")

    def compact(self) -> None:
        """Forget all changes until now: watches and continue tokens from before get 410."""
        self.command("compact")

    # Machines and applications ----------------------------------------------------------------------------------

    def kill_nodes(self, *names: str) -> None:
        """Let the machines of nodes be gone; the cluster learns of it from their silence."""
        self.command("kill", names=names)

    def revive_nodes(self, *names: str) -> None:
        """Let them be back."""
        self.command("revive", names=names)

    def sicken(self, namespace: str, *names: str, works: bool = False) -> None:
        """Let the applications in some pods not work any more; whether that shows depends on their readiness probes."""
        self.command("sicken", namespace=namespace, names=names, works=works)

    def load(self, namespace: str, autoscaler: str, percent: float) -> None:
        """Set the load that an autoscaler measures: 600 is 100 % of the requests of six pods, or 200 % of three."""
        self.command("load", namespace=namespace, name=autoscaler, percent=percent)

    def run_cronjob(self, namespace: str, name: str) -> str:
        """Begin the Job of a CronJob now; its name, or nothing where the concurrency policy forbids it."""
        return str(self.command("run_cronjob", namespace=namespace, name=name))

    # Accounts ---------------------------------------------------------------------------------------------------

    def kubeconfig_of(self, name: str, namespace: str = "", groups: tuple[str, ...] = ()) -> Path:
        """A kubeconfig of a user, or where a namespace is given of its service account, with what roles let it do."""
        self._tokens += 1
        token = self.command("token", name=name, namespace=namespace, groups=list(groups))
        return kubeconfig(self.folder / f"kubeconfig-{self._tokens}", self.endpoint, token)

    def read_only(self) -> Path:
        """A kubeconfig of a user who may read everything and change nothing."""
        name, group = "reader", "rbac.authorization.k8s.io"
        role = {"apiVersion": f"{group}/v1", "kind": "ClusterRole", "metadata": {"name": name}}
        rules = [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["get", "list", "watch"]}]
        binding = {"apiVersion": f"{group}/v1", "kind": "ClusterRoleBinding", "metadata": {"name": name}}
        subjects = [{"kind": "User", "name": name, "apiGroup": group}]
        reference = {"kind": "ClusterRole", "name": name, "apiGroup": group}
        self.create({**role, "rules": rules}, {**binding, "roleRef": reference, "subjects": subjects})
        return self.kubeconfig_of(name)

    # ------------------------------------------------------------------------------------------------------------

    def reset(self) -> None:
        """An empty cluster again, with the usual settings."""
        self.command("reset")
        account = "/api/v1/namespaces/default/serviceaccounts/default"
        self.until(lambda: self.command("there", path=account), "the account of the default namespace")
        self.__dict__.pop("kinds", None)

    def messages(self) -> str:
        """What it wrote on its standard error: empty unless something is wrong in there."""
        return (self.folder / "log").read_text(errors="replace")[-4000:]

    def end(self) -> None:
        """Kill it, and remove its files."""
        with contextlib.suppress(OSError, RuntimeError):
            self.command("reset")  # which ends what it began
        self._process.kill()
        self._process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)
