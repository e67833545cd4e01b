"""From rows to packets in the queue: one boot, one profile, one encoder."""

from firmware_stubs.plan import Plan
from firmware_stubs.queue import Queue, State
from firmware_stubs.sampler import Row
from server.wire.codec.encoder import Encoder
from server.wire.codec.profile import Profile
from server.wire.messages import UNKNOWN, TimeBase

PACKET_BYTES = 231  # what the radio carries; the same packets go over every link
WAIT_ROWS = 8  # held back for the last packet's answer, so that the next one continues from it


class Packer:
    """Packs the rows of one boot number.

    A change of plan needs another profile, and so a new one of these with a boot number of its own:
    packets of one boot are all of one profile.

    Attributes:
        boot: its number.
        profile_hash: of its profile.
        base: the time base of the rows that are packed now.
    """

    def __init__(self, queue: Queue, plan: Plan, profile: Profile, boot: int) -> None:
        self.boot = boot
        self.profile_hash = profile.hash
        self.base = TimeBase()
        self._queue = queue
        self._flush_ms = plan.flush_ms
        self._encoder = Encoder(profile, boot, PACKET_BYTES, wait_rows=WAIT_ROWS)
        self._seq = 0
        self._rows = 0  # not yet in a finished packet
        self._opened_ms = 0
        self._begun = False

    def add(self, row: Row, now_ms: int) -> None:
        """Take a closed row."""
        if not self._begun:
            self._begun = True
            self._say_state()
        if self._rows == 0:
            self._opened_ms = now_ms
        self._rows += 1
        packet = self._encoder.add(row.number, row.values)
        if packet is not None:
            self._put(packet)
            self._opened_ms = now_ms

    def flush_late(self, now_ms: int) -> None:
        """Finish a packet that has waited long enough."""
        if self._rows and now_ms - self._opened_ms >= self._flush_ms:
            self.flush()

    def flush(self) -> None:
        """Finish the open packet, and what was held back behind it."""
        packet = self._encoder.flush()
        while packet is not None:
            self._put(packet)
            packet = self._encoder.flush()

    def set_base(self, row: int, utc_ms: int, source: int) -> None:
        """Say when rows from here on are taken; those before keep the base that they have."""
        self.flush()
        self.base = TimeBase(row=row, utc_ms=utc_ms, source=source)
        if self._begun:
            self._say_state()

    def time_is_known(self) -> bool:
        """Tell whether the rows packed now have a time base."""
        return self.base.source != UNKNOWN

    def acknowledged(self, seq: int) -> None:
        """Packets may continue from this one."""
        self._encoder.acknowledged(seq)

    def key(self) -> None:
        """The next packet stands alone; what is open is finished first."""
        self.flush()
        self._encoder.key()

    def _put(self, packet: bytes) -> None:
        rows = self._encoder.finished_rows
        self._queue.put(self._seq, rows, packet)
        self._seq += 1
        self._rows -= rows

    def _say_state(self) -> None:
        base = self.base
        self._queue.begin(State(self.boot, self.profile_hash, base.row, base.utc_ms, base.source))
