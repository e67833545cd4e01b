"""Rows in, packets out."""

from server.wire.codec.checks import seed
from server.wire.codec.coder import CodeWriter
from server.wire.codec.model import GREATEST_STEPS, Model
from server.wire.codec.packet import (
    CONTINUED,
    CRC_BYTES,
    PLAIN,
    check_of,
    check_row,
    folded,
    header,
    most_rows,
    plain_row,
)
from server.wire.codec.profile import Profile

RING = 32  # the decoder keeps so many states
KEPT = 16


class Encoder:
    """Packs the rows of one boot.

    Args:
        profile: what is sampled, with its model.
        boot: the number of this start of the device, from 1.
        limit_bytes: no packet is longer.
        first_seq: number of the first packet.
        ring: how many end states are kept, to continue from when they are acknowledged; at most 32.
            Each takes some 10 bytes a signal.
        wait_rows: rows that are held back after a packet, while its acknowledgement may still
            come: the next packet then continues from it without a gap. 0 holds back none.

    Attributes:
        finished_rows: rows of the packet that was given last.
    """

    def __init__(
        self,
        profile: Profile,
        boot: int,
        limit_bytes: int = 231,
        first_seq: int = 0,
        ring: int = KEPT,
        wait_rows: int = 0,
    ) -> None:
        if limit_bytes < 32:
            raise ValueError(f"limit_bytes: at least 32 expected, found {limit_bytes}")
        self.ring = min(ring, RING)
        self._profile = profile
        self._limit = limit_bytes
        self._seed = seed(boot, profile.hash)
        self._seq = first_seq
        self._most_rows = most_rows(len(profile.signals))
        self._model = Model(profile)
        self._coder = CodeWriter(limit_bytes)
        self._steps = [2 * signal.bound + 1 for signal in profile.signals]
        self._bounds = [signal.bound for signal in profile.signals]
        self._states: list[tuple[int, int, bytes]] = []
        self._continue_from: tuple[int, int, bytes] | None = None
        self._wait_rows = wait_rows
        self._waiting: list[tuple[int, list[int | None]]] = []
        self.finished_rows = 0
        self._rows = 0
        self._first_row = 0
        self._kind = 0
        self._reference = 0
        self._gap = 0
        self._last: list[int | None] = []
        self._fold = 0

    @property
    def next_seq(self) -> int:
        """The number of the packet that is being filled."""
        return self._seq

    def add(self, row_number: int, values: "list[int | None]") -> "bytes | None":
        """Take a row: a number of steps for each signal that is due in it, None where missing.

        Returns:
            A finished packet when the row did not fit, or does not follow the last one; the row
            then opens the next packet.

        Raises:
            ValueError: the row has not one value for each signal that is due.
        """
        row = self._quantised(self._profile.due(row_number), values)
        waiting = self._waiting
        if not waiting and self._rows:
            return self._take(row_number, row)
        waiting.append((row_number, row))
        if self._is_patient():
            return None
        return self._take_waiting()

    def flush(self) -> "bytes | None":
        """Finish the packet that is being filled, if there is one.

        With `wait_rows` there may be more than one: call until None.
        """
        done = self._take_waiting()
        if done is None and self._rows:
            done = self._finish()
        return done

    def acknowledged(self, seq: int) -> None:
        """Note that the gateway has committed this packet: others may continue from it."""
        known = self._continue_from
        if known is not None and known[0] >= seq:
            return
        for entry in self._states:
            if entry[0] == seq:
                self._continue_from = entry

    def key(self) -> None:
        """Make the next packet stand alone, and those after it until one is acknowledged."""
        self._continue_from = None
        self._states = []

    def _is_patient(self) -> bool:
        """True while it is better to wait for the last packet's acknowledgement."""
        if len(self._waiting) > self._wait_rows or not self._states:
            return False
        known = self._continue_from
        return known is None or known[0] != self._seq - 1

    def _take_waiting(self) -> "bytes | None":
        while self._waiting:
            number, row = self._waiting.pop(0)
            done = self._take(number, row)
            if done is not None:
                return done
        return None

    def _take(self, row_number: int, row: "list[int | None]") -> "bytes | None":
        due = self._profile.due(row_number)
        done = None
        if self._rows:
            if row_number == self._first_row + self._rows and self._rows < self._most_rows:
                if self._append(due, row):
                    return None
                self._coder.back()
            done = self._finish()
            if self._wait_rows:
                self._waiting.insert(0, (row_number, row))
                return done
        self._open(row_number)
        if not self._append(due, row):
            self._plain(row)
        return done

    def _quantised(self, due: "list[int]", values: "list[int | None]") -> "list[int | None]":
        check_row(due, values)
        row: list[int | None] = list(values)
        for place in range(len(due)):
            value = row[place]
            if value is None:
                continue
            bound = self._bounds[due[place]]
            if bound:
                value = (value + bound) // self._steps[due[place]]
                row[place] = value
            if not -GREATEST_STEPS <= value <= GREATEST_STEPS:
                raise ValueError(
                    f"signal {self._profile.signals[due[place]].id}: {value} steps; "
                    "a reading has at most 40 binary digits"
                )
        return row

    def _open(self, row_number: int) -> None:
        self._model.reset()
        self._coder.reset()
        self._first_row = row_number
        self._rows = 0
        self._fold = row_number
        self._kind = 0
        reference = self._continue_from
        if reference is not None and self._seq - reference[0] <= RING:
            gap = row_number - reference[1] - 1
            if gap >= 0:
                self._kind = CONTINUED
                self._reference = self._seq - reference[0]
                self._gap = gap
                self._model.restore(reference[2])
                if gap:
                    self._model.age()

    def _header(self, rows: int) -> bytearray:
        return header(self._kind, self._seq, self._reference, self._gap, self._first_row, rows)

    def _append(self, due: "list[int]", row: "list[int | None]") -> bool:
        coder = self._coder
        self._model.mark()
        self._model.code_row(coder, due, row)
        room = self._limit - CRC_BYTES - len(self._header(self._rows + 1))
        if coder.position + 4 > room and coder.length() > room:
            self._model.back()
            return False
        coder.keep()
        self._fold = folded(self._fold, row)
        self._rows += 1
        self._last = row
        return True

    def _plain(self, row: "list[int | None]") -> None:
        """Keep a row that does not fit even alone as plain numbers."""
        self._kind = PLAIN
        self._last = row
        self._fold = folded(self._first_row, row)
        self._rows = 1

    def _finish(self) -> bytes:
        out = self._header(self._rows)
        if self._kind == PLAIN:
            out.extend(plain_row(self._last))
        else:
            out.extend(self._coder.finish())
        crc = check_of(out, self._seed, self._fold, self._last)
        out.append(crc >> 8)
        out.append(crc & 255)
        if len(out) > self._limit:
            self._rows = 0
            raise ValueError(
                f"a row of {len(self._last)} readings does not fit into {self._limit} bytes"
            )
        if self._kind != PLAIN:
            entry = (self._seq, self._first_row + self._rows - 1, self._model.state())
            self._states.append(entry)
            if len(self._states) > self.ring:
                self._states.pop(0)
        self._seq += 1
        self.finished_rows = self._rows
        self._rows = 0
        return bytes(out)
