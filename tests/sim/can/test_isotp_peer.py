"""ISO-TP against an implementation that is not ours: can-isotp."""

from __future__ import annotations

from collections import deque

import isotp
import pytest
import simpy
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.can.bus import CanBus
from sim.can.frame import CanFrame
from sim.can.isotp import IsoTpChannel, IsoTpOptions

TESTER_ID, ECU_ID = 0x7E0, 0x7E8
STEP_S = 0.0005
MAX_STEPS = 20_000


class Peers:
    """Our endpoint as the ECU, can-isotp as the tester, its queues pumped by hand."""

    def __init__(self, options: IsoTpOptions, **peer_options: object) -> None:
        self.env = simpy.Environment()
        self.bus = CanBus(self.env)
        self.heard: list[bytes] = []
        self.errors: list[Exception] = []
        self._inbox: deque[isotp.CanMessage] = deque()
        ecu_node = self.bus.attach("ecu", lambda frame, t_s: None)
        self.ecu = IsoTpChannel(
            self.env, ecu_node, ECU_ID, TESTER_ID,
            lambda payload, _functional: self.heard.append(payload), options=options,
        )  # fmt: skip
        ecu_node.on_frame = self.ecu.on_frame
        self._node = self.bus.attach("tester", self._to_peer, {ECU_ID})
        self.peer = isotp.TransportLayerLogic(
            rxfn=lambda _timeout: self._inbox.popleft() if self._inbox else None,
            txfn=self._from_peer,
            address=isotp.Address(isotp.AddressingMode.Normal_11bits, TESTER_ID, ECU_ID),
            error_handler=self.errors.append,
            params={"stmin": 0, "tx_padding": 0, **peer_options},
        )

    def _to_peer(self, frame: CanFrame, _t_s: float) -> None:
        self._inbox.append(
            isotp.CanMessage(arbitration_id=frame.arbitration_id, dlc=8, data=frame.data)
        )

    def _from_peer(self, message: isotp.CanMessage) -> None:
        self._node.send(CanFrame(message.arbitration_id, bytes(message.data)))

    def pump(self, done: object) -> None:
        """Let both sides work until `done()`; fail if it never comes."""
        for _ in range(MAX_STEPS):
            self.peer.process()
            self.env.run(until=self.env.now + STEP_S)
            if done():  # type: ignore[operator]
                return
        pytest.fail(f"no message after {MAX_STEPS} steps, errors {self.errors}")


# st_min above 0 would make can-isotp wait in wall time.
options = st.builds(
    IsoTpOptions,
    block_size=st.integers(0, 20),
    padding=st.sampled_from([None, 0x00, 0xCC]),
)


@settings(max_examples=25, deadline=None)
@given(st.binary(min_size=1, max_size=600), options)
def test_peer_reads_us(payload: bytes, ours: IsoTpOptions) -> None:
    """can-isotp receives what our endpoint sends, and reports no error."""
    peers = Peers(ours, blocksize=5)
    peers.ecu.send(payload)
    peers.pump(peers.peer.available)
    assert bytes(peers.peer.recv() or b"") == payload
    assert peers.errors == []


@settings(max_examples=25, deadline=None)
@given(st.binary(min_size=1, max_size=600), options)
def test_we_read_the_peer(payload: bytes, ours: IsoTpOptions) -> None:
    """Our endpoint receives what can-isotp sends, and the peer reports no error."""
    peers = Peers(ours)
    peers.peer.send(payload)
    peers.pump(lambda: peers.heard)
    assert peers.heard == [payload]
    assert peers.errors == []


def test_longest_message_both_ways() -> None:
    """4095 bytes pass in both directions."""
    peers = Peers(IsoTpOptions(block_size=8))
    payload = bytes(index % 251 for index in range(4095))
    peers.peer.send(payload)
    peers.pump(lambda: peers.heard)
    peers.ecu.send(payload)
    peers.pump(peers.peer.available)
    assert peers.heard == [payload]
    assert bytes(peers.peer.recv() or b"") == payload
    assert peers.errors == []
