"""Signatures: by a key that is only named, over everything a run left, and checked by other people's tools."""

from __future__ import annotations

import base64
import json
import shutil
import stat
import subprocess
from pathlib import Path

import pytest
import samples
from hypothesis import given
from hypothesis import strategies as st

from ftchaos import evidence, manifest, signing, statement
from ftchaos.errors import Invalid


@pytest.fixture
def key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "key.pem"
    signing.generate(path)
    monkeypatch.setenv(signing.VARIABLE, str(path))
    return path


@pytest.fixture
def run(key: Path, tmp_path: Path) -> Path:
    folder = samples.folder(samples.passed(), tmp_path / "reports")
    evidence.write(samples.passed(), folder)
    manifest.write(folder)
    return folder


def test_a_private_key_is_for_its_owner_alone_and_never_overwritten(key: Path) -> None:
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    with pytest.raises(Invalid, match="cannot be made"):
        signing.generate(key)


def test_a_key_may_stand_in_the_environment_itself(key: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    by_file = signing.signer()
    monkeypatch.setenv(signing.VARIABLE, key.read_text())
    by_value = signing.signer()

    assert by_file is not None
    assert by_value is not None
    assert by_file.key_id == by_value.key_id
    assert signing.trusted([str(key.with_name("key.pem.pub")), "ab" * 32]) == {by_file.key_id, "ab" * 32}


def test_without_a_key_nothing_is_signed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(signing.VARIABLE, raising=False)
    folder = samples.folder(samples.passed(), tmp_path)

    assert manifest.write(folder)["signer"] is None
    assert not (folder / manifest.ATTESTATION).exists()


@pytest.mark.parametrize("named", ["/nowhere/key.pem", "-----BEGIN PRIVATE KEY-----\nsecret\n", "\0", "setup.cfg"])
def test_what_is_no_key_is_refused_and_not_quoted(named: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signing.os, "environ", {signing.VARIABLE: named})

    with pytest.raises(Invalid, match=r"HINT") as error:
        signing.signer()
    assert "secret" not in str(error.value)


def test_a_key_of_another_kind_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "rsa.pem"
    subprocess.run(["openssl", "genrsa", "-out", str(path), "2048"], check=True, capture_output=True)
    monkeypatch.setenv(signing.VARIABLE, str(path))

    with pytest.raises(Invalid, match="another kind than Ed25519"):
        signing.signer()


def test_a_signed_run_has_nothing_to_find(run: Path) -> None:
    assert manifest.verify(run).problems() == []


def test_the_statement_is_about_every_file_and_says_passed(run: Path) -> None:
    stated = signing.payload((run / manifest.ATTESTATION).read_bytes())
    files = {path.relative_to(run).as_posix() for path in run.rglob("*") if path.is_file()}

    assert {one["name"] for one in stated["subject"]} == files - {manifest.ATTESTATION}
    assert stated["predicateType"] == statement.TEST_RESULT
    assert stated["predicate"]["result"] == "PASSED"


def test_an_inconclusive_run_is_attested_as_failed(key: Path, tmp_path: Path) -> None:
    found = samples.inconclusive()
    folder = samples.folder(found, tmp_path / "reports")
    evidence.write(found, folder)
    manifest.write(folder)

    assert signing.payload((folder / manifest.ATTESTATION).read_bytes())["predicate"]["result"] == "FAILED"


def test_another_implementation_verifies_the_envelope(run: Path, key: Path) -> None:
    from securesystemslib.dsse import Envelope
    from securesystemslib.signer import SSlibKey

    envelope = Envelope.from_dict(json.loads((run / manifest.ATTESTATION).read_bytes()))
    public = key.with_name("key.pem.pub").read_text()
    keyid = next(iter(envelope.signatures))

    assert envelope.payload_type == "application/vnd.in-toto+json"
    verified = envelope.verify([SSlibKey(keyid, "ed25519", "ed25519", {"public": _raw(public)})], 1)

    assert list(verified) == [keyid]


def test_openssl_verifies_the_signature(run: Path, key: Path, tmp_path: Path) -> None:
    envelope = json.loads((run / manifest.ATTESTATION).read_bytes())
    payload = base64.b64decode(envelope["payload"])
    signed = b"DSSEv1 28 application/vnd.in-toto+json %d %s" % (len(payload), payload)
    (tmp_path / "signed").write_bytes(signed)
    (tmp_path / "sig").write_bytes(base64.b64decode(envelope["signatures"][0]["sig"]))
    command = f"openssl pkeyutl -verify -rawin -in {tmp_path}/signed -sigfile {tmp_path}/sig -pubin -inkey {key}.pub"

    done = subprocess.run(command.split(), capture_output=True, text=True, check=False)

    assert "Signature Verified Successfully" in done.stdout


@given(data=st.data())
def test_no_byte_of_an_attestation_can_change_unseen(data: st.DataObject, signed: tuple[bytes, str]) -> None:
    envelope, public_key = bytearray(signed[0]), signed[1]
    envelope[data.draw(st.integers(0, len(envelope) - 1))] ^= data.draw(st.integers(1, 255))

    assert signing.problem(bytes(envelope), public_key, statement.PAYLOAD_TYPE) != ""


@given(content=st.binary(max_size=400))
def test_whatever_is_no_envelope_is_refused(content: bytes, signed: tuple[bytes, str]) -> None:
    for envelope in (content, b"[" * 100_000, b'{"payload": 1}', b'{"payload": "", "signatures": []}'):
        assert signing.problem(envelope, signed[1], statement.PAYLOAD_TYPE) != ""


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, str]:
    path = tmp_path_factory.mktemp("keys") / "key.pem"
    signing.generate(path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(signing.VARIABLE, str(path))
        signer = signing.signer()
    assert signer is not None
    return signer.envelope(b'{"a": 1}', statement.PAYLOAD_TYPE), signer.public_key


def test_a_signature_taken_away_or_from_another_run_shows(run: Path, key: Path, tmp_path: Path) -> None:
    later = samples.passed()
    later.run_id = "20261124T000000Z-restore-0002"
    second = samples.folder(later, run.parent)
    evidence.write(later, second)
    manifest.write(second)
    shutil.copy(run / manifest.ATTESTATION, second / manifest.ATTESTATION)

    assert manifest.verify(second).signature == ("altered: attestation.json: it is about other files",)
    (second / manifest.ATTESTATION).unlink()
    assert manifest.verify(second).signature == (
        "altered: attestation.json: it cannot be read: No such file or directory",
    )


def test_an_attestation_beside_an_unsigned_run_shows(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(signing.VARIABLE)
    folder = samples.folder(samples.passed(), tmp_path / "unsigned")
    manifest.write(folder)
    shutil.copy(run / manifest.ATTESTATION, folder)

    assert "names no key" in manifest.verify(folder).signature[0]


def _raw(pem: str) -> str:
    der = base64.b64decode("".join(pem.splitlines()[1:-1]))
    return der[-32:].hex()
