"""Ed25519 signatures over what a run left, as DSSE envelopes that other tools can verify.

The private key is named, never kept: ``$FTCHAOS_SIGNING_KEY`` is the path of a PEM file, or the PEM itself. A key has
an id: the SHA-256 of its public half as DER, as other signing tools compute it.

Source: DSSE v1.0 (pre-authentication encoding, payload and signatures in base64).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ftchaos.errors import Invalid

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

VARIABLE = "FTCHAOS_SIGNING_KEY"
LARGEST_PEM_BYTES = 1 << 16
_KEY_ID_DIGITS = 64


@dataclass(frozen=True)
class Signer:
    """A private key at work.

    Attributes:
        public_key: its public half: DER in base64.
    """

    public_key: str
    _private: Ed25519PrivateKey

    @property
    def key_id(self) -> str:
        return key_id(self.public_key)

    def envelope(self, payload: bytes, payload_type: str) -> bytes:
        """A DSSE envelope around a payload."""
        signature = self._private.sign(_encoded(payload, payload_type))
        return _serialized(payload, payload_type, self.key_id, signature)


def signer() -> Signer | None:
    """The signer that the environment names; None where it names none.

    Raises:
        Invalid: it names something that is no Ed25519 private key without a password.
    """
    named = os.environ.get(VARIABLE)
    if not named:
        return None
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    pem = named.encode() if named.lstrip().startswith("-----BEGIN") else _read(Path(named), f"${VARIABLE}: the key")
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError) as error:
        # The reason is left out: it may quote the key.
        raise Invalid(
            f"${VARIABLE} names no private key in PEM without a password", "`ftchaos report keygen FILE` makes one"
        ) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise Invalid(f"${VARIABLE} names a key of another kind than Ed25519", "`ftchaos report keygen FILE` makes one")
    return Signer(_public(key), key)


def generate(path: Path) -> str:
    """Make a key pair: the private key as ``path``, for its owner's eyes alone, and the public one as ``path.pub``.

    Returns:
        The key's id.

    Raises:
        Invalid: one of the files is there already, or cannot be written.
    """
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.generate()
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    try:
        for file, content, mode in ((path, private, 0o600), (path.with_name(f"{path.name}.pub"), public, 0o644)):
            descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(content)
    except OSError as error:
        raise Invalid(f"{error.filename or path} cannot be made: {error.strerror}", "name another file") from error
    return key_id(_public(key))


def trusted(names: Sequence[str]) -> frozenset[str]:
    """The ids of the keys that a person trusts, each named by the file of its public key or by the id itself.

    Raises:
        Invalid: one is neither.
    """
    return frozenset(name if _is_id(name) else key_id(_public_file(Path(name))) for name in names)


def key_id(public_key: str) -> str:
    """The id of a public key that is given as DER in base64."""
    return hashlib.sha256(base64.b64decode(public_key)).hexdigest()


def problem(envelope: bytes, public_key: str, payload_type: str) -> str:
    """What is wrong with an envelope that a key is said to have signed; empty when it is exactly what it made."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        payload, signature = _opened(envelope)
        key = serialization.load_der_public_key(base64.b64decode(public_key, validate=True))
    except (ValueError, KeyError, TypeError, IndexError, RecursionError) as error:
        return f"it cannot be read: {type(error).__name__}"
    if not isinstance(key, Ed25519PublicKey):
        return "its key is not an Ed25519 key"
    # Whitespace, another order or another spelling of the same bytes would be an alteration that no signature sees.
    if envelope != _serialized(payload, payload_type, key_id(public_key), signature):
        return "it is not as it was written"
    try:
        key.verify(signature, _encoded(payload, payload_type))
    except InvalidSignature:
        return "its signature is wrong"
    return ""


def payload(envelope: bytes) -> Any:
    """The JSON inside an envelope in which :func:`problem` found nothing."""
    return json.loads(_opened(envelope)[0])


def _opened(envelope: bytes) -> tuple[bytes, bytes]:
    whole = json.loads(envelope)
    return (
        base64.b64decode(whole["payload"], validate=True),
        base64.b64decode(whole["signatures"][0]["sig"], validate=True),
    )


def _serialized(payload: bytes, payload_type: str, key: str, signature: bytes) -> bytes:
    text = json.dumps(
        {
            "payloadType": payload_type,
            "payload": base64.b64encode(payload).decode(),
            "signatures": [{"keyid": key, "sig": base64.b64encode(signature).decode()}],
        },
        indent=1,
    )
    return f"{text}\n".encode()


def _encoded(payload: bytes, payload_type: str) -> bytes:
    """What DSSE signs: the type and the payload, each with its length before it."""
    return b"DSSEv1 %d %s %d %s" % (len(payload_type.encode()), payload_type.encode(), len(payload), payload)


def _public(key: Ed25519PrivateKey) -> str:
    from cryptography.hazmat.primitives import serialization

    public = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(public).decode()


def _public_file(path: Path) -> str:
    from cryptography.hazmat.primitives import serialization

    try:
        key = serialization.load_pem_public_key(_read(path, "the public key"))
    except ValueError as error:
        raise Invalid(
            f"{path} is no public key in PEM", "`ftchaos report keygen FILE` writes it as FILE.pub"
        ) from error
    public = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(public).decode()


def _read(path: Path, what: str) -> bytes:
    try:
        with path.open("rb") as stream:
            return stream.read(LARGEST_PEM_BYTES)
    except (OSError, ValueError) as error:
        said = error.strerror if isinstance(error, OSError) else "its name cannot be a file's"
        raise Invalid(f"{what} cannot be read: {said}", "name a file that is yours to read") from error


def _is_id(text: str) -> bool:
    try:
        return len(text) == _KEY_ID_DIGITS and bool(binascii.unhexlify(text))
    except (binascii.Error, ValueError):
        return False
