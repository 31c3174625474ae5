"""The real application in the stand-in, and a folder in which ftchaos is run against it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cluster.real_app import API, DB, SPACES, RealApp
from workplaces import Done, Workplace

CONFIGURATION = """\
objectives: {{sustain: {sustain}, rto: 2m, p95: 2s}}
environments:
  staging:
    platform: kubernetes
    api: {api}
    kubernetes:
      context: standin
      kubeconfig: {kubeconfig}
      namespaces: [{spaces}]
      mysql: {{service: {db}/mysql, address: "{mysql}", secret: {db}/database}}
    stop: {{after: 15m, longer_than: 10m}}
"""


@dataclass(frozen=True)
class Stage:
    """The application, and a folder in which ftchaos is run against it."""

    app: RealApp
    place: Workplace

    def configure(self, kubeconfig: Path | None = None, sustain: str = "500ms") -> None:
        (self.place.folder / "ftchaos.yaml").write_text(
            CONFIGURATION.format(
                api=self.app.public_url,
                kubeconfig=kubeconfig or self.app.kubeconfig,
                spaces=", ".join(SPACES),
                mysql=":".join(map(str, self.app.mysql)),
                db=DB,
                sustain=sustain,
            )
        )

    def run(self, name: str, *options: str, program: str = "ftchaos") -> Done:
        return self.place.run("experiment", "run", name, "--environment", "staging", *options, program=program)

    def evidence(self) -> dict[str, Any]:
        """That of the newest run."""
        found: dict[str, Any] = json.loads((self.place.runs()[-1] / "evidence.json").read_text())
        return found

    def whole(self) -> dict[str, Any]:
        """The objects that a fault may change, once all is ready."""
        wanted = ((DB, "mysql", 1), (API, "api", 3))
        self.app.cluster.until(
            lambda: all(len(self.app.ready(space, name)) == count for space, name, count in wanted), "all is ready", 60
        )
        return self.app.cluster.objects()
