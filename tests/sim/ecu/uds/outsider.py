"""can-isotp as a tester on the world's bus: driven by hand, without threads, in virtual time."""

from __future__ import annotations

from collections import deque
from typing import Any

import isotp
from udsoncan.connections import BaseConnection

from sim.can.frame import CanFrame

STEP_S = 0.001


class SteppedConnection(BaseConnection):  # type: ignore[misc]
    """A connection of udsoncan over can-isotp's protocol engine; waiting lets the world go on."""

    def __init__(self, bench: Any, address: isotp.Address, **params: object) -> None:
        super().__init__("stepped")
        self._bench = bench
        self._inbox: deque[isotp.CanMessage] = deque()
        self._node = bench.bus.attach("can-isotp", self._hear)
        self.errors: list[Exception] = []
        self.engine = isotp.TransportLayerLogic(
            rxfn=lambda _timeout: self._inbox.popleft() if self._inbox else None,
            txfn=self._send_frame,
            address=address,
            error_handler=self.errors.append,
            params={"stmin": 0, "tx_padding": 0, **params},
        )

    def _hear(self, frame: CanFrame, _t_s: float) -> None:
        self._inbox.append(
            isotp.CanMessage(
                arbitration_id=frame.arbitration_id,
                dlc=len(frame.data),
                data=frame.data,
                extended_id=frame.is_extended,
            )
        )

    def _send_frame(self, message: isotp.CanMessage) -> None:
        self._node.send(
            CanFrame(message.arbitration_id, bytes(message.data), message.is_extended_id)
        )

    def specific_send(self, payload: bytes, timeout: float | None = None) -> None:
        """Give the engine a request."""
        self.engine.send(payload)

    def specific_wait_frame(self, timeout: float | None = None) -> bytes | None:
        """Step the world until an answer is there, or `timeout` virtual seconds are over."""
        until_s = self._bench.env.now + (timeout or 0.0)
        while self._bench.env.now < until_s:
            self.engine.process()
            self._bench.run(STEP_S)
            self.engine.process()
            if self.engine.available():
                return bytes(self.engine.recv())
        return None

    def open(self) -> SteppedConnection:
        """Nothing is to be opened."""
        return self

    def close(self) -> None:
        """Leave the bus."""
        self._node.detach()

    def is_open(self) -> bool:
        """Return True, always."""
        return True

    def empty_rxqueue(self) -> None:
        """Throw away what nobody asked for."""
        while self.engine.available():
            self.engine.recv()
