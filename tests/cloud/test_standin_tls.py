"""The stand-in's databases offer TLS with a certificate that the stand-in's own authority has signed."""

from __future__ import annotations

from pathlib import Path

import pytest
from standin import certificates, staging
from standin.server import Standin
from standin.staging import INSTANCE, Staging

from ftchaos.mysql import session


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_database_shows_a_certificate_that_the_ca_of_the_stand_in_has_signed(tls: Staging, host: str) -> None:
    with session.reach(host, _port(tls), user="ftchaos", password=tls.password, ca=tls.ca) as connection:
        cipher = session.rows(connection, "SHOW STATUS LIKE 'Ssl_cipher'")[0]["Value"]

    assert cipher


def test_who_trusts_another_authority_is_not_let_in(tls: Staging, tmp_path: Path) -> None:
    other = certificates.issue(tmp_path).ca

    with pytest.raises(session.Unreachable, match="certificate verify failed"):
        session.reach("127.0.0.1", _port(tls), user="ftchaos", password=tls.password, ca=other)


def test_a_plain_connection_stays_possible(tls: Staging) -> None:
    with session.reach("127.0.0.1", _port(tls), user="ftchaos", password=tls.password) as connection:
        cipher = session.rows(connection, "SHOW STATUS LIKE 'Ssl_cipher'")[0]["Value"]

    assert "" == cipher


@pytest.fixture(scope="module")
def tls(standin: Standin) -> Staging:
    """A staging that these tests only read."""
    standin.reset()
    return staging.build(standin, caches=False, replicas=0)


def _port(made: Staging) -> int:
    return int(made.database(INSTANCE)["Endpoint"]["Port"])
