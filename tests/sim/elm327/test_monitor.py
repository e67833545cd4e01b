"""Live monitoring: AT MA, MR, MT."""

from __future__ import annotations


def test_monitor_all_prints_until_a_character(bench):
    """Every frame is printed; a character ends it with STOPPED."""
    bench.setup("ATH1", "ATCAF0")
    assert bench.type("ATMA\r", within_s=0.05) == ""
    bench.broadcast(0x090, "0000C20161A30000")
    bench.broadcast(0x700, "02010C")
    bench.wait(0.1)
    assert bench.heard == b"090 00 00 C2 01 61 A3 00 00 \r700 02 01 0C \r"
    assert bench.type(" ") == "STOPPED\r\r>"
    bench.broadcast(0x090, "01")
    bench.wait(0.1)
    assert bench.heard == b"STOPPED\r\r>"


def test_formatting_marks_what_is_no_isotp(bench):
    """With CAF1 a frame that is no ISO-TP carries <DATA ERROR, as the datasheet says."""
    bench.type("ATMA\r", within_s=0.05)
    bench.broadcast(0x090, "FFFF")
    bench.broadcast(0x7E8, "04410C1AF8000000")
    bench.broadcast(0x7E0, "300000")
    bench.wait(0.1)
    assert bench.heard == b"FF FF <DATA ERROR\r41 0C 1A F8 \rFC: 30 00 00 \r"


def test_monitoring_sends_nothing(bench):
    """A first frame that is overheard is not answered."""
    bench.type("ATMA\r", within_s=0.05)
    bench.broadcast(0x7E8, "1014490201314434")
    bench.wait(0.1)
    assert len(bench.bus_frames) == 1


def test_monitor_obeys_the_filter(bench):
    """CRA limits what is shown."""
    bench.setup("ATH1", "ATCAF0", "AT CRA 123")
    bench.type("ATMA\r", within_s=0.05)
    bench.broadcast(0x122, "01")
    bench.broadcast(0x123, "02")
    bench.wait(0.1)
    assert bench.heard == b"123 02 \r"


def test_monitor_for_transmitter_and_receiver(bench):
    """MT and MR pick the address bytes of 29 bit identifiers."""
    bench.setup("AT TP 7", "ATH1", "ATCAF0")
    for command, shown in (("AT MT 10", b"18 DA F1 10"), ("AT MR F1", b"18 DA F1 10")):
        bench.type(command + "\r", within_s=0.05)
        bench.broadcast(0x18DAF110, "01", extended=True)
        bench.broadcast(0x18DA2833, "01", extended=True)
        bench.broadcast(0x110, "01")
        bench.wait(0.1)
        assert bench.heard == shown + b" 01 \r"
        bench.type("x")


def test_slow_line_gives_buffer_full(bench):
    """A bus that is faster than the UART fills the 512 bytes: BUFFER FULL and the prompt."""
    bench.setup("ATH1", "ATCAF0")
    bench.type("ATMA\r", within_s=0.05)
    for _ in range(80):
        bench.broadcast(0x123, "0001020304050607")
    bench.wait(1.0)
    assert bench.heard.endswith(b"BUFFER FULL\r\r>")
    assert ("buffer full", "") in bench.events


def test_fast_line_keeps_up(make_bench):
    """The same load passes at 500 kbit/s."""
    bench = make_bench(baud=500_000)
    bench.setup("ATE0", "ATSP6", "ATH1", "ATCAF0")
    bench.type("ATMA\r", within_s=0.05)
    for _ in range(80):
        bench.broadcast(0x123, "0001020304050607")
    bench.wait(1.0)
    assert bench.heard.count(b"\r") == 80


def test_cut_wires_show_nothing(bench):
    """Without the bus there is nothing to monitor, and no error."""
    bench.adapter.can_wired = False
    bench.type("ATMA\r", within_s=0.05)
    bench.broadcast(0x123, "01")
    assert bench.type("x") == "STOPPED\r\r>"


def test_automatic_protocol_listens_at_the_bus_rate(make_bench):
    """Before any search MA takes the 11 bit protocol of the bus."""
    bench = make_bench(bitrate_bps=250_000)
    bench.setup("ATE0", "ATSP0")
    bench.type("ATMA\r", within_s=0.05)
    bench.broadcast(0x123, "0101")
    bench.type("x")
    assert bench.ask("ATDPN") == "A8\r\r>"


def test_parameter_groups_need_j1939(make_bench):
    """MP and DM1 work in protocol A and are refused elsewhere."""
    bench = make_bench(bitrate_bps=250_000)
    bench.setup("ATE0", "ATSP6")
    assert bench.ask("AT MP FECA") == "?\r\r>"
    bench.setup("AT TP A", "ATH1", "ATCAF0")
    bench.type("AT DM1\r", within_s=0.05)
    bench.broadcast(0x18FECA00, "0102", extended=True)
    bench.broadcast(0x18FEEE00, "0102", extended=True)
    bench.wait(0.1)
    assert bench.heard == b"18 FE CA 00 01 02 \r"
