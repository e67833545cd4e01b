"""Playing a log: spacing, filters, loops, and what the bus makes of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import simpy

from sim.can.bit_length import bit_length
from sim.can.bus import CanBus
from sim.can.frame import CanFrame
from sim.can_log import CanLogError, LogPlayer, play_log

Play = Callable[..., "Bench"]
LEAD_S = 160 / 500_000  # the player's: a first frame ends at its time only if it may begin before


class Bench:
    """A bus with a player and a listener.

    Attributes:
        ends: (t_s, identifier) of each frame that ended.
    """

    def __init__(self, path: Path, bitrate_bps: int = 500_000, **options: Any) -> None:
        self.env = simpy.Environment()
        self.bus = CanBus(self.env, bitrate_bps)
        self.ends: list[tuple[float, int]] = []
        self.bus.attach("listener", self._hear)
        self.node = self.bus.attach("log", lambda frame, t_s: None, ())
        self.player: LogPlayer = play_log(self.env, self.node, path, **options)

    def _hear(self, frame: CanFrame, t_s: float) -> None:
        self.ends.append((t_s, frame.arbitration_id))

    @property
    def ids(self) -> list[int]:
        return [number for _, number in self.ends]


@pytest.fixture
def play(tmp_path: Path) -> Play:
    def run(text: str, until_s: float = 60.0, **options: Any) -> Bench:
        path = tmp_path / "log.log"
        path.write_text(text)
        bench = Bench(path, **options)
        bench.env.run(until=until_s)
        return bench

    return run


def _line(time_s: float, number: int = 0x100, data: str = "1122334455667788") -> str:
    return f"(1700000000.{round(time_s * 1e6):06d}) can0 {number:03X}#{data}\n"


def _late_line(time_s: float, number: int) -> str:
    """As `_line`, at any second."""
    return f"({1_700_000_000 + time_s:.6f}) can0 {number:03X}#11\n"


LOG = "".join(_line(0.1 + 0.01 * n, 0x100 + n) for n in range(5))


def test_recorded_spacing(play: Play) -> None:
    """On a free bus each frame ends when it ended in the recording, to the microsecond."""
    text = _line(0.1, 0x100, "") + _line(0.1005, 0x200) + _line(0.25, 0x300, "11")
    bench = play(text, start_s=1.0)
    first_s = bench.ends[0][0]
    assert first_s == pytest.approx(1.0 + LEAD_S, abs=1e-9)
    assert [t_s - first_s for t_s, _ in bench.ends] == pytest.approx([0, 0.0005, 0.15], abs=5e-7)
    assert bench.player.finished
    assert (bench.player.played_frames, bench.player.passed_frames) == (3, 3)
    assert bench.player.late_frames == 0
    assert bench.player.rounds == 1


def test_saturated_recording(tmp_path: Path) -> None:
    """Frames that were recorded back to back are played back to back."""
    frame = CanFrame(0x123, bytes(range(8)))
    pitch_ns = (bit_length(frame) + 3) * 2000
    lines = []
    for number in range(200):
        time_ns = 10**9 + number * pitch_ns
        lines.append(f"({time_ns // 10**9}.{time_ns % 10**9:09d}) can0 123#0001020304050607\n")
    path = tmp_path / "full.log"
    path.write_text("".join(lines))
    bench = Bench(path)
    bench.env.run(until=1.0)
    assert len(bench.ends) == 200
    assert bench.player.latest_s < 2e-6


def test_offset_and_speed(play: Play) -> None:
    """The beginning can be left out, and the rest be played faster."""
    bench = play(LOG, offset_s=0.015, speed=2.0)
    assert bench.ids == [0x102, 0x103, 0x104]
    times_s = [t_s for t_s, _ in bench.ends]
    assert times_s == pytest.approx([LEAD_S + t for t in (0.0025, 0.0075, 0.0125)], abs=5e-7)


def test_only_without_remap(play: Play) -> None:
    """Identifiers are chosen, left out and renamed; what is left out is counted."""
    bench = play(LOG, only=(0x101, 0x102, 0x103), without=(0x102,), remap={0x103: 0x7AB})
    assert bench.ids == [0x101, 0x7AB]
    assert bench.player.filtered_frames == 3


def test_loop(play: Play) -> None:
    """A loop begins again a little after its end, with the same spacing."""
    bench = play(LOG, until_s=0.26, loop=True)
    assert bench.ids[:12] == [0x100, 0x101, 0x102, 0x103, 0x104] * 2 + [0x100, 0x101]
    assert bench.ends[5][0] - bench.ends[0][0] == pytest.approx(0.05, abs=1e-9)
    assert not bench.player.finished
    bench.player.stop()
    count = len(bench.ends)
    bench.env.run(until=1.0)
    assert len(bench.ends) <= count + 1
    assert bench.player.finished


def test_loop_without_a_frame_ends(play: Play) -> None:
    """A loop of which nothing is played does not turn for ever."""
    bench = play(LOG, loop=True, only=(0x7FF,))
    assert bench.player.finished
    assert bench.ends == []


def test_skipped_frames(play: Play) -> None:
    """Error frames and FD frames are skipped and counted."""
    bench = play(
        _line(0.1) + "(1700000000.2) can0 123##111\n(1700000000.3) can0 20000004#00\n" + _line(0.4)
    )
    assert len(bench.ends) == 2
    assert (bench.player.fd_frames, bench.player.error_frames) == (1, 1)


def test_unsorted(play: Play) -> None:
    """A frame with an earlier time than the one before comes right behind it, and is counted."""
    bench = play(_line(0.1, 0x100) + _line(0.05, 0x101) + _line(0.2, 0x102))
    assert bench.ids == [0x100, 0x101, 0x102]
    assert bench.player.unsorted_frames == 1
    assert bench.ends[2][0] - bench.ends[0][0] == pytest.approx(0.1, abs=1e-6)


def test_a_second_recording_with_earlier_times(play: Play) -> None:
    """Files joined to one: the second plays right behind the first, with its own spacing."""
    first = "".join(_late_line(100 + 0.001 * number, 0x100) for number in range(400))
    second = "".join(_late_line(0.001 * number, 0x200) for number in range(400))
    bench = play(first + second)
    assert bench.ids == [0x100] * 400 + [0x200] * 400
    assert (bench.player.refused_frames, bench.player.late_frames) == (0, 0)
    assert bench.player.unsorted_frames == 1
    assert bench.ends[-1][0] - bench.ends[0][0] == pytest.approx(0.808, abs=0.001)


def test_a_second_recording_after_an_offset(play: Play) -> None:
    """What is left out is the beginning of the file, not of each recording in it."""
    text = (
        _late_line(100, 0x100)
        + _late_line(101, 0x101)
        + _late_line(0, 0x200)
        + _late_line(0.5, 0x201)
    )
    assert play(text, offset_s=0.5).ids == [0x101, 0x200, 0x201]


def test_one_channel(play: Play) -> None:
    """Of a log of two buses the one of the first frame is played, or a named one, or all."""
    text = _line(0.1, 0x100) + _line(0.11, 0x200).replace("can0", "can1") + _line(0.12, 0x101)
    bench = play(text)
    assert bench.ids == [0x100, 0x101]
    assert bench.player.other_channel_frames == 1
    assert play(text, channel="can1").ids == [0x200]
    assert play(text, channel="all").ids == [0x100, 0x200, 0x101]


def test_busy_bus(tmp_path: Path) -> None:
    """Frames that have to wait for others are late, and counted as late."""
    path = tmp_path / "log.log"
    path.write_text("".join(_line(0.1 + 0.001 * n, 0x700) for n in range(50)))
    bench = Bench(path)
    other = bench.bus.attach("other", lambda frame, t_s: None)

    def flood(t_s: float) -> None:
        other.send(CanFrame(0x001, bytes(8)), flood)

    flood(0.0)
    bench.env.run(until=0.5)
    assert bench.player.passed_frames == 0
    bench = Bench(path)
    slow = bench.bus.attach("slow", lambda frame, t_s: None)
    for _ in range(100):
        slow.send(CanFrame(0x001, bytes(8)))
    bench.env.run(until=0.5)
    assert bench.player.passed_frames == 50
    assert 10 < bench.player.late_frames < 50
    assert bench.player.latest_s > 0.01


def test_bus_off_node(play: Play, tmp_path: Path) -> None:
    """Frames that the node does not take are counted, and the log goes on."""
    path = tmp_path / "log.log"
    path.write_text(LOG)
    bench = Bench(path)
    bench.node.set_listen_only(True)
    bench.env.run(until=0.02)
    bench.node.set_listen_only(False)
    bench.env.run(until=1.0)
    assert bench.player.refused_frames == 2
    assert bench.ids == [0x102, 0x103, 0x104]


def test_error_in_the_middle(play: Play) -> None:
    """Garbage in the middle of a log ends the playing and is told of, or raised."""
    told: list[CanLogError] = []
    bench = play(_line(0.1) + "garbage\n" + _line(0.2), on_error=told.append)
    assert len(bench.ends) == 1
    assert bench.player.error is told[0]
    assert "line 2" in str(told[0])
    assert bench.player.finished
    with pytest.raises(CanLogError, match="line 2"):
        play(_line(0.1) + "garbage\n" + _line(0.2))


def test_error_at_the_beginning(play: Play) -> None:
    """An empty log and one that begins with garbage are refused at once."""
    with pytest.raises(CanLogError, match="expected at least one frame, found 'none'"):
        play("\n")
    with pytest.raises(CanLogError, match="line 1"):
        play("garbage\n")


@pytest.mark.parametrize("options", [{"speed": 0.0}, {"speed": float("nan")}, {"offset_s": -1.0}])
def test_impossible_options(play: Play, options: dict[str, float]) -> None:
    """A speed that is not above 0 and an offset below 0 are refused."""
    with pytest.raises(ValueError, match="expected"):
        play(LOG, **options)


def test_cut_log(play: Play) -> None:
    """A log cut in the middle of a frame is played up to there."""
    ended: list[LogPlayer] = []
    bench = play(LOG + "(1700000001.0) can0 12", on_end=ended.append)
    assert len(bench.ends) == 5
    assert bench.player.is_truncated
    assert ended == [bench.player]
