"""``python -m ftchaos.survivors CONFIG.json``: read what a Redis Cluster holds, from where it can be reached.

::

    {"ledgers": ["/run/ledger"], "nodes": [["10.77.0.11", 6401]], "shards": {"a": "9"},
     "survivors": "/run/survivors-redis.json", "timeout_s": 30, "forget": false,
     "tls": true, "ca": "", "user": "", "secret_file": "/run/secret"}

The survivors lie in their file when this ends with 0. With ``forget`` the keys are removed after that; that they could
not be is said, but makes the survivors no less true.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ftchaos.errors import FtchaosError, Invalid
from ftchaos.process import die_with_parent
from ftchaos.survivors import keys
from ftchaos.survivors.kept import keep
from ftchaos.workload import config, link

TIMEOUT_S = 30.0
HINT = "see ftchaos/survivors/__main__.py for what it may say"
NEEDED: dict[str, tuple[type, ...]] = {"ledgers": (list,), "nodes": (list,), "shards": (dict,), "survivors": (str,)}
MANNER = ("tls", "ca", "user", "secret_file", "server_name", "reach_s", "clustered")
OPTIONAL: dict[str, tuple[type, ...]] = {
    "timeout_s": (int, float), "forget": (bool,), "parent_pid": (int,), "tls": (bool,), "ca": (str,), "user": (str,),
    "secret_file": (str,), "server_name": (str,), "reach_s": (int, float), "clustered": (bool,),
}  # fmt: skip


def main(argv: Sequence[str]) -> int:
    die_with_parent()
    try:
        chosen = load(Path(argv[0]))
        die_with_parent(chosen.get("parent_pid"))
        where = config.nodes(chosen["nodes"], "nodes"), config.shards(chosen["shards"], "shards")
        folders, timeout_s = [Path(one) for one in chosen["ledgers"]], chosen.get("timeout_s", TIMEOUT_S)
        manner = link.manner(**{name: chosen[name] for name in MANNER if name in chosen})
        keep(Path(chosen["survivors"]), keys.read(*where, folders, timeout_s, manner))
    except (FtchaosError, OSError) as error:
        sys.stderr.write(f"survivors: {error}\n")
        return error.exit_code if isinstance(error, FtchaosError) else 2
    if chosen.get("forget"):
        try:
            keys.forget(*where, folders, timeout_s, manner)
        except FtchaosError as error:
            sys.stderr.write(f"survivors: their keys were not removed: {error}\n")
    return 0


def load(path: Path) -> Mapping[str, Any]:
    """The configuration in a file.

    Raises:
        Invalid: it cannot be read, or says what cannot be done.
    """
    try:
        data = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise Invalid(f"the configuration {path} of the survivors cannot be read: {error}", HINT) from error
    known: Mapping[str, Any] = data if isinstance(data, dict) else {}
    if missing := [name for name in NEEDED if name not in known]:
        raise Invalid(f"the configuration of the survivors lacks {missing[0]!r}", HINT)
    for name, value in known.items():
        wanted = (NEEDED | OPTIONAL).get(name)
        if wanted is None:
            raise Invalid(f"the configuration of the survivors has no key {name!r}", HINT)
        if not isinstance(value, wanted) or (isinstance(value, bool) and wanted != (bool,)):
            raise Invalid(f"{name!r} of the survivors is {value!r}", HINT)
    return known


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
