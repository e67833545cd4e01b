"""Plays a log into a bus: every frame ends at the instant at which it ended when it was recorded.

Recorders stamp a frame when it ends; so it is given to the node its own length earlier, and the
recorded spacing is kept to the bit as long as the bus is free. What else is on the bus may delay a
frame: that is counted, not hidden.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Iterator, Mapping
from pathlib import Path

import simpy

from sim.can.bit_length import bit_length
from sim.can.bus import CanNode
from sim.can.frame import CanFrame
from sim.can_log.entry import ERROR_FRAME, LogEntry
from sim.can_log.errors import CanLogError
from sim.can_log.log import CanLog

LOOP_GAP_NS = 10_000_000  # between the last frame of a round and the first one of the next
LATE_S = 0.0005  # a frame that ends later than so is counted as late: more than two frame times
RESTART_NS = 1_000_000_000  # times that go back by more: another recording, joined to the first
LONGEST_BITS = 160  # a 29 bit frame with all its stuff bits
ALL_CHANNELS = "all"


class LogPlayer:
    """Plays one log; made by `play_log`.

    Attributes:
        played_frames: given to the node.
        passed_frames: that have passed the bus.
        late_frames: passed more than `LATE_S` after their time.
        latest_s: the most that a frame was late.
        refused_frames: not taken by the node (bus-off, full queue), or given up by it.
        filtered_frames: left out by identifier.
        other_channel_frames: left out because they were on another bus.
        error_frames, fd_frames: skipped; a classical bus cannot be given them.
        unsorted_frames: stamped earlier than the one before; played right behind it. Where times go
            back by more than a second another recording begins: its first frame is counted.
        rounds: how often the log was played to its end.
        is_truncated: the file ends in the middle of a frame.
        finished: nothing more will come.
        error: what stopped it in the middle of the log.
    """

    def __init__(
        self,
        env: simpy.Environment,
        node: CanNode,
        log: CanLog,
        *,
        offset_s: float,
        start_s: float,
        speed: float,
        loop: bool,
        choose: Callable[[CanFrame], CanFrame | None],
        channel: str | None,
        on_error: Callable[[CanLogError], None] | None,
        on_end: Callable[[LogPlayer], None] | None,
    ) -> None:
        self.played_frames = self.passed_frames = self.late_frames = self.refused_frames = 0
        self.filtered_frames = self.other_channel_frames = self.error_frames = self.fd_frames = 0
        self.unsorted_frames = self.rounds = 0
        self.latest_s = 0.0
        self.is_truncated = self.finished = False
        self.error: CanLogError | None = None
        self._env = env
        self._node = node
        self._bit_s = 1.0 / node.bitrate_bps
        self._log = log
        self._offset_ns = round(offset_s * 1e9)
        self._start_s = start_s + LONGEST_BITS * self._bit_s  # its first frame has to end then
        self._speed = speed
        self._loop = loop
        self._choose = choose
        self._channel = channel
        self._on_error = on_error
        self._on_end = on_end
        self._stopped = False
        first = self._first()
        self._zero_ns = first.time_ns + self._offset_ns
        if self._channel is None:
            self._channel = first.channel
        env.process(self._run())

    def stop(self) -> None:
        """Play no further frame."""
        self._stopped = True

    def _first(self) -> LogEntry:
        for entry in self._log:
            return entry
        raise CanLogError.at(self._log.path, "", "at least one frame", "none")

    # -- playing ---------------------------------------------------------------------------------
    def _run(self) -> Generator[simpy.Event, object, None]:
        try:
            while not self._stopped:
                played = self.played_frames
                length_ns = yield from self._round()
                self.rounds += 1
                if not self._loop or self.played_frames == played:
                    break  # a round without a frame would never end
                self._start_s += 1e-9 * (length_ns + LOOP_GAP_NS) / self._speed
        except CanLogError as error:
            self.error = error
            if self._on_error is None:
                raise
            self._on_error(error)
        finally:
            self.is_truncated = self._log.is_truncated
            self.finished = True
            if self._on_end is not None:
                self._on_end(self)

    def _round(self) -> Generator[simpy.Event, object, int]:
        """Play the log once; return its length after the offset in nanoseconds."""
        env, last_ns = self._env, 0
        for time_ns, frame in self._frames():
            at_ns = time_ns
            if at_ns < last_ns:
                self.unsorted_frames += 1
                at_ns = last_ns
            last_ns = at_ns
            end_s = self._start_s + 1e-9 * at_ns / self._speed
            wait_s = end_s - bit_length(frame) * self._bit_s - env.now
            if wait_s > 0.0:
                yield env.timeout(wait_s)
            if self._stopped:
                break
            self._play(frame, end_s)
        return last_ns

    def _frames(self) -> Iterator[tuple[int, CanFrame]]:
        """Yield what is to be played, with its time after the offset."""
        zero_ns, latest_ns = self._zero_ns, None
        for entry in self._log:
            time_ns = entry.time_ns - zero_ns
            if latest_ns is not None and time_ns < latest_ns - RESTART_NS:
                self.unsorted_frames += 1
                next_ns = latest_ns + LOOP_GAP_NS
                zero_ns += time_ns - next_ns
                time_ns = next_ns
            if latest_ns is None or time_ns > latest_ns:
                latest_ns = time_ns
            if self._channel not in (ALL_CHANNELS, entry.channel):
                self.other_channel_frames += 1
            elif entry.frame is None:
                if entry.skipped == ERROR_FRAME:
                    self.error_frames += 1
                else:
                    self.fd_frames += 1
            elif time_ns >= 0 or not self._offset_ns:
                frame = self._choose(entry.frame)
                if frame is None:
                    self.filtered_frames += 1
                else:
                    yield time_ns, frame

    def _play(self, frame: CanFrame, end_s: float) -> None:
        def on_sent(t_s: float) -> None:
            self.passed_frames += 1
            late_s = t_s - end_s
            if late_s > self.latest_s:
                self.latest_s = late_s
            if late_s > LATE_S:
                self.late_frames += 1

        self.played_frames += 1
        if not self._node.send(frame, on_sent, self._on_lost):
            self.refused_frames += 1

    def _on_lost(self, t_s: float) -> None:
        self.refused_frames += 1


def play_log(
    env: simpy.Environment,
    node: CanNode,
    path: Path,
    *,
    offset_s: float = 0.0,
    start_s: float = 0.0,
    speed: float = 1.0,
    loop: bool = False,
    only: Collection[int] = (),
    without: Collection[int] = (),
    remap: Mapping[int, int] | None = None,
    channel: str | None = None,
    on_error: Callable[[CanLogError], None] | None = None,
    on_end: Callable[[LogPlayer], None] | None = None,
) -> LogPlayer:
    """Play the log at `path` through `node`; the world's clock does the rest.

    Args:
        env: the world's clock.
        node: sends what is played.
        path: BLF, ASC, candump, CSV, TRC or MF4; see `sim.can_log.log`.
        offset_s: so much of the log's beginning is left out.
        start_s: the instant of `env` at which the log begins.
        speed: 2.0 plays twice as fast.
        loop: it begins again when it has ended.
        only: identifiers that are played; none: all.
        without: identifiers that are not.
        remap: identifier of the log -> the one on the bus.
        channel: that of several buses in the log which is played; None: that of its first frame;
            `ALL_CHANNELS`: all.
        on_error: is told of an error in the middle of the log, which ends the playing; None raises
            it out of `env.run`.
        on_end: is called when nothing more will come, for what the player has counted.

    Raises:
        CanLogError: the log cannot be read, or holds nothing.
        ValueError: a speed that is not above 0, an offset below 0.
    """
    if not speed > 0.0:
        raise ValueError(f"speed of a log: expected above 0, got {speed}")
    if not offset_s >= 0.0:
        raise ValueError(f"offset into a log: expected 0 s or more, got {offset_s} s")
    wanted, unwanted, names = frozenset(only), frozenset(without), dict(remap or {})

    def choose(frame: CanFrame) -> CanFrame | None:
        number = frame.arbitration_id
        if (wanted and number not in wanted) or number in unwanted:
            return None
        new = names.get(number)
        if new is None:
            return frame
        return CanFrame(new, frame.data, frame.is_extended, frame.is_remote, frame.requested_bytes)

    return LogPlayer(
        env,
        node,
        CanLog(path),
        offset_s=offset_s,
        start_s=start_s,
        speed=speed,
        loop=loop,
        choose=choose,
        channel=channel,
        on_error=on_error,
        on_end=on_end,
    )
