"""Packets that continue from others: loss, order, repeats, restarts."""

from __future__ import annotations

import random

import pytest

from server.wire.codec.decoder import BadPacket, Decoder, NeedKey
from server.wire.codec.encoder import Encoder
from server.wire.codec.profile import Profile
from tests.server.wire.codec.drives import BOOT, Row, drive, rows_of


class Link:
    """Carries packets, loses some, repeats some, and acknowledges what came."""

    def __init__(self, profile: Profile, loss: float, seed: int, **options: int) -> None:
        self.encoder = Encoder(profile, BOOT, **options)
        self.decoder = Decoder(profile, BOOT)
        self.rows: dict[int, Row] = {}
        self.lost: list[int] = []
        self.kinds: list[str] = []
        self.sent_bytes = 0
        self._rng = random.Random(seed)
        self._loss = loss

    def drive(self, rows: list[Row]) -> None:
        """Send a whole drive."""
        for number, row in enumerate(rows):
            self._send(self.encoder.add(number, row))
        while (packet := self.encoder.flush()) is not None:
            self._send(packet)

    def _send(self, packet: bytes | None) -> None:
        if packet is None:
            return
        self.sent_bytes += len(packet)
        if self._rng.random() < self._loss:
            self.lost.append(self.encoder.next_seq - 1)
            return
        for _ in range(2 if self._rng.random() < 0.1 else 1):
            decoded = self.decoder.decode(packet)
            self.decoder.commit(decoded)
        self.kinds.append(decoded.kind)
        self.rows.update(rows_of([decoded]))
        if self._rng.random() >= self._loss:  # acknowledgements are lost as well
            self.encoder.acknowledged(decoded.seq)


@pytest.mark.parametrize("loss", [0.0, 0.01, 0.1, 0.3])
@pytest.mark.parametrize("wait_rows", [0, 8])
def test_what_is_delivered_is_exact_and_what_is_not_is_known(
    trained: Profile, loss: float, wait_rows: int
) -> None:
    """Rows of lost packets are absent, all others are equal."""
    rows = drive(6000, seed=11)
    link = Link(trained, loss, seed=1, limit_bytes=64, wait_rows=wait_rows)
    link.drive(rows)
    assert {number: rows[number] for number in link.rows} == link.rows
    assert (len(link.rows) == len(rows)) == (not link.lost)
    assert len(link.rows) >= len(rows) * (1 - loss) * 0.8
    assert link.kinds.count("D") > 0.5 * len(link.kinds)


def test_continued_packets_are_shorter_most_of_all_without_a_gap(trained: Profile) -> None:
    """Acknowledged packets save the keyframe; waiting for the acknowledgement saves more."""
    rows = drive(6000, seed=11)
    sizes = []
    for wait_rows, loss in ((0, 1.0), (0, 0.0), (8, 0.0)):
        link = Link(trained, loss, seed=1, limit_bytes=80, wait_rows=wait_rows)
        link.drive(rows)
        sizes.append(link.sent_bytes)
    assert sizes[0] > sizes[1] > sizes[2]


def test_packets_that_stand_alone_come_in_any_order(trained: Profile) -> None:
    """Shuffled and doubled, they give all rows."""
    rows = drive(3000)
    encoder = Encoder(trained, BOOT)
    packets = [encoder.add(number, row) for number, row in enumerate(rows)] + [encoder.flush()]
    there = [packet for packet in packets if packet] * 2
    random.Random(4).shuffle(there)
    decoder = Decoder(trained, BOOT)
    assert rows_of(map(decoder.decode, there)) == dict(enumerate(rows))


def test_a_packet_that_continues_from_an_unknown_one_asks_for_a_key(trained: Profile) -> None:
    """NeedKey names the packet and what it continues from; after `key` all is well again."""
    rows = drive(900)
    encoder = Encoder(trained, BOOT, limit_bytes=64)
    packets = []
    for number, row in enumerate(rows[:800]):
        packet = encoder.add(number, row)
        if packet:
            packets.append(packet)
            encoder.acknowledged(encoder.next_seq - 1)
    fresh = Decoder(trained, BOOT)
    with pytest.raises(NeedKey, match=r"packet 3 continues from 1") as caught:
        fresh.decode(packets[3])
    assert (caught.value.seq, caught.value.reference) == (3, 1)
    encoder.flush()
    encoder.key()
    for number, row in enumerate(rows[800:], 800):
        encoder.add(number, row)
        encoder.acknowledged(1)  # known no more: nothing may continue from it
    packet = encoder.flush()
    assert packet is not None
    assert fresh.decode(packet).kind == "K"


def test_decoding_changes_nothing_until_it_is_committed(trained: Profile) -> None:
    """Only `commit` adds a state, and a state that was kept survives a restart."""
    encoder = Encoder(trained, BOOT, limit_bytes=64)
    packets: list[bytes] = []
    for number, row in enumerate(drive(900)):
        packet = encoder.add(number, row)
        if packet:
            packets.append(packet)
            encoder.acknowledged(encoder.next_seq - 1)
    first = Decoder(trained, BOOT)
    decoded = first.decode(packets[0])
    with pytest.raises(NeedKey):
        first.decode(packets[2])
    first.commit(decoded)
    second = Decoder.restore(trained, BOOT, first.state_bytes())
    assert second.decode(packets[2]).rows == first.decode(packets[2]).rows
    assert second.state_bytes() == first.state_bytes()
    with pytest.raises(ValueError, match="end"):
        Decoder.restore(trained, BOOT, first.state_bytes()[:-1])


def test_a_state_of_another_row_is_noticed(trained: Profile) -> None:
    """The rows of a continued packet are where the encoder had them, or it is refused."""
    encoder = Encoder(trained, BOOT, limit_bytes=64, wait_rows=4)
    decoder = Decoder(trained, BOOT)
    refused = 0
    for number, row in enumerate(drive(900)):
        packet = encoder.add(number, row)
        if packet is None:
            continue
        decoded = decoder.decode(packet) if not refused else None
        if decoded is None or decoded.kind == "D":
            break
        decoded.first_row += 1  # committed as if it had been one row later
        decoder.commit(decoded)
        encoder.acknowledged(decoded.seq)
        refused = 1
    assert packet is not None
    with pytest.raises(BadPacket, match="check sum"):
        decoder.decode(packet)


def test_the_ring_keeps_the_last_32_states(trained: Profile) -> None:
    """A packet older than that is forgotten at both ends."""
    encoder = Encoder(trained, BOOT, limit_bytes=64)
    decoder = Decoder(trained, BOOT)
    seqs = []
    for number, row in enumerate(drive(6000)):
        packet = encoder.add(number, row)
        if packet:
            decoded = decoder.decode(packet)
            decoder.commit(decoded)
            seqs.append(decoded.seq)
            if decoded.seq == 0:
                encoder.acknowledged(0)
                continued_from = decoder.state_bytes()
    assert len(seqs) > 40
    again = Decoder.restore(trained, BOOT, decoder.state_bytes())
    assert again.state_bytes() == decoder.state_bytes()
    assert len(decoder.state_bytes()) < 40 * len(continued_from)


def test_no_lossy_delivery_gives_a_wrong_row(trained: Profile) -> None:
    """Thousands of short packets with every third lost: no row that was not sent."""
    for seed in range(6):
        rows = drive(2500, seed=100 + seed)
        link = Link(trained, 0.33, seed=seed, limit_bytes=40, wait_rows=seed % 3)
        link.drive(rows)
        assert link.rows == {number: rows[number] for number in link.rows}
