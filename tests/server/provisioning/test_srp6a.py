"""The client's arithmetic of SRP-6a, against Espressif's.

`data/srp_vectors.json` was made with esp_prov's srp6a: the four kinds are those in which
implementations are known to differ.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from server.provisioning.srp6a import (
    KEY_BYTES,
    ForbiddenKeyError,
    N,
    Srp6aClient,
    padded,
    private_key,
)

VECTORS = json.loads(Path(__file__).with_name("data").joinpath("srp_vectors.json").read_text())


def client(secret: bytes, password: bytes = b"abcd1234", *, strip: bool = True) -> Srp6aClient:
    """Make a client with a secret of our choice."""
    return Srp6aClient(b"wifiprov", password, lambda n: secret, strip=strip)


@pytest.mark.parametrize("vector", VECTORS, ids=[vector["kind"] for vector in VECTORS])
def test_proofs_and_key_are_those_of_espressifs_client(vector: dict[str, str]) -> None:
    """Same secret, same device: same proof, same session key, same proof expected of the device."""
    made = client(bytes.fromhex(vector["secret"]), vector["password"].encode())
    salt, public = bytes.fromhex(vector["salt"]), bytes.fromhex(vector["device_public"])
    assert made.proof(salt, public).hex() == vector["proof"]
    assert made.key.hex() == vector["key"]
    assert made.check(bytes.fromhex(vector["device_proof"]))
    assert not made.check(bytes(64))
    if vector["kind"] == "no zeros":
        assert not made.zeros_met
    elif vector["kind"] != "device key is short":
        assert made.zeros_met


def test_the_vectors_are_of_the_kinds_that_they_say() -> None:
    """A short key has 383 bytes; pw69 has an inner hash that begins with zero."""
    by_kind = {vector["kind"]: vector for vector in VECTORS}
    assert len(by_kind) == 4
    assert len(by_kind["device key is short"]["device_public"]) == 2 * (KEY_BYTES - 1)
    password = by_kind["inner hash begins with 0"]["password"]
    assert hashlib.sha512(f"wifiprov:{password}".encode()).digest()[0] == 0


def test_the_verifier_of_the_factory_password_is_the_published_one() -> None:
    """Salt and verifier are those of the unit tests of Espressif's protocomm."""
    salt = bytes.fromhex("036ee0c7bcb9eda84c9eac97d93decf4")
    verifier = padded(pow(5, private_key(b"wifiprov", b"abcd1234", salt), N))
    assert (
        hashlib.sha256(verifier).hexdigest()
        == "e985f1fb10e7c5aaf625ec7cc0896e8f92bdcd5b621141766ea6ea93bd899b06"
    )


def test_the_inner_hash_can_be_taken_with_its_zeros() -> None:
    """Both ways to make x differ where the inner hash begins with a zero byte, and only there."""
    assert private_key(b"wifiprov", b"pw69", b"s") != private_key(
        b"wifiprov", b"pw69", b"s", strip=False
    )
    assert private_key(b"wifiprov", b"abcd1234", b"s") == private_key(
        b"wifiprov", b"abcd1234", b"s", strip=False
    )


def test_our_public_key_never_begins_with_a_zero_byte() -> None:
    """A device wants 384 bytes: a secret whose key is shorter is thrown away."""
    secrets = [b"\0" * 31 + b"\1", b"\xaa" * 32]
    made = Srp6aClient(b"u", b"p", lambda n: secrets.pop(0))
    assert made.public[0] != 0
    assert made.public == padded(pow(5, int.from_bytes(b"\xaa" * 32, "big"), N))


@pytest.mark.parametrize("key", [b"", bytes(384), padded(N), b"\x01" * 385])
def test_keys_that_prove_nothing_are_refused(key: bytes) -> None:
    """B = 0 modulo N would give a session key without the password."""
    with pytest.raises(ForbiddenKeyError, match="0 modulo N"):
        client(b"\xaa" * 32).proof(b"salt", key)


def test_a_scrambling_number_of_zero_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """u = 0 would take the password out of the session key."""
    made = client(b"\xaa" * 32)
    monkeypatch.setattr("server.provisioning.srp6a.sha512", lambda *parts: bytes(64))
    with pytest.raises(ForbiddenKeyError, match="u is 0"):
        made.proof(b"salt", b"\x07" * 384)
