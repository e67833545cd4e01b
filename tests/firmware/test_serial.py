"""The same conversation over the USB console."""

from __future__ import annotations

from server.wire import frame
from server.wire.messages import read_uplink
from tests.firmware import worlds
from tests.firmware.fake_board import EPOCH_MS, FakeBoard
from tests.firmware.test_logger import assert_nothing_lost_or_doubled


class Host:
    """The gateway's end of the cable: says HELLO, answers uplinks.

    Attributes:
        listening: whether it answers.
        hellos: answers to HELLO.
        text: what stood between frames.
    """

    def __init__(self, board: FakeBoard) -> None:
        self.listening = True
        self.hellos: list[bytes] = []
        self.text = b""
        self.decoder = frame.Decoder()
        self.garbage = b""
        self._board = board
        self._greeted_ms = -10_000

    def run(self, for_ms: int) -> None:
        """Let time pass in steps of 20 ms, in each of which the host reads and writes."""
        board = self._board
        for _ in range(for_ms // 20):
            if self.listening:
                if board.now_ms - self._greeted_ms >= 3000:
                    self._greeted_ms = board.now_ms
                    board.console_in += self.garbage + frame.hello("host")
                self._answer()
            else:
                board.console_out = b""
            board.run(20)

    def _answer(self) -> None:
        board = self._board
        for kind, payload in self.decoder.feed(board.console_out):
            if kind == frame.HELLO:
                self.hellos.append(payload)
            elif kind == frame.UPLINK:
                board.gateway.utc_ms = EPOCH_MS + board.now_ms
                board.console_in += frame.frame(frame.DOWNLINK, board.gateway.take(payload))
        board.console_out = b""
        self.text += self.decoder.text()


def wired() -> FakeBoard:
    """Give a board that has a name and no gateway's URL."""
    board = worlds.board()
    for key in ("gw.url", "gw.key", "wifi.ssid", "wifi.pass"):
        del board.nvs[key]
    board.restart()
    return board


def test_a_wired_board_sends_everything_over_the_console() -> None:
    """After HELLO, uplinks and answers; nothing over HTTP."""
    board = wired()
    host = Host(board)
    host.run(60_000)
    assert host.hellos[0] == bytes((frame.VERSION,)) + b"d1"
    assert read_uplink(board.gateway.uplinks[0]).device == "d1"
    assert board.logger is not None
    board.logger.set_running(False)
    host.run(10_000)
    assert board.logger.counters().queue_packets == 0
    assert_nothing_lost_or_doubled(board, worlds.decoded(board.gateway))


def test_nothing_is_sent_before_the_host_says_hello() -> None:
    """A console that somebody reads with a terminal shows no frames."""
    board = wired()
    board.run(30_000)
    assert board.console_out == b""


def test_a_cable_that_is_pulled_for_a_while_loses_nothing() -> None:
    """Frames without an answer are sent again when the host is back."""
    board = wired()
    host = Host(board)
    host.run(20_000)
    host.listening = False
    host.run(60_000)
    host.listening = True
    host.run(60_000)
    assert board.logger is not None
    board.logger.set_running(False)
    host.run(20_000)
    assert board.gateway.conflicts == 0
    assert_nothing_lost_or_doubled(board, worlds.decoded(board.gateway))


def test_garbage_before_every_hello_is_survived() -> None:
    """Half frames and noise from the host cost nothing but a repeat."""
    board = wired()
    host = Host(board)
    host.garbage = b"\xfa\xf5\x03\xff" + frame.frame(frame.DOWNLINK, b"x" * 40)[:20]
    host.run(60_000)
    assert board.logger is not None
    board.logger.set_running(False)
    host.run(20_000)
    assert_nothing_lost_or_doubled(board, worlds.decoded(board.gateway))


def test_a_console_that_takes_few_bytes_gets_whole_frames() -> None:
    """What is not taken is offered again; log lines do not get into the middle of a frame."""
    board = wired()
    board.console_room = 16
    host = Host(board)
    host.run(60_000)
    assert host.decoder.damaged == 0
    assert len(board.gateway.uplinks) > 3


def test_while_a_host_listens_wifi_is_not_used_and_afterwards_it_is() -> None:
    """Serial first; ten seconds after the host's last word, HTTP."""
    board = worlds.board()
    board.restart()
    host = Host(board)
    host.run(1000)
    host.run(30_000)
    over_serial = len(board.gateway.uplinks)
    assert not board._http
    host.listening = False
    host.run(40_000)
    assert len(board.gateway.uplinks) > over_serial + 1
    assert_nothing_lost_or_doubled(board, worlds.drained(board))
