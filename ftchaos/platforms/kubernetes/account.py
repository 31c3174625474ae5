"""The account that a Secret of the cluster holds."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from ftchaos.errors import StepFailed
from ftchaos.platforms.login import Account

if TYPE_CHECKING:
    from ftchaos.platforms.kubernetes.access import Access


def read(access: Access, secret: str, *, bare: bool = False) -> Account:
    """The account of a store.

    Args:
        secret: namespace and name, with the keys ``username`` and ``password`` as of ``kubernetes.io/basic-auth``.
        bare: that there is no user name will do.

    Raises:
        StepFailed: there is no such Secret, or it holds something else.
    """
    namespace, _, name = secret.partition("/")
    found = access.get("secrets", namespace, name)
    if found is None:
        raise StepFailed(f"there is no Secret {secret}", f"correct kubernetes.{'redis' if bare else 'mysql'}.secret")
    data = {"username": "", **(found.get("data") or {})} if bare else found.get("data") or {}
    try:
        return Account(*(base64.b64decode(data[key]).decode() for key in ("username", "password")))
    except (KeyError, ValueError):
        # What could not be read may be a secret all the same.
        lacking = "password" if bare else "username and password"
        raise StepFailed(f"the Secret {secret} holds no account", f"it is to have {lacking}") from None
