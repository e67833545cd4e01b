"""ISO-TP (ISO 15765-2) as a tester needs it: short requests out, whole answers in.

Requests are single frames. Answers come from up to eight ECUs at once, 7E8 to 7EF, each put
together on its own; its flow control goes to the ECU's own identifier, 8 lower.
"""

from firmware_stubs.hal import Hal

FUNCTIONAL = 0x7DF
FIRST_ECU = 0x7E8
LAST_ECU = 0x7EF
LONGEST_REQUEST_BYTES = 7
LONGEST_ANSWER_BYTES = 512  # 255 trouble codes; a longer one is given up
CONSECUTIVE_WAIT_MS = 1000  # N_Cr
_CONTINUE_ALL = b"\x30\x00\x00\x00\x00\x00\x00\x00"


class _Answer:
    """A segmented answer on its way in."""

    def __init__(self, length: int, data: bytes, now_ms: int) -> None:
        self.length = length
        self.data = data
        self.next = 1
        self.last_ms = now_ms


class IsoTp:
    """One tester on the bus.

    Attributes:
        errors: frames that fit nothing, answers cut off or too long, bus errors.
    """

    def __init__(self, hal: Hal) -> None:
        self.errors = 0
        self._hal = hal
        self._partial: dict[int, _Answer] = {}

    def send(self, target: int, payload: bytes) -> bool:
        """Send a request of at most 7 bytes; False when the controller cannot take it now."""
        frame = bytes((len(payload),)) + payload
        return self._hal.can_send(target, frame + bytes(8 - len(frame)))

    def busy(self) -> bool:
        """Tell whether an answer is coming in."""
        return len(self._partial) > 0

    def receive(self) -> tuple[int, bytes, int] | None:
        """Give the next whole answer as (ECU, payload, ticks_ms of its end), or None."""
        for _ in range(64):  # a flooded bus must not hold up the rest
            frame = self._hal.can_receive()
            if frame is None:
                return None
            ecu, data, now_ms = frame
            if ecu < 0:
                self.errors += 1
            elif FIRST_ECU <= ecu <= LAST_ECU and data:
                payload = self._take(ecu, data, now_ms)
                if payload is not None:
                    return ecu, payload, now_ms
        return None

    def give_up_late(self, now_ms: int) -> None:
        """Forget answers whose rest does not come."""
        for ecu in list(self._partial):
            if now_ms - self._partial[ecu].last_ms > CONSECUTIVE_WAIT_MS:
                self._drop(ecu)

    def _drop(self, ecu: int) -> None:
        self.errors += 1
        del self._partial[ecu]

    def _take(self, ecu: int, data: bytes, now_ms: int) -> bytes | None:
        kind = data[0] >> 4
        if kind in (0, 1) and ecu in self._partial:
            self._drop(ecu)
        if kind == 0 and 1 <= data[0] < len(data):
            return data[1 : 1 + data[0]]
        if kind == 1 and len(data) == 8:
            self._begin(ecu, (data[0] & 15) << 8 | data[1], data[2:], now_ms)
        elif kind == 2 and ecu in self._partial:
            return self._continue(ecu, data, now_ms)
        elif kind != 3:  # flow control is no answer
            self.errors += 1
        return None

    def _begin(self, ecu: int, length: int, data: bytes, now_ms: int) -> None:
        if not 8 <= length <= LONGEST_ANSWER_BYTES:
            self.errors += 1
            return
        self._partial[ecu] = _Answer(length, data, now_ms)
        if not self._hal.can_send(ecu - 8, _CONTINUE_ALL):
            self._drop(ecu)

    def _continue(self, ecu: int, data: bytes, now_ms: int) -> bytes | None:
        answer = self._partial[ecu]
        if data[0] & 15 != answer.next & 15:
            self._drop(ecu)
            return None
        answer.data += data[1:]
        answer.next += 1
        answer.last_ms = now_ms
        if len(answer.data) < answer.length:
            return None
        del self._partial[ecu]
        return answer.data[: answer.length]
