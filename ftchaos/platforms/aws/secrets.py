"""The accounts that Secrets Manager keeps."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from ftchaos.errors import StepFailed
from ftchaos.platforms.login import Account

if TYPE_CHECKING:
    from ftchaos.platforms.aws.access import Access


def read(access: Access, secret: str, *, bare: bool = False) -> Account:
    """The account that a secret holds.

    Args:
        secret: name or ARN; its value as RDS and its rotation write it, with ``username`` and ``password``.
        bare: whether it may be the password alone.

    Raises:
        StepFailed: it holds something else.
    """
    answer = access.client("secretsmanager").get_secret_value(SecretId=secret)
    access.ensure_ours(answer["ARN"])
    text = str(answer.get("SecretString") or "")
    try:
        value = json.loads(text)
        return Account(str(value.get("username", "") if bare else value["username"]), str(value["password"]))
    except (ValueError, KeyError, TypeError, AttributeError):
        if bare and text and not text.lstrip().startswith("{"):
            return Account("", text)
        # What could not be read may be a secret all the same.
        raise StepFailed(
            f"the secret {secret} holds no account", 'its value is to be JSON with "username" and "password"'
        ) from None
