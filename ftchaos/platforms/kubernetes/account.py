"""The account that a Secret of the cluster holds."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from ftchaos.errors import StepFailed
from ftchaos.platforms.login import Account

if TYPE_CHECKING:
    from ftchaos.platforms.kubernetes.access import Access


def read(access: Access, secret: str) -> Account:
    """The account of the database.

    Args:
        secret: namespace and name, with the keys ``username`` and ``password`` as of ``kubernetes.io/basic-auth``.

    Raises:
        StepFailed: there is no such Secret, or it holds something else.
    """
    namespace, _, name = secret.partition("/")
    found = access.get("secrets", namespace, name)
    if found is None:
        raise StepFailed(f"there is no Secret {secret}", "correct kubernetes.mysql.secret")
    data = found.get("data") or {}
    try:
        return Account(*(base64.b64decode(data[key]).decode() for key in ("username", "password")))
    except (KeyError, ValueError):
        # What could not be read may be a secret all the same.
        raise StepFailed(f"the Secret {secret} holds no account", "it is to have username and password") from None
