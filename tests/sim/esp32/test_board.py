"""The board: when its firmware is called, and what a reset leaves."""

from __future__ import annotations

from typing import Any

import pytest

from sim.can.frame import CanFrame
from sim.esp32.board import BOOT_S


def test_without_power_nothing_runs(bench: Any) -> None:
    """Not a byte on the console."""
    bench.run(5.0)
    assert (bench.calls, bench.console) == ([], b"")


def test_a_start_prints_what_an_esp32_prints(bench: Any) -> None:
    """With the reason; then the firmware begins."""
    bench.board.power_on()
    bench.run(1.0)
    assert bench.console.startswith(b"ets Jul 29 2019 12:21:46\r\n\r\nrst:0x1 (POWERON_RESET)")
    assert bench.calls[0] == ("start", round(BOOT_S * 1000))


def test_the_firmware_is_called_when_it_asked_for_it(bench: Any) -> None:
    """To the millisecond of its own clock."""
    bench.on_poll = lambda _hal: 250
    bench.board.power_on()
    bench.run(2.0)
    first, *polls = bench.ticks_of("poll")
    assert [tick - first for tick in polls] == [250 * n for n in range(1, len(polls) + 1)]


@pytest.mark.parametrize("ppm", [-90.0, 90.0])
def test_a_clock_that_is_off_is_off_in_everything(make_bench: Any, ppm: float) -> None:
    """An hour of its own is not an hour."""
    bench = make_bench(crystal_ppm=ppm)
    bench.on_poll = lambda _hal: 1_000_000
    bench.board.power_on()
    bench.run(3600.0)
    assert bench.hal.ticks_ms() == int((3600.0 * (1 + ppm * 1e-6)) * 1000.0)
    second, third = bench.ticks_of("poll")[1:3]
    assert third - second == 1_000_000


def test_what_arrives_wakes_the_firmware_at_once(bench: Any) -> None:
    """A frame, bytes on the console, a request to the access point; each within its instant."""
    bench.on_poll = lambda _hal: 3_600_000
    bench.board.power_on()
    ecu = bench.car.bus.attach("ecu", lambda *_: None)
    bench.at(2.0, lambda: ecu.send(CanFrame(0x7E8, b"\x02\x41\x0c")))
    bench.at(3.0, lambda: bench.board.line.feed(b"hello"))
    bench.at(4.0, lambda: bench.hal.ap_start("AP"))
    bench.at(4.0, lambda: bench.board.soft_ap.request(b"", "/", b"", lambda *_: None))
    bench.run(5.0)
    ticks = [tick for tick in bench.ticks_of("poll") if tick > 1000]
    assert ticks == [2000, 3001, 4000]
    assert bench.hal.console_read() == b"hello"


def test_a_call_that_writes_to_the_flash_keeps_the_board_from_going_on(bench: Any) -> None:
    """The next call comes when the chip is done."""

    def poll(hal: Any) -> int:
        hal.flash_erase(0)
        return 1

    bench.on_poll = poll
    bench.board.power_on()
    bench.run(1.0)
    first, second, *_ = bench.ticks_of("poll")
    assert second - first == 45


def test_a_reset_takes_the_ram_and_leaves_the_memory(bench: Any) -> None:
    """At any instant; the clock begins anew, its UTC is unknown."""

    def start(hal: Any) -> None:
        hal.flash_write(0, b"queue")
        hal.nvs_set("wifi.ssid", b"home")
        hal.nvs_commit()
        hal.nvs_set("draft", b"lost")
        hal.set_utc_ms(1_777_622_400_000, "gnss")
        hal.wifi_connect("telerig", "drive safely")

    bench.on_start = start
    bench.board.power_on()
    bench.run(10.0)
    assert bench.hal.utc_ms() == 1_777_622_400_000 + 10_000 - 400
    assert bench.hal.wifi_state() == 2
    bench.on_start = None
    bench.board.line.feed(b"unread")
    bench.run(10.01)
    bench.board.reset("watchdog")
    bench.run(12.0)
    assert bench.hal.reset_reason() == "watchdog"
    assert bench.ticks_of("start") == [400, 400]
    assert bench.hal.flash_read(0, 5) == b"queue"
    assert (bench.hal.nvs_get("wifi.ssid"), bench.hal.nvs_get("draft")) == (b"home", None)
    assert bench.hal.utc_ms() == 0
    assert bench.hal.wifi_state() == 0
    assert bench.hal.console_read() == b""


def test_the_firmware_can_reset_its_board(bench: Any) -> None:
    """After the call in which it asked for it."""

    def poll(hal: Any) -> int:
        if hal.ticks_ms() > 1000 and hal.reset_reason() == "power-on":
            hal.reset("command")
        return 500

    bench.on_poll = poll
    bench.board.power_on()
    bench.run(5.0)
    assert bench.board.reset_reason == "command"
    assert bench.board.resets == 1


def test_a_firmware_that_fails_is_told_and_started_anew(bench: Any) -> None:
    """With the traceback on the console, as MicroPython prints it."""

    def poll(hal: Any) -> int:
        if hal.reset_reason() == "power-on":
            raise KeyError("plan")
        return 1000

    bench.on_poll = poll
    bench.board.power_on()
    bench.run(5.0)
    assert (bench.board.crashes, bench.board.reset_reason) == (1, "panic")
    assert b"Guru Meditation Error" in bench.console
    assert b"KeyError: 'plan'" in bench.console
    assert "crash" in [name for _, name in bench.notes]


def test_a_board_without_power_forgets_timers_and_requests(bench: Any) -> None:
    """Nothing of before happens afterwards."""
    bench.board.power_on()
    bench.run(2.0)
    bench.board.power_off()
    count = len(bench.calls)
    bench.board.line.feed(b"x")
    bench.run(10.0)
    assert len(bench.calls) == count
    assert not bench.board.running


def test_its_receiver_speaks_to_it_and_listens(make_bench: Any) -> None:
    """NMEA as it comes off the UART; a command changes what comes."""
    bench = make_bench(hears_gnss=True)
    bench.run(3.6)
    lines = bench.hal.gnss_read().split(b"\r\n")
    assert {line[3:6] for line in lines if line.startswith(b"$G")} >= {b"RMC", b"GGA"}
    bench.hal.gnss_write(b"$PUBX,40,GGA,0,0,0,0,0,0*5A\r\n")
    bench.run(5.5)
    bench.hal.gnss_read()
    bench.run(7.5)
    assert b"GGA" not in bench.hal.gnss_read()


def test_random_bytes_go_on_after_a_reset(bench: Any) -> None:
    """Two boots never draw the same number."""
    drawn = []
    bench.on_start = lambda hal: drawn.append(hal.random(4))
    bench.board.power_on()
    bench.run(2.0)
    bench.board.power_cycle()
    bench.run(4.0)
    assert len(set(drawn)) == 2


def test_the_console_takes_what_its_buffer_holds(bench: Any) -> None:
    """The rest is the firmware's to offer again."""
    assert bench.hal.console_write(bytes(6000)) == 4096
    assert bench.hal.console_write(b"x") == 0
    bench.run(0.2)
    assert bench.hal.console_write(b"x") == 1


def test_log_lines_look_as_esp_idf_writes_them(bench: Any) -> None:
    """Level, ticks, text."""
    bench.run(1.5)
    bench.hal.log(30, "queue is full")
    bench.run(2.0)
    assert bench.console == b"W (1500) logger: queue is full\r\n"
