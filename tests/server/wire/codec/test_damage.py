"""Damaged, foreign and invented packets give no row."""

from __future__ import annotations

import random

import pytest

from server.wire.codec.decoder import BadPacket, Decoder, PacketError, peek
from server.wire.codec.encoder import Encoder
from server.wire.codec.profile import Profile
from tests.server.wire.codec.drives import BOOT, drive, packets_of, plan


@pytest.fixture(scope="module")
def packet(trained: Profile) -> bytes:
    """A packet of 40 bytes."""
    return packets_of(trained, drive(800), limit_bytes=40)[0]


def test_every_flipped_bit_is_noticed(trained: Profile, packet: bytes) -> None:
    """Each of the packet's bits, one at a time."""
    decoder = Decoder(trained, BOOT)
    for bit in range(8 * len(packet)):
        damaged = bytearray(packet)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(PacketError):
            decoder.decode(bytes(damaged))


def test_every_truncation_is_noticed(trained: Profile, packet: bytes) -> None:
    """Cut at each length, and with bytes too many."""
    decoder = Decoder(trained, BOOT)
    for length in range(len(packet)):
        with pytest.raises(BadPacket):
            decoder.decode(packet[:length])
    for extra in (b"\0", b"\xff", b"\0\0\0"):
        with pytest.raises(BadPacket):
            decoder.decode(packet + extra)


def test_random_bytes_are_refused_quickly(trained: Profile) -> None:
    """Bytes that begin like a packet, too."""
    rng = random.Random(8)
    decoder = Decoder(trained, BOOT)
    for length in range(300):
        data = bytearray(rng.randbytes(length))
        if length % 2 and length:
            data[0] = 0x40 | data[0] & 0x2F
        with pytest.raises(PacketError):
            decoder.decode(bytes(data))


def test_damage_that_the_check_sum_alone_would_pass_is_caught_by_the_code(
    trained: Profile, packet: bytes
) -> None:
    """A code that does not end where its packet ends is refused whatever its check sum says."""
    decoder = Decoder(trained, BOOT)
    refused = set()
    rng = random.Random(2)
    for _ in range(200):
        damaged = bytearray(packet)
        damaged[rng.randrange(10, len(packet) - 2)] ^= 1 << rng.randrange(8)
        with pytest.raises(BadPacket) as caught:
            decoder.decode(bytes(damaged))
        refused.add(caught.value.reason)
    assert any("code" in reason for reason in refused)


def test_packets_of_another_boot_or_profile_are_refused(trained: Profile, packet: bytes) -> None:
    """The check sum begins with the boot's number and the profile's hash."""
    for other in (1, BOOT + 1, BOOT ^ 1 << 31):
        with pytest.raises(BadPacket):
            Decoder(trained, other).decode(packet)
    rescaled = Profile.from_bytes(trained.to_bytes())
    rescaled.signals[0].scale_num = 2  # decodes to the same steps, but means something else
    assert rescaled.hash != trained.hash
    with pytest.raises(BadPacket, match="check sum is wrong"):
        Decoder(Profile.from_bytes(rescaled.to_bytes()), BOOT).decode(packet)
    with pytest.raises(BadPacket):
        Decoder(Profile.cold(100, plan(5)), BOOT).decode(packet)


def test_peek_refuses_what_cannot_be_a_packet() -> None:
    """Too short, another version, a header without end: each in words."""
    with pytest.raises(BadPacket, match="3 bytes; a packet has at least"):
        peek(b"abc")
    with pytest.raises(BadPacket, match="version 3; version 1 expected"):
        peek(b"\xc0" + bytes(20))
    with pytest.raises(BadPacket, match="does not end"):
        peek(b"\x40" + b"\xff" * 20)


def test_more_rows_than_the_gateway_can_number_are_refused(trained: Profile) -> None:
    """65,535 readings are the most; a header that says more is not believed."""
    with pytest.raises(BadPacket, match="16385 rows; a packet of this profile has at most 13107"):
        Decoder(trained, BOOT).decode(b"\x40\0\0\x80\x80\1" + bytes(20))


def test_a_wrong_state_gives_no_wrong_row(trained: Profile) -> None:
    """A decoder whose state of the reference is not the encoder's refuses what rests on it."""
    encoder = Encoder(trained, BOOT, limit_bytes=64, wait_rows=4)
    right, wrong = Decoder(trained, BOOT), Decoder(trained, BOOT)
    refused = 0
    for number, row in enumerate(drive(2500)):
        packet = encoder.add(number, row)
        if packet is None:
            continue
        decoded = right.decode(packet)
        right.commit(decoded)
        encoder.acknowledged(decoded.seq)
        if decoded.kind == "D":
            try:
                assert wrong.decode(packet).rows == decoded.rows
            except BadPacket:
                refused += 1
        assert decoded.state is not None
        state = bytearray(decoded.state)
        state[4] ^= 2  # the first signal's value
        decoded.state = bytes(state)
        wrong.commit(decoded)
    assert refused > 3
