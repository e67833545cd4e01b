"""Waits, response digit, headers, filters and flow control on the bus."""

from __future__ import annotations

import pytest

from sim.can.frame import CanFrame
from sim.elm327.protocols import PROTOCOLS


def seconds(bench, text):
    """How long the adapter takes for `text`, in virtual seconds."""
    start_s = bench.env.now
    bench.ask(text)
    return bench.env.now - start_s


def test_silent_pid_waits_the_st_time(bench):
    """AT ST FF: NO DATA comes after 1020 ms, give or take 10 ms."""
    bench.setup("AT ST FF")
    assert seconds(bench, "01FF") == pytest.approx(1.020, abs=0.010)


def test_st_zero_restores_the_default(bench):
    """AT ST 00 does not mean no wait, but the default of 200 ms (p.27)."""
    bench.setup("AT ST 10", "AT ST 00")
    assert seconds(bench, "01FF") == pytest.approx(0.200, abs=0.010)


def test_reply_is_followed_by_the_st_wait_without_adaptive_timing(make_bench):
    """AT0: the adapter waits 200 ms after the reply, hence 4.9 queries/s with a quick ECU."""
    bench = make_bench(response_s=0.002, baud=115200)
    bench.setup("ATE0", "ATSP6", "AT AT0", "AT ST 32")
    start_s = bench.env.now
    for _ in range(20):
        assert bench.ask("010C") == "41 0C 1A F8 \r\r>"
    assert 20 / (bench.env.now - start_s) == pytest.approx(4.9, rel=0.05)


def test_adaptive_timing_shortens_the_wait_in_steps(bench):
    """AT1 is quicker than AT0 and AT2 quicker than AT1; none exceeds the ST time."""
    times_s = []
    for mode in ("AT AT0", "AT AT1", "AT AT2"):
        bench.setup(mode)
        times_s.append(seconds(bench, "010C"))
    assert times_s[0] > times_s[1] > times_s[2]
    bench.setup("AT ST 05")
    assert seconds(bench, "010C") < 0.040


def test_timer_multiplier_of_firmware_2(make_bench):
    """CTM5 makes the counts 20 ms long; firmware 1.x does not know it."""
    bench = make_bench("elm327_v22")
    bench.setup("ATE0", "ATSP6", "AT CTM5", "AT ST 10")
    assert seconds(bench, "01FF") == pytest.approx(0.320, abs=0.010)
    assert make_bench().ask("AT CTM5").endswith("?\r\r>")


def test_digit_returns_at_once(bench):
    """With the number of frames known, the prompt follows the reply without a wait."""
    assert seconds(bench, "010C1") < 0.025
    assert bench.ask("09023").count("\r") == 5


def test_digit_below_the_frames_cuts_the_reply(bench):
    """`09 02 1` prints the first frame alone; the rest is gone, the next request is clean."""
    assert bench.ask("09021") == "014\r0: 49 02 01 31 44 34 \r\r>"
    bench.wait(0.1)
    assert bench.ask("010C1") == "41 0C 1A F8 \r\r>"


def test_late_frames_mix_into_the_next_reply(bench):
    """What arrives late after a small digit is printed with the next request's replies (#254)."""
    bench.ask("09021")
    reply = bench.ask("010C")
    assert "41 0C 1A F8" in reply
    bench.ask("ATST01")
    bench.ecus[0].response_s = 0.030
    assert bench.ask("010C") == "NO DATA\r\r>"
    assert bench.ask("010D") == "NO DATA\r\r>"  # 4 ms: neither reply yet
    bench.setup("ATST32")
    assert "41 0D 32" in bench.ask("0105")


def test_digit_zero_counts_as_no_digit(bench):
    """The genuine chips take 0 as no digit (assumed); the reply is there."""
    assert bench.ask("010C0") == "41 0C 1A F8 \r\r>"


def test_digit_zero_returns_at_once_on_the_clone(make_bench):
    """The clone takes it at its word: no reply wanted."""
    bench = make_bench("clone_v21")
    bench.setup("ATE0", "ATSP6")
    assert bench.ask("010C0") == "\r>"


def test_request_is_padded_to_eight_bytes(bench):
    """A request goes to 7DF with its protocol byte, padded; V1 leaves the padding out."""
    bench.ask("010C1")
    assert bench.bus_frames[0] == CanFrame(0x7DF, bytes.fromhex("02010C0000000000"))
    bench.bus_frames.clear()
    bench.setup("AT V1")
    bench.ask("010C1")
    assert bench.bus_frames[0] == CanFrame(0x7DF, bytes.fromhex("02010C"))


@pytest.mark.parametrize(
    ("settings", "request_text", "fits"),
    [
        ((), "01" * 7, True),
        ((), "01" * 8, False),
        (("ATCAF0",), "01" * 8, True),
        (("ATCAF0",), "01" * 9, False),
        (("AT CEA 05",), "01" * 6, True),
        (("AT CEA 05",), "01" * 7, False),
    ],
)
def test_request_must_fit_into_one_frame(bench, settings, request_text, fits):
    """Eight bytes on the wire is all the chip sends; more is refused, not segmented."""
    bench.setup(*settings)
    assert (bench.ask(request_text) != "?\r\r>") is fits
    assert bool(bench.bus_frames) is fits


@pytest.mark.parametrize(
    ("protocol", "settings", "identifier"),
    [
        ("6", (), 0x7DF),
        ("6", ("AT SH 7E0",), 0x7E0),
        ("6", ("AT SH 00 07 E0",), 0x7E0),
        ("7", (), 0x18DB33F1),
        ("7", ("AT SH DA 10 F1",), 0x18DA10F1),
        ("7", ("AT SH DA 10 F1", "AT CP 1A"), 0x1ADA10F1),
    ],
)
def test_header_sets_the_identifier(bench, protocol, settings, identifier):
    """AT SH gives 11 or 24 bits, AT CP the priority bits above them."""
    bench.setup(f"AT TP {protocol}", *settings)
    bench.ask("010C")
    assert bench.bus_frames[0].arbitration_id == identifier
    assert bench.bus_frames[0].is_extended is PROTOCOLS[protocol].extended


def test_eight_digit_header_is_new_in_firmware_2(make_bench):
    """SH wwxxyyzz sets all 29 bits; firmware 1.x refuses it."""
    bench = make_bench("elm327_v22")
    bench.setup("ATE0", "AT TP 7", "AT SH 1B DA 10 F1")
    bench.ask("010C")
    assert bench.bus_frames[0].arbitration_id == 0x1BDA10F1
    assert make_bench().ask("AT SH 1B DA 10 F1").endswith("?\r\r>")


def test_29_bit_reply_is_printed_and_flow_controlled(bench):
    """A 29 bit first frame is shown with four header bytes and answered to its sender."""
    bench.setup("AT TP 7", "ATH1")
    bench.line.feed(b"0902\r")
    bench.wait(0.010)
    bench.broadcast(0x18DAF110, "101449020131 4434", extended=True)
    bench.wait(0.5)
    assert b"18 DA F1 10 10 14 49 02 01 31 44 34 \r" in bench.heard
    assert bench.bus_frames[-1] == CanFrame(
        0x18DA10F1, bytes.fromhex("3000000000000000"), is_extended=True
    )


def test_flow_control_is_sent_to_the_sender(bench):
    """A first frame from 7E8 is answered on 7E0 with 30 00 00."""
    bench.ask("09023")
    assert CanFrame(0x7E0, bytes.fromhex("3000000000000000")) in bench.bus_frames


def test_flow_control_can_be_switched_off(bench):
    """CFC0 sends none, so the ECU stops after the first frame."""
    bench.setup("AT CFC0")
    assert bench.ask("0902") == "014\r0: 49 02 01 31 44 34 \r\r>"


def test_own_flow_control(bench):
    """FC SM needs its data first; mode 1 uses own header and data, mode 2 own data (p.60)."""
    assert bench.ask("AT FC SM 1") == "?\r\r>"
    bench.setup("AT FC SH 7E0", "AT FC SD 30 00 05", "AT FC SM 1")
    bench.ask("09023")
    assert CanFrame(0x7E0, bytes.fromhex("3000050000000000")) in bench.bus_frames
    bench.bus_frames.clear()
    bench.setup("AT FC SD 30 01 00", "AT FC SM 2")
    bench.ask("0902")
    assert CanFrame(0x7E0, bytes.fromhex("3001000000000000")) in bench.bus_frames
    assert bench.ask("AT FC SM 3") == "?\r\r>"


@pytest.mark.parametrize(
    ("settings", "heard"),
    [
        ((), False),  # 72E is no OBD reply
        (("AT CRA 72E",), True),
        (("AT CF 72E", "AT CM 7FF"), True),
        (("AT CF 720", "AT CM 7F0"), True),
        (("AT CRA 72D",), False),
        (("AT CRA 72E", "AT CRA"), False),
    ],
)
def test_receive_filter(bench, settings, heard):
    """Replies from 7E8-7EF pass; CRA, or CF with CM, choose others."""
    bench.setup("AT SH 726", *settings)
    bench.line.feed(b"22DD01\r")
    bench.wait(0.010)
    bench.broadcast(0x72E, "0662DD01000102")
    bench.wait(0.5)
    assert (b"62 DD 01 00 01 02 \r" in bench.heard) is heard


def test_receive_address_with_dont_cares(make_bench):
    """CRA 7EX takes any last digit from firmware 2.0 on."""
    bench = make_bench("elm327_v22", ecus=2)
    bench.setup("ATE0", "AT TP 6", "AT CRA 7EX")
    assert bench.ask("0100").count("41 00") == 2
    assert make_bench().ask("AT CRA 7EX").endswith("?\r\r>")


def test_no_acknowledge_is_a_can_error(bench):
    """Alone on the bus, or with its wires cut, the adapter reports CAN ERROR."""
    bench.adapter.can_wired = False
    assert bench.ask("010C") == "CAN ERROR\r\r>"
    bench.adapter.can_wired = True
    assert bench.ask("010C1") == "41 0C 1A F8 \r\r>"
    bench.car.detach()
    for ecu in bench.ecus:
        ecu.node.detach()
    assert bench.ask("010C") == "CAN ERROR\r\r>"


def test_wrong_bit_rate_is_a_can_error(bench):
    """A 250 kbit/s protocol on a 500 kbit/s bus gets no acknowledge."""
    bench.setup("AT TP 8")
    assert bench.ask("010C") == "CAN ERROR\r\r>"


@pytest.mark.parametrize(
    ("protocol", "text"),
    [("1", "NO DATA"), ("3", "BUS INIT: ...ERROR"), ("5", "BUS INIT: ERROR")],
)
def test_other_protocols_do_not_connect(bench, protocol, text):
    """A car with CAN only does not answer on the older protocols."""
    bench.setup(f"AT TP {protocol}")
    assert bench.ask("0100") == f"{text}\r\r>"


def test_remote_frame_is_sent(bench):
    """AT RTR puts a remote frame with the present header on the bus and waits for replies."""
    assert bench.ask("AT RTR") == "NO DATA\r\r>"
    assert bench.bus_frames == [CanFrame(0x7DF, is_remote=True)]


def test_buffer_dump_shows_the_last_frame(bench):
    """AT BD prints length and buffer of the last message."""
    bench.ask("010C1")
    assert bench.ask("AT BD").startswith("08 04 41 0C 1A F8 00 00 00 ")
