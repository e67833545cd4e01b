"""The automatic protocol search."""

from __future__ import annotations

import pytest


def test_no_car_ends_in_unable_to_connect(make_bench):
    """Without any reply the search fails after seconds; the protocol stays on automatic."""
    bench = make_bench(ecus=0)
    bench.setup("ATE0", "ATSP0")
    assert bench.ask("0100") == "SEARCHING...\rUNABLE TO CONNECT\r\r>"
    assert bench.ask("ATDPN") == "A0\r\r>"


def test_unplugged_bus_ends_in_unable_to_connect(make_bench):
    """Errors on every protocol are no CAN ERROR while searching."""
    bench = make_bench()
    bench.setup("ATE0", "ATSP0")
    bench.adapter.can_wired = False
    assert bench.ask("0100").endswith("UNABLE TO CONNECT\r\r>")
    bench.adapter.can_wired = True
    assert bench.ask("0100") == "SEARCHING...\r41 00 BE 3E B8 11 \r\r>"


def test_search_starts_with_the_given_protocol(make_bench):
    """TP A8 tries 8 first, then goes on to the one that answers."""
    bench = make_bench()
    bench.setup("ATE0", "AT TP A8")
    start_s = bench.env.now
    assert bench.ask("0100").startswith("SEARCHING...\r41 00")
    assert bench.env.now - start_s > 0.1
    assert bench.ask("ATDPN") == "A6\r\r>"


def test_standard_order_takes_longer(make_bench):
    """AT SS goes through the slow protocols first (J1978)."""
    times_s = []
    for extra in ((), ("AT SS",)):
        bench = make_bench()
        bench.setup("ATE0", "AT SP0", *extra)
        start_s = bench.env.now
        assert "41 00" in bench.ask("0100")
        times_s.append(bench.env.now - start_s)
    assert times_s[1] > times_s[0] + 3.0


def test_other_request_is_sent_after_the_probe(make_bench):
    """The search asks 01 00 itself; the user's request follows and only its reply is shown."""
    bench = make_bench()
    bench.setup("ATE0", "ATSP0")
    assert bench.ask("010C1") == "SEARCHING...\r41 0C 1A F8 \r\r>"
    assert bench.ecus[0].requests == [b"\x01\x00", b"\x01\x0c"]


def test_search_can_be_interrupted(make_bench):
    """A character ends the search with STOPPED; nothing was chosen."""
    bench = make_bench(ecus=0)
    bench.setup("ATE0", "ATSP0")
    bench.type("0100\r", within_s=1.0)
    assert bench.heard == b"SEARCHING...\r"
    assert bench.type("x") == "STOPPED\r\r>"
    assert bench.ask("ATDPN") == "A0\r\r>"


@pytest.mark.parametrize(("memory", "stored"), [("ATM1", "A6"), ("ATM0", "A0")])
def test_found_protocol_is_stored_with_memory_on(make_bench, memory, stored):
    """M1 remembers the protocol over a reset, M0 does not."""
    bench = make_bench()
    bench.setup("ATE0", "ATSP0", memory)
    bench.ask("0100")
    bench.ask("ATZ")
    bench.setup("ATE0")
    assert bench.ask("ATDPN") == f"{stored}\r\r>"


def test_try_protocol_is_not_stored(make_bench):
    """TP is forgotten at a reset, SP is not; SP 00 erases."""
    bench = make_bench()
    bench.setup("ATE0", "ATSP7", "ATTP6")
    bench.ask("ATWS")
    bench.setup("ATE0")
    assert bench.ask("ATDPN") == "7\r\r>"
    bench.setup("ATSP00")
    assert bench.ask("ATDPN") == "A0\r\r>"


def test_bypassed_initiation_does_not_search(make_bench):
    """AT BI takes the protocol as it is; on automatic there is none to take."""
    bench = make_bench()
    bench.setup("ATE0", "ATSP0")
    assert bench.ask("AT BI") == "?\r\r>"
    bench.setup("AT SP A6", "AT BI")
    assert bench.ask("010C1") == "41 0C 1A F8 \r\r>"


@pytest.mark.parametrize("command", ["ATSPA7", "ATSP7A", "ATTPA7", "ATTP 7A"])
def test_the_a_stands_on_either_side(bench, command):
    """AT SP A3 can also be entered as AT SP 3A (ELM327DSJ, SP Ah)."""
    bench.setup("ATE0", command)
    assert bench.ask("ATDPN") == "A7\r\r>"


@pytest.mark.parametrize("command", ["ATSPD", "ATTPF", "ATSPAE"])
def test_unknown_protocol_is_refused(bench, command):
    """There is no protocol D, E or F."""
    assert bench.ask(command) == "?\r\r>"
