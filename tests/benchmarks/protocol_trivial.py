"""`trivial://`: the adapter without a model as a pyserial port in the client's own process.

What a question costs over it is python-OBD's own: no system call, no other process, no model.
"""

from __future__ import annotations

from typing import Any

import serial  # type: ignore[import-untyped]

from tests.benchmarks.trivial_adapter import TrivialAdapter


class Serial(serial.SerialBase):  # type: ignore[misc]
    """The port, as `serial.serial_for_url` expects it."""

    _reply = b""

    def open(self) -> None:
        """Plug it in."""
        self._adapter = TrivialAdapter()
        self.is_open = True

    def close(self) -> None:
        """Pull it out."""
        self.is_open = False

    def _reconfigure_port(self, *_: Any, **__: Any) -> None:
        pass

    @property
    def in_waiting(self) -> int:
        """How much of the reply is left."""
        return len(self._reply)

    def read(self, size: int = 1) -> bytes:
        """Take from the reply."""
        data, self._reply = self._reply[:size], self._reply[size:]
        return data

    def write(self, data: bytes) -> int:
        """Ask."""
        self._reply = self._adapter.answer(data)
        return len(data)

    def flush(self) -> None:
        """Nothing is on its way."""

    def reset_input_buffer(self) -> None:
        """Forget the reply."""
        self._reply = b""
