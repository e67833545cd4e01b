"""A vehicle that sends plain columns instead of codec packets: a telematics unit of another maker.

What waits, when it is sent and how it is tried again is as with any light vehicle; the body is a
`telerig.v1.Readings` of one batch, float64 values column after column, and the answer is the status
alone. It has eight times the bytes of a codec packet, and a fiftieth of its CPU at the gateway.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Sequence
from functools import lru_cache

from server.wire.telemetry_pb2 import Readings
from sim.fleet.packets import Model
from sim.fleet.vehicle import Entry, Vehicle

NUMBERS = 65_536  # of a packet, as the gateway numbers the readings of codec packets
NS_PER_MS = 1_000_000
# Stands in a body where an instant is put in; looked for, so that no value is taken for it.
_MARK = struct.pack("<q", 0x7E1E_5C0F_F1EE_7D47)
_instant = struct.Struct("<q").pack


class ColumnVehicle(Vehicle):
    """One vehicle; a message is one packet's rows."""

    __slots__ = ()

    path = "/api/v1/ingest/batch"

    def _chosen(self) -> list[Entry]:
        """One batch at a time: the numbers of two are not one range."""
        return self.queue[:1]

    def _message(self, lap: int, sent: Sequence[Entry]) -> list[bytes]:
        ((_, seq, _),) = sent
        model = self.model
        row_ms = seq * model.rows_each * model.profile.period_ms
        first_ns = (self.base_ms(lap) + row_ms) * NS_PER_MS
        head = Readings(boot=self.boot(lap), seq=seq * NUMBERS + 1).SerializeToString()
        return [head, _columns(model, seq).replace(_MARK, _instant(first_ns))]

    def answered(self, now_s: float, body: bytes) -> None:
        """Take the gateway's answer: it has the batch."""
        sent, self._sent = self._sent, ()
        for entry in sent:
            lap, seq, _ = entry
            self._listener.acknowledged(self, lap, seq, now_s)
            self._queued_bytes -= self._size(entry)
        del self.queue[: len(sent)]
        self._calm()


@lru_cache(maxsize=4096)
def _columns(model: Model, seq: int) -> bytes:
    """Return the columns of a packet's rows, with a mark in the place of their first instant."""
    rows = range(seq * model.rows_each, (seq + 1) * model.rows_each)
    period_ns = model.profile.period_ms * NS_PER_MS
    message = Readings()
    for signal in model.profile.signals:
        values = model.values(signal.id)
        column = message.columns.add(
            signal_id=signal.id,
            first_time_ns=int.from_bytes(_MARK, "little"),
            values=array("d", [values[row] for row in rows]).tobytes(),
        )
        if len(rows) > 1:
            column.step_ns.append(period_ns)
    body: bytes = message.SerializeToString()
    assert body.count(_MARK) == len(model.profile.signals)
    return body
