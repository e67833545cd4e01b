"""The device's arithmetic of SRP-6a."""

from __future__ import annotations

import hashlib

import pytest

from firmware_stubs.provisioning import srp
from tests.firmware.provisioning.board import Board

N = int.from_bytes(srp.N_BYTES, "big")


def test_the_group_is_a_safe_prime_of_3072_bits() -> None:
    """N and (N - 1) / 2 pass Fermat's test for several bases."""
    assert N.bit_length() == 3072
    for base in (2, 3, 5, 7):
        assert pow(base, N - 1, N) == 1
        assert pow(base, (N - 1) // 2 - 1, (N - 1) // 2) == 1


def test_the_verifier_of_the_factory_password_is_the_published_one() -> None:
    """Salt and verifier are those of the unit tests of Espressif's protocomm (test_srp.c)."""
    salt = bytes.fromhex("036ee0c7bcb9eda84c9eac97d93decf4")
    verifier = srp.make_verifier(Board(), b"wifiprov", b"abcd1234", salt)
    assert verifier[:8].hex() == "7c7c85476508946d"
    assert verifier[-8:].hex() == "5040f762de36b2ba"
    assert (
        hashlib.sha256(verifier).hexdigest()
        == "e985f1fb10e7c5aaf625ec7cc0896e8f92bdcd5b621141766ea6ea93bd899b06"
    )


def test_the_inner_hash_goes_into_x_without_leading_zeros() -> None:
    """For pw69 the inner hash begins with a zero byte, which is left out as on the host."""
    board = Board()
    inner = board.sha512(b"wifiprov:pw69")
    assert inner[0] == 0
    x = board.sha512(b"s" * 16 + inner[1:])
    assert srp.make_verifier(board, b"wifiprov", b"pw69", b"s" * 16) == board.mod_exp(
        b"\x05", x, srp.N_BYTES
    )


def test_no_salt_begins_with_a_zero_byte() -> None:
    """A salt that does is thrown away: host tools strip the zero."""
    board = Board()
    draws = [bytes(16), b"\0" + b"x" * 15, b"x" + bytes(15)]
    board.random = lambda n: draws.pop(0)  # type: ignore[method-assign]
    assert srp.make_salt(board) == b"x" + bytes(15)


def test_no_public_key_begins_with_a_zero_byte() -> None:
    """A secret that gives such a key is thrown away; the next one is taken."""
    board = Board()
    board.mod_exp = lambda base, exponent, modulus: (  # type: ignore[method-assign]
        exponent.rjust(384, b"\0")
    )
    draws = [b"\0" * 31 + b"\1", b"\0" * 31 + b"\2"]
    board.random = lambda n: draws.pop(0)  # type: ignore[method-assign]
    k = int.from_bytes(board.sha512(srp.N_BYTES + srp.pad(b"\x05")), "big")
    # kv + 1 is short and kv + 2 is not: kv is just below 2^3064.
    v = ((1 << 3064) - 2) * pow(k, -1, N) % N
    exchange = srp.Exchange(board, b"salt", v.to_bytes(384, "big"))
    list(exchange.run(b"user", b"\x01" * 384))
    assert int.from_bytes(exchange.public, "big") == 1 << 3064
    assert not draws


@pytest.mark.parametrize("factor", [0, 1])
def test_a_client_key_of_zero_modulo_n_is_refused(factor: int) -> None:
    """A = 0 and A = N would make the session key one that needs no password."""
    exchange = srp.Exchange(Board(), b"salt", b"\x07" * 384)
    with pytest.raises(srp.ForbiddenKeyError, match="0 modulo N"):
        list(exchange.run(b"user", (factor * N).to_bytes(384, "big")))


def test_a_scrambling_number_of_zero_is_refused() -> None:
    """u = 0 would take the password out of the session key."""
    board = Board()
    board.sha512 = lambda data: bytes(64)  # type: ignore[method-assign]
    exchange = srp.Exchange(board, b"salt", b"\x07" * 384)
    with pytest.raises(srp.ForbiddenKeyError, match="u is 0"):
        list(exchange.run(b"user", b"\x01" * 384))


def test_comparing_looks_at_every_byte() -> None:
    """Equal strings are equal; any difference, and any length, makes them differ."""
    assert srp.same(b"abc", b"abc")
    assert not any(srp.same(b"abc", other) for other in (b"xbc", b"axc", b"abx", b"ab", b""))
