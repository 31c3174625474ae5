"""A Redis Cluster that speaks nothing but TLS and asks for a password: written to, read back, and never in the open."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import json
import signal
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from trio import free_port, until

from ftchaos import survivors
from ftchaos.platforms.aws import roles
from ftchaos.workload import book, link
from ftchaos.workload.resp import Reply, command

PASSWORD = "of the cache"
SLOTS = 16384


@dataclass(frozen=True)
class Cache:
    """One node that has all slots."""

    folder: Path
    port: int

    @property
    def manner(self) -> dict[str, Any]:
        return {"tls": True, "ca": f"{self.folder}/cert.pem", "user": "", "secret_file": f"{self.folder}/secret"}

    def ask(self, *words: str | int, **change: Any) -> Reply:
        """What it answers to a client of that manner."""

        async def asked() -> Reply:
            manner = link.manner(**{**self.manner, **change})
            with closing(await link.Link.to(("127.0.0.1", self.port), 2, manner)) as one:
                (answer,) = await one.ask(command(*words), 1, 2)
                return answer

        return asyncio.run(asked())


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cache]:
    port = next(port for port in iter(free_port, 0) if port <= 55_535)  # that of the cluster's bus is 10,000 higher
    made = Cache(tmp_path_factory.mktemp("cache"), port)
    _certificate(made.folder)
    (made.folder / "secret").write_text(PASSWORD)
    argv = [
        "redis-server", "--port", "0", "--tls-port", str(made.port), "--tls-cert-file", "cert.pem",
        "--tls-key-file", "key.pem", "--tls-ca-cert-file", "cert.pem", "--tls-auth-clients", "no",
        "--tls-cluster", "yes", "--cluster-enabled", "yes", "--requirepass", PASSWORD, "--bind", "127.0.0.1",
        "--save", "", "--cluster-announce-ip", "127.0.0.1",
    ]  # fmt: skip
    with (made.folder / "log").open("wb") as log:
        process = subprocess.Popen(argv, cwd=made.folder, stdout=log, stderr=log)
    try:
        until(lambda: _answers(made), 60)
        assert "OK" == made.ask("CLUSTER", "ADDSLOTSRANGE", 0, SLOTS - 1)
        until(lambda: b"cluster_state:ok" in bytes(made.ask("CLUSTER", "INFO")), 10)  # type: ignore[arg-type]
        yield made
    finally:
        process.kill()
        process.wait()


def _answers(cache: Cache) -> bool:
    try:
        return cache.ask("PING") == "PONG"
    except OSError:
        return False


def _certificate(folder: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "cache")])
    at = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(at - datetime.timedelta(days=1))
        .not_valid_after(at + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )


def test_writes_are_acknowledged_and_read_back(cache: Cache, tmp_path: Path) -> None:
    nodes, shards = [["127.0.0.1", cache.port]], {"a": "0"}
    redis = {"nodes": nodes, "shards": shards, "wait": False, **cache.manner}
    (tmp_path / "workload.json").write_text(json.dumps({"folder": str(tmp_path / "ledger"), "redis": redis}))
    process = subprocess.Popen([sys.executable, "-m", "ftchaos.workload", str(tmp_path / "workload.json")])
    until(lambda: _acknowledged(tmp_path, live=True) > 20, 60)
    process.send_signal(signal.SIGTERM)

    assert 0 == process.wait(15)
    kept = tmp_path / "survivors.json"
    where = {"ledgers": [str(tmp_path / "ledger")], "nodes": nodes, "shards": shards, "survivors": str(kept)}
    (tmp_path / "read.json").write_text(json.dumps({**where, "forget": True, **cache.manner}))
    subprocess.run([sys.executable, "-m", "ftchaos.survivors", str(tmp_path / "read.json")], check=True)
    (found,) = survivors.kept(kept) or []
    ((first, last),) = found.writers[1].present
    assert (1, _acknowledged(tmp_path)) == (first, last)
    assert 0 == cache.ask("DBSIZE")


def _acknowledged(folder: Path, *, live: bool = False) -> int:
    if not (folder / "ledger" / book.FILE).exists():
        return 0
    (writer,) = book.read(folder / "ledger", live=live).writers
    return sum(last - first + 1 for first, last in writer.acknowledged())


def test_whoever_leads_says_so_to_whoever_may_ask(cache: Cache) -> None:
    assert roles.PRIMARY == roles.ask("127.0.0.1", cache.port, True, PASSWORD, ca=cache.manner["ca"])


def test_a_wrong_password_and_a_strange_certificate_let_nobody_in(cache: Cache, tmp_path: Path) -> None:
    (tmp_path / "wrong").write_text("wrong")

    with pytest.raises(PermissionError, match="WRONGPASS"):
        cache.ask("PING", secret_file=str(tmp_path / "wrong"))
    with pytest.raises(ssl.SSLCertVerificationError):
        cache.ask("PING", ca="")
    assert "NOAUTH" in str(cache.ask("PING", secret_file=""))
