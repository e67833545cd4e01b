"""What goes to the gateway, and what its answers mean.

Packets leave the queue only when the gateway says that it has them, or refuses them for good. One
message is under way at a time, over serial while a host listens there, else over HTTP. After a
failure the same is sent again, later: the gateway knows packets by boot and number.

A Hello names profile and templates by their hashes. The gateway asks for what it does not know,
and has it with the next message; packets that need the profile wait that long.
"""

from firmware_stubs.backoff import Backoff
from firmware_stubs.hal import WARNING, Hal
from firmware_stubs.links import ANSWERED, PENDING, REFUSED, TOO_LARGE, HttpLink, SerialLink
from firmware_stubs.queue import Batch, Entry, Queue
from firmware_stubs.settings import Settings
from server.wire.messages import (
    Command,
    CommandResult,
    Counters,
    Downlink,
    Hello,
    LogLine,
    TimeBase,
    Uplink,
    read_downlink,
)
from server.wire.pbuf import WireError

HEARTBEAT_MS = 11000  # commands come with answers, so there is a message at least this often
COUNTERS_MS = 30000
MOST_PACKETS = 64
LEAST_BATCH_BYTES = 256
MOST_VOIDS = 256
FIRST_PAUSE_MS = 1000
LONGEST_PAUSE_MS = 60000
REFUSED_PAUSE_MS = 30000
MOST_SKIPPED = 128
MOST_TRIES = 16  # of a packet that the gateway passes over without a word
PROFILE = 1  # parts of a Hello that are sent when they are asked for
TEMPLATES = 2
_REFUSED = "refused: "
_UNKNOWN_STATE = "it continues from a packet not known there"


class Session:
    """What the uplink needs of the logger, and tells it. The logger is one.

    Attributes:
        boot: the current one.
        results, logs: what waits to be told; the uplink removes what was.
    """

    boot: int
    results: list[CommandResult]
    logs: list[LogLine]

    def hello(self, profile_hash: bytes, parts: int) -> Hello:
        """Make the Hello of a boot with this profile; PROFILE and TEMPLATES as `parts` says."""
        raise NotImplementedError

    def counters(self) -> Counters:
        """Make the tally."""
        raise NotImplementedError

    def time_base(self) -> TimeBase:
        """Give the current boot's time base."""
        raise NotImplementedError

    def profile_hash(self) -> bytes:
        """Name the current boot's profile."""
        raise NotImplementedError

    def acknowledged(self, seq: int) -> None:
        """A packet of the current boot is committed."""
        raise NotImplementedError

    def need_key(self) -> None:
        """The gateway lost the state that packets of the current boot continue from."""
        raise NotImplementedError

    def take_command(self, command: Command) -> None:
        """A command has come."""
        raise NotImplementedError

    def gateway_time(self, utc_ms: int, sent_ms: int, received_ms: int) -> None:
        """The gateway said what time it is."""
        raise NotImplementedError

    def accepted(self, packets: int) -> None:
        """The gateway answered; so many packets are committed."""
        raise NotImplementedError

    def log(self, level: int, text: str) -> None:
        """Write a line to the log."""
        raise NotImplementedError


class Gateway:
    """The device's side of the conversation.

    Attributes:
        failures: messages without an answer that could be used.
        rows_refused: rows of packets that the gateway refused for good, or cannot read.
    """

    def __init__(self, hal: Hal, settings: Settings, queue: Queue, session: Session) -> None:
        self.failures = 0
        self.rows_refused = 0
        self._serial = SerialLink(hal, settings)
        self._http = HttpLink(hal, settings)
        self._settings = settings
        self._queue = queue
        self._session = session
        self._pause = Backoff(hal, FIRST_PAUSE_MS, LONGEST_PAUSE_MS)
        self._link: HttpLink | SerialLink | None = None  # by which a message is under way
        self._batch: Batch | None = None
        self._boot = 0  # of the message under way
        self._told = Uplink()  # the message under way
        self._counted_ms = 0
        self._known_time = b""  # the time base that the gateway was told last
        self._sent_ms = 0
        self._answered_ms = -HEARTBEAT_MS
        self._batch_bytes = HttpLink.BATCH_BYTES
        self._hello_version = 1  # counts changes of what a Hello says
        self._hello_sent = (0, 0)  # boot and version of the Hello under way
        self._hello_known = (0, 0)  # of the one that the gateway has
        self._parts = 0  # that the gateway has asked for
        self._urgent = False
        self._voids: list[tuple[int, int]] = []
        self._tries: dict[tuple[int, int], int] = {}  # (boot, seq) -> times passed over
        self._skipped: list[tuple[int, int]] = []  # left out of the next batch

    def hello_again(self) -> None:
        """Send a Hello with the next message: something in it has changed."""
        self._hello_version += 1
        self._urgent = True

    def receive(self, data: bytes, now_ms: int) -> None:
        """Take what came on the console."""
        if self._serial.receive(data, now_ms):
            self._urgent = True
            self._pause.worked()

    def is_writing(self) -> bool:
        """Tell whether a frame is half written on the console: other text would damage it."""
        return self._serial.pump()

    def poll(self, now_ms: int, own_radio: bool) -> None:
        """Go on with the conversation."""
        if self._link is not None:
            self._wait_for_answer(self._link, now_ms)
        if self._link is None:
            self._begin(now_ms, own_radio)

    def wait_ms(self, now_ms: int) -> int:
        """Give the milliseconds until there is something to do by itself."""
        if self._link is not None:
            return max(1, self._sent_ms + self._link.timeout_ms - now_ms)
        return max(100, self._pause.wait_ms(now_ms)) if self._has_news(now_ms) else 1000

    # --- sending ---

    def _begin(self, now_ms: int, own_radio: bool) -> None:
        link = self._choose(now_ms, own_radio)
        if link is None or not self._pause.over(now_ms) or not self._has_news(now_ms):
            return
        self._take_dropped()
        limit = min(self._batch_bytes, link.BATCH_BYTES)
        self._batch = self._queue.batch(limit, MOST_PACKETS, self._skipped)
        if self._batch is None and self._skipped:
            self._skipped = []
            self._batch = self._queue.batch(limit, MOST_PACKETS)
        message = self._message(self._batch, now_ms)
        self._boot = message.boot
        self._link = link
        self._told = message
        self._sent_ms = now_ms
        self._urgent = False
        link.send(message.to_bytes())

    def _choose(self, now_ms: int, own_radio: bool) -> HttpLink | SerialLink | None:
        http = self._http.ready(now_ms, own_radio)
        if self._serial.active(now_ms):
            return self._serial
        return self._http if http else None

    def _has_news(self, now_ms: int) -> bool:
        if self._queue.packets or self._session.results or self._urgent:
            return True
        return now_ms - self._answered_ms >= HEARTBEAT_MS

    def _take_dropped(self) -> None:
        """Tell the gateway which packets will never come, as far as there is room to remember."""
        self._voids = (self._voids + self._queue.dropped)[-MOST_VOIDS:]
        self._queue.dropped = []

    def _message(self, batch: Batch | None, now_ms: int) -> Uplink:
        session = self._session
        message = Uplink(device=self._settings.text("gw.device"), boot=session.boot)
        profile_hash = session.profile_hash()
        message.time = session.time_base()
        if batch is not None:
            state = batch.state
            message.boot = state.boot
            profile_hash = state.profile_hash
            message.packets = [entry.packet for entry in batch.entries]
            if state.source or state.boot != session.boot:
                message.time = TimeBase(row=state.row, utc_ms=state.utc_ms, source=state.source)
        self._hello_sent = (message.boot, self._hello_version)
        if self._hello_sent != self._hello_known:
            message.hello = session.hello(profile_hash, self._parts)
        elif not message.packets and message.time.to_bytes() == self._known_time:
            # The gateway has it. Packets always bring theirs: an older message that was late on its
            # way may have come in between, with another one.
            message.time = None
        message.voids = [seq for boot, seq in self._voids if boot == message.boot]
        message.results = list(session.results)
        message.logs = list(session.logs)
        if message.hello is not None or now_ms - self._counted_ms >= COUNTERS_MS:
            message.counters = session.counters()
            self._counted_ms = now_ms
        return message

    # --- the answer ---

    def _wait_for_answer(self, link: HttpLink | SerialLink, now_ms: int) -> None:
        outcome = link.poll()
        if outcome == PENDING:
            if now_ms - self._sent_ms < link.timeout_ms:
                return
            link.cancel()
            self._failed(now_ms, "no answer")
        elif outcome == ANSWERED:
            try:
                downlink = read_downlink(link.answer)
            except WireError as error:
                self._failed(now_ms, "the answer makes no sense: " + error.reason)
                return
            if downlink.boot != self._boot:
                self._failed(now_ms, "the answer is to another message")
                return
            self._link = None
            self._understand(downlink, now_ms)
        else:
            if outcome == TOO_LARGE:
                self._batch_bytes = max(LEAST_BATCH_BYTES, self._batch_bytes // 2)
            self._failed(now_ms, link.reason, REFUSED_PAUSE_MS if outcome == REFUSED else 0)

    def _failed(self, now_ms: int, reason: str, at_least_ms: int = 0) -> None:
        self._link = None
        self._batch = None
        self.failures += 1
        self._pause.failed(now_ms, at_least_ms)
        self._session.log(WARNING, "uplink: " + reason)

    def _understand(self, downlink: Downlink, now_ms: int) -> None:
        session = self._session
        self._answered_ms = now_ms
        self._batch_bytes = min(HttpLink.BATCH_BYTES, self._batch_bytes * 2)
        told = self._told
        if told.time is not None:
            self._known_time = told.time.to_bytes()
        session.results = [result for result in session.results if result not in told.results]
        session.logs = [line for line in session.logs if line not in told.logs]
        self._forget_voids()
        committed, moved = self._settle(downlink)
        if downlink.now_ms:
            session.gateway_time(downlink.now_ms, self._sent_ms, now_ms)
        for command in downlink.commands:
            session.take_command(command)
        session.accepted(committed)
        wishes, in_vain = self._take_wishes(downlink)
        stuck = in_vain or (self._batch is not None and not moved and not wishes)
        if moved or not stuck:
            self._pause.worked()
        if stuck:
            # The gateway could not take any of it now, or asks for what it was just given.
            self._pause.failed(now_ms)
        self._batch = None

    def _take_wishes(self, downlink: Downlink) -> tuple[bool, bool]:
        """Note what the gateway wants of the Hello; give (whether it does, whether in vain)."""
        hello = self._told.hello
        parts = PROFILE if downlink.need_profile else 0
        if downlink.need_templates:
            parts |= TEMPLATES
        if downlink.need_hello and hello is not None:
            parts = PROFILE | TEMPLATES  # a gateway that does not understand hashes
        in_vain = hello is not None and parts & self._parts != 0
        if in_vain and hello is not None and downlink.need_profile and not hello.profile:
            for entry in self._batch.entries if self._batch is not None else []:
                self._give_up(entry, "given up: its profile is not kept any more")
        wishes = parts != 0 or downlink.need_hello
        self._parts = parts
        self._hello_known = (0, 0) if wishes else self._hello_sent
        self._urgent = self._urgent or (wishes and not in_vain)
        return wishes, in_vain

    def _forget_voids(self) -> None:
        told = len(self._told.voids)
        kept = []
        for void in self._voids:
            if void[0] == self._boot and told > 0:
                told -= 1
            else:
                kept.append(void)
        self._voids = kept

    def _settle(self, downlink: Downlink) -> tuple[int, bool]:
        """Take packets from the queue as the answer says; give (committed, whether any left)."""
        refused = {refusal.seq: refusal.reason for refusal in downlink.refused}
        entries = self._batch.entries if self._batch is not None else []
        committed = 0
        newest = -1
        lost_state = False
        silent: list[Entry] = []  # without a word in the answer
        passed = 0  # of these, before one with a word
        for entry in entries:
            seq = entry.seq
            if seq in refused or seq in downlink.need_key:
                lost_state = lost_state or seq in downlink.need_key
                self._give_up(entry, _REFUSED + refused.get(seq, _UNKNOWN_STATE))
            elif seq < downlink.ack or seq in downlink.acked:
                committed += 1
                newest = max(newest, seq)
                self._queue.done(entry)
            else:
                silent.append(entry)
                continue
            passed = len(silent)
            self._tries.pop((self._boot, seq), None)
        if self._boot == self._session.boot:
            if newest >= 0:
                self._session.acknowledged(newest)
            if lost_state:
                self._session.need_key()
        if not (downlink.need_hello or downlink.need_profile):
            self._pass_over(silent, passed, len(entries))
        return committed, len(silent) < len(entries)

    def _pass_over(self, silent: list[Entry], passed: int, sent: int) -> None:
        """Count how often packets were passed over, and give up those that always are.

        A packet whose header cannot be read has no number that an answer could refuse. It is known
        by others being taken while it is not, or by being the only one. Where nothing of a batch
        was taken, the next one is of what comes behind it.
        """
        tries = self._tries
        stuck = 0 < sent == len(silent)
        counted = self._skipped if sent > len(silent) else []
        if stuck and self._queue.packets == 1:
            passed = 1
        for key in counted + [(self._boot, entry.seq) for entry in silent[:passed]]:
            tries[key] = tries.get(key, 0) + 1
        for entry in silent:
            key = (self._boot, entry.seq)
            if tries.get(key, 0) >= MOST_TRIES:
                self._give_up(entry, f"given up: sent {MOST_TRIES} times, and no answer names it")
                del tries[key]
        skipped = self._skipped + [(self._boot, entry.seq) for entry in silent] if stuck else []
        self._skipped = skipped if len(skipped) <= MOST_SKIPPED else []
        if len(tries) > MOST_SKIPPED:  # some were dropped with their sector
            self._tries = {}

    def _give_up(self, entry: Entry, reason: str) -> None:
        if self._queue.done(entry):
            self.rows_refused += entry.rows
            self._voids.append((self._boot, entry.seq))
            self._session.log(WARNING, f"packet {entry.seq} {reason}")
