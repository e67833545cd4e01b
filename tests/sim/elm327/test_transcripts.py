"""Golden transcripts: what the datasheet prints, character for character."""

from __future__ import annotations

import pytest

VIN_LINES = "014\r0: 49 02 01 31 44 34 \r1: 47 50 30 30 52 35 35 \r2: 42 31 32 33 34 35 36 \r\r>"


@pytest.mark.parametrize(
    ("settings", "request_text", "expected"),
    [
        ((), "010C", "41 0C 1A F8 \r\r>"),
        (("ATS0",), "010C", "410C1AF8\r\r>"),
        (("ATL1",), "010C", "41 0C 1A F8 \r\n\r\n>"),
        (("ATH1",), "010C", "7E8 04 41 0C 1A F8 00 00 00 \r\r>"),
        (("ATH1", "ATS0"), "010C", "7E804410C1AF8000000\r\r>"),
        (("ATH1", "ATD1"), "010C", "7E8 8 04 41 0C 1A F8 00 00 00 \r\r>"),
        ((), "0902", VIN_LINES),
        (
            ("ATH1",),
            "0902",
            "7E8 10 14 49 02 01 31 44 34 \r"
            "7E8 21 47 50 30 30 52 35 35 \r"
            "7E8 22 42 31 32 33 34 35 36 \r\r>",
        ),
        (("ATS0",), "0902", "014\r0:490201314434\r1:47503030523535\r2:42313233343536\r\r>"),
        # p.45: six PIDs at once at most, and the padding of the last frame is shown.
        ((), "01 04 05 0B 0C", "00A\r0: 41 04 3F 05 44 0B \r1: 21 0C 17 B8 00 00 00 \r\r>"),
        ((), "01FF", "NO DATA\r\r>"),
        (("ATCAF0",), "02 01 0C", "04 41 0C 1A F8 00 00 00 \r\r>"),
        (("ATCAF0", "ATV1"), "02 01 0C", "04 41 0C 1A F8 00 00 00 \r\r>"),
        (("ATR0",), "010C", "\r>"),
    ],
)
def test_request_prints_the_datasheet_format(bench, settings, request_text, expected):
    """Each combination of settings prints a reply in the datasheet's format."""
    bench.setup(*settings)
    assert bench.ask(request_text) == expected


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("ATI", "ELM327 v1.5\r\r>"),
        ("AT@1", "OBDII to RS232 Interpreter\r\r>"),
        ("at rv", "12.6V\r\r>"),
        ("ATDP", "ISO 15765-4 (CAN 11/500)\r\r>"),
        ("ATDPN", "6\r\r>"),
        ("AT@2", "?\r\r>"),
        ("ATXYZ", "?\r\r>"),
        ("AT", "?\r\r>"),
        ("HELLO", "?\r\r>"),
        ("\x7f\x7f", "?\r\r>"),
        ("1", "?\r\r>"),
        ("ATIGN", "ON\r\r>"),
        ("ATCS", "T:00 R:00\r\r>"),
        ("ATRD", "FF\r\r>"),
    ],
)
def test_command_is_answered_as_by_the_chip(bench, command, expected):
    """Commands are answered with the datasheet's text, unknown ones with a question mark."""
    assert bench.ask(command) == expected


def test_reset_prints_the_banner_after_the_boot_time(bench):
    """AT Z takes 0.5-1 s, prints two empty lines and the version, and restores the echo."""
    start_s = bench.env.now
    assert bench.ask("ATZ") == "\r\rELM327 v1.5\r\r>"
    assert 0.5 < bench.env.now - start_s < 1.0
    assert bench.ask("ATI") == "ATI\rELM327 v1.5\r\r>"


def test_two_ecus_answer_a_functional_request(make_bench):
    """Both ECUs' lines are printed, each under its own header (ELM329DSC p.39)."""
    bench = make_bench(ecus=2)
    bench.setup("ATE0", "ATSP6", "ATH1")
    assert bench.ask("0100") == ("7E8 06 41 00 BE 3E B8 11 00 \r7E9 06 41 00 BE 3E B8 11 00 \r\r>")


def test_segmented_replies_of_two_ecus_interleave(make_bench):
    """Frames of two ECUs are printed as the bus arbitrates them, not sorted by ECU."""
    bench = make_bench(ecus=2)
    # Without a separation time 7E8 would win every arbitration and finish first.
    bench.setup("ATE0", "ATSP6", "ATH1", "AT FC SD 30 00 01", "AT FC SM 2")
    lines = bench.ask("0902").split("\r")[:6]
    assert [line[:6] for line in lines] == [
        "7E8 10", "7E8 21", "7E9 10", "7E9 21", "7E8 22", "7E9 22",
    ]  # fmt: skip


def test_physical_header_asks_one_ecu(make_bench):
    """After AT SH 7E1 only the second ECU answers."""
    bench = make_bench(ecus=2)
    bench.setup("ATE0", "ATSP6", "ATH1", "AT SH 7E1")
    assert bench.ask("010C") == "7E9 04 41 0C 1A F8 00 00 00 \r\r>"


def test_first_request_searches_and_prints_searching(make_bench):
    """On automatic, the first request searches and later ones do not; the protocol is shown."""
    bench = make_bench()
    bench.setup("ATE0", "ATSP0")
    assert bench.ask("ATDP") == "AUTO\r\r>"
    assert bench.ask("ATDPN") == "A0\r\r>"
    assert bench.ask("0100") == "SEARCHING...\r41 00 BE 3E B8 11 \r\r>"
    assert bench.ask("ATDP") == "AUTO, ISO 15765-4 (CAN 11/500)\r\r>"
    assert bench.ask("ATDPN") == "A6\r\r>"
    assert bench.ask("0100") == "41 00 BE 3E B8 11 \r\r>"


def test_parameter_summary_has_twelve_lines_of_four(bench):
    """AT PPS prints 48 parameters; AT PP switches and sets them."""
    bench.setup("AT PP 01 SV 00", "AT PP 01 ON")
    lines = bench.ask("ATPPS").split("\r")
    assert lines[0] == "00:FF F  01:00 N  02:FF F  03:32 F"
    assert len(lines) == 12 + 2
    bench.setup("ATD")
    assert bench.adapter.settings.headers  # type D: in force after defaults are restored


def test_wrong_parameters_are_refused(bench):
    """There is no parameter above 2F."""
    for command in ("AT PP 30 ON", "AT PP 30 OFF", "AT PP 30 SV 00", "AT CV 12AB", "AT BRD 07"):
        assert bench.ask(command) == "?\r\r>"


def test_all_parameters_switch_at_once(bench):
    """AT PP FF ON and OFF reach every parameter."""
    bench.setup("AT PP FF ON")
    assert " F" not in bench.ask("ATPPS")
    bench.setup("AT PP FF OFF")
    assert " N" not in bench.ask("ATPPS")
