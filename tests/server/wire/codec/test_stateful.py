"""Any order of packets, losses, repeats, restarts, damage: rows are exact, or known as missing."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from server.wire.codec.decoder import BadPacket, Decoder, NeedKey
from server.wire.codec.encoder import Encoder
from server.wire.codec.profile import Profile
from tests.server.wire.codec.drives import BOOT, Row, drive, rows_of

ROWS = 4000


class Delivery(RuleBasedStateMachine):
    """A device that samples and a gateway that may be killed, with a bad network between them."""

    profile: Profile
    drive: list[Row]
    sent = Bundle("sent")

    def __init__(self) -> None:
        super().__init__()
        self.decoder = Decoder(self.profile, BOOT)
        self.next_row = 0
        self.packets: list[bytes] = []
        self.committed: dict[int, int] = {}  # packet -> rows in it
        self.saved = self.decoder.state_bytes()
        self.saved_rows: dict[int, Row] = {}
        self.rows: dict[int, Row] = {}
        self.asks_for_key = False

    @initialize(wait_rows=st.sampled_from([0, 4]), limit_bytes=st.sampled_from([48, 64, 231]))
    def switch_on(self, wait_rows: int, limit_bytes: int) -> None:
        """Begin a boot."""
        self.encoder = Encoder(self.profile, BOOT, limit_bytes=limit_bytes, wait_rows=wait_rows)

    @rule(target=sent, count=st.integers(1, 120))
    def sample(self, count: int) -> Any:
        """Some rows go by; the packets that they fill are given to the network."""
        first = len(self.packets)
        for number in range(self.next_row, min(self.next_row + count, ROWS)):
            packet = self.encoder.add(number, self.drive[number])
            if packet is not None:
                self.packets.append(packet)
        self.next_row = min(self.next_row + count, ROWS)
        return list(range(first, len(self.packets)))

    @rule(target=sent)
    def flush(self) -> Any:
        """The longest wait of a packet is over."""
        first = len(self.packets)
        while (packet := self.encoder.flush()) is not None:
            self.packets.append(packet)
        return list(range(first, len(self.packets)))

    @rule(numbers=sent, backwards=st.booleans(), acknowledged=st.booleans())
    def deliver(self, numbers: list[int], backwards: bool, acknowledged: bool) -> None:
        """Packets arrive, now or much later, once or again; perhaps nobody hears the answer."""
        for number in reversed(numbers) if backwards else numbers:
            try:
                decoded = self.decoder.decode(self.packets[number])
            except NeedKey:
                self.asks_for_key = True
                continue
            self.decoder.commit(decoded)
            self.rows.update(rows_of([decoded]))
            if acknowledged:
                self.encoder.acknowledged(decoded.seq)

    @rule(numbers=sent, at=st.integers(0, 10_000), bit=st.integers(0, 7))
    def damage(self, numbers: list[int], at: int, bit: int) -> None:
        """A bit is flipped on the way: the packet says nothing at all."""
        for number in numbers:
            packet = bytearray(self.packets[number])
            packet[at % len(packet)] ^= 1 << bit
            with pytest.raises((BadPacket, NeedKey)):
                self.decoder.decode(bytes(packet))

    @rule()
    def save(self) -> None:
        """What the gateway has is committed to its database."""
        self.saved, self.saved_rows = self.decoder.state_bytes(), dict(self.rows)

    @rule()
    def restart_gateway(self) -> None:
        """The gateway is killed: it knows what was committed, rows and states alike."""
        self.decoder = Decoder.restore(self.profile, BOOT, self.saved)
        self.rows = dict(self.saved_rows)

    @rule()
    def answer(self) -> None:
        """The device hears that a key is wanted."""
        if self.asks_for_key:
            while (packet := self.encoder.flush()) is not None:
                self.packets.append(packet)
            self.encoder.key()
            self.asks_for_key = False

    @invariant()
    def rows_are_exact(self) -> None:
        """No row is other than the one that was sampled."""
        assert {number: self.drive[number] for number in self.rows} == self.rows

    def teardown(self) -> None:
        """After a key all that follows gets through."""
        if not hasattr(self, "encoder") or self.next_row >= ROWS:
            return
        while self.encoder.flush() is not None:
            pass
        self.encoder.key()
        first = self.next_row
        self.sample(50)
        self.flush()
        last: list[bytes] = []
        for packet in self.packets:
            try:
                decoded = self.decoder.decode(packet)
            except NeedKey:
                continue
            self.decoder.commit(decoded)
            self.rows.update(rows_of([decoded]))
            last.append(packet)
        assert set(range(first, self.next_row)) <= set(self.rows)
        self.rows_are_exact()


def test_any_delivery_is_exact_or_known_as_missing(trained: Profile) -> None:
    """The machine, over a drive of five signals."""
    machine = type("Machine", (Delivery,), {"profile": trained, "drive": drive(ROWS, seed=11)})
    machine.TestCase.settings = settings(max_examples=60, stateful_step_count=40)
    machine.TestCase().runTest()
