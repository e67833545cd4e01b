"""The command line, power, the baud rate handshake and the transmit buffer."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.elm327 import PROFILES, State


def test_echo_repeats_what_is_typed(make_bench):
    """With E1 every character comes back, a half line as well."""
    bench = make_bench()
    assert bench.type("ATI", within_s=0.1) == "ATI"
    assert bench.type("\r") == "\rELM327 v1.5\r\r>"


def test_blanks_control_characters_and_case_do_not_matter(bench):
    """A command is the same with blanks, tabs, NULs, line feeds, in any case (p.9)."""
    assert bench.type("\n a\tT\0 i \n\r") == "ELM327 v1.5\r\r>"


def test_empty_line_repeats_the_last_command(bench):
    """A bare CR repeats a request with its digit, and an AT command."""
    first = bench.ask("010C1")
    assert first == "41 0C 1A F8 \r\r>"
    assert bench.ask("") == first
    bench.ask("ATI")
    assert bench.ask("") == "ELM327 v1.5\r\r>"


def test_empty_line_after_a_reset_gives_the_prompt_alone(bench):
    """There is nothing to repeat after AT Z."""
    bench.ask("ATZ")
    assert bench.ask("") == "\r\r>"  # the echoed CR, then an empty line


def test_several_commands_in_one_chunk_are_answered_in_order(bench):
    """Characters that come while an AT command is processed are held, not lost."""
    bench.type("ATE0\rATI\rAT@1\r", within_s=0.0)
    bench.wait(0.1)
    assert bench.heard == (
        b"OK\r\r>ELM327 v1.5\r\r>OBDII to RS232 Interpreter\r\r>"
    )  # fmt: skip


@pytest.mark.parametrize("count", [512, 4096])
def test_flood_of_empty_lines_is_answered(make_bench, count):
    """Hundreds of CRs in one chunk end at the prompt, without recursion."""
    bench = make_bench("clone_v21")
    bench.setup("ATE0")
    bench.type("\r" * count, within_s=0.0)
    bench.wait(5.0)
    assert bench.adapter.state is State.READY
    assert bench.heard.endswith(b">")


def test_overlong_line_is_refused(bench):
    """A line longer than the input buffer is answered with a question mark."""
    assert bench.ask("0" * 300) == "?\r\r>"


def test_incomplete_line_is_given_up(bench):
    """A line without CR is aborted with a question mark after 20 s."""
    assert bench.type("010", within_s=19.0) == ""
    assert bench.type("", within_s=2.0) == "?\r\r>"
    assert bench.ask("010C1") == "41 0C 1A F8 \r\r>"


def test_character_interrupts_a_request(bench):
    """Any character stops the wait: STOPPED, prompt, and the character itself is lost (p.49)."""
    assert bench.type("01FF\r", within_s=0.1) == ""
    assert bench.type("\r") == "STOPPED\r\r>"
    assert ("stopped", "") in bench.events
    assert bench.ask("010C1") == "41 0C 1A F8 \r\r>"


def test_command_sent_too_early_loses_its_first_character(bench):
    """`ATI` sent before the prompt arrives as `TI`, which is no command."""
    bench.type("01FF\r", within_s=0.1)
    bench.type("ATI\r", within_s=0.0)
    bench.wait(0.1)
    assert bench.heard == b"STOPPED\r\r>?\r\r>"


@pytest.mark.parametrize("sent", ["010C\r010D\r", "010C\rx"])
def test_request_sent_right_behind_another_interrupts_it(bench, sent):
    """A client that does not wait for the prompt gets STOPPED, even within one chunk."""
    bench.type(sent, within_s=0.0)
    bench.wait(0.3)
    assert bench.heard.startswith(b"STOPPED\r\r>")


def test_line_feed_behind_a_request_is_forgiven(bench):
    """CR LF ends a request as CR does."""
    assert bench.type("010C1\r\n") == "41 0C 1A F8 \r\r>"


def test_low_voltage_resets_the_chip(bench):
    """A dip of the supply prints LV RESET and forgets the settings."""
    bench.setup("ATH1")
    bench.writes.clear()
    bench.adapter.low_voltage_reset()
    bench.wait(1.0)
    assert bench.heard == b"\r\rLV RESET\r\r>"
    assert not bench.adapter.settings.headers


def test_baud_rate_parameter_takes_effect_at_power_on(bench):
    """PP 0C gives the rate after a reset by power."""
    bench.setup("AT PP 0C SV 23", "AT PP 0C ON")
    assert bench.line.baud == 38400
    bench.adapter.power_cycle()
    bench.wait(1.0)
    assert bench.line.baud == 114286


def test_power_off_twice_is_one_power_off(bench):
    """Power calls that change nothing are ignored, and an unplugged adapter cannot dip."""
    bench.adapter.power_on()
    bench.adapter.power_off()
    bench.adapter.power_off()
    bench.adapter.low_voltage_reset()
    bench.wait(2.0)
    assert bench.adapter.state is State.OFF
    assert bench.events.count(("power", "off")) == 1


def test_warm_start_keeps_the_baud_rate(bench):
    """AT WS resets the settings only; AT Z restores the baud rate too."""
    bench.type("ATBRD23\r", within_s=0.1)
    bench.type("\r")
    assert bench.line.baud == 114286
    assert bench.ask("ATWS").endswith("ELM327 v1.5\r\r>")
    assert bench.line.baud == 114286
    bench.ask("ATZ")
    assert bench.line.baud == 38400


def test_baud_rate_handshake_succeeds(bench):
    """OK without prompt, the banner at the new rate after 75 ms, a CR, OK at the new rate."""
    start_s = bench.env.now
    bench.type("ATBRD23\r", within_s=0.070)
    assert bench.heard == b"OK\r"
    assert bench.line.baud == 114286  # 4 MHz / 0x23
    bench.wait(0.020)
    assert bench.heard == b"OK\rELM327 v1.5\r"
    assert bench.env.now - start_s > 0.075
    assert bench.type("\r") == "OK\r\r>"
    assert bench.line.baud == 114286


@pytest.mark.parametrize("answer", ["", "X"])
def test_baud_rate_handshake_falls_back(bench, answer):
    """Without a CR in time the old rate returns, and the adapter works on."""
    bench.type("ATBRD23\r", within_s=0.090)
    assert bench.line.baud == 114286
    assert bench.type(answer, within_s=0.2) == "\r>"
    assert bench.line.baud == 38400
    assert bench.ask("ATI") == "ELM327 v1.5\r\r>"


def test_handshake_timeout_is_adjustable(bench):
    """AT BRT hh sets the handshake to hh x 5 ms."""
    bench.setup("AT BRT 40")
    bench.type("ATBRD23\r", within_s=0.3)
    assert bench.heard == b"OK\r"
    bench.wait(0.1)
    assert bench.heard.endswith(b"ELM327 v1.5\r")


def test_low_power_ends_at_any_character(bench):
    """AT LP says OK and sleeps; a character wakes the chip, which starts anew."""
    assert bench.type("ATLP\r", within_s=2.0) == "OK\r"
    assert bench.adapter.state is State.ASLEEP
    assert bench.type(" ") == "\r\rELM327 v1.5\r\r>"


def test_power_cut_loses_settings_and_keeps_memory(bench):
    """Unplugged, it is silent; plugged in, it boots with defaults and the stored protocol."""
    bench.setup("ATH1", "AT SD 5A")
    bench.adapter.power_off()
    assert bench.ask("ATI", within_s=1.0) == ""
    bench.writes.clear()
    bench.adapter.power_on()
    bench.wait(1.0)
    assert bench.heard == b"\r\rELM327 v1.5\r\r>"
    assert bench.ask("ATRD").endswith("5A\r\r>")
    assert not bench.adapter.settings.headers
    assert bench.adapter.protocol.number == "6"
    assert bench.ask("010C").endswith("41 0C 1A F8 \r\r>")


def test_voltage_can_be_calibrated(bench):
    """AT CV changes what AT RV reads; AT CV 0000 restores it."""
    bench.setup("AT CV 1310")
    assert bench.ask("ATRV") == "13.1V\r\r>"
    bench.setup("AT CV 0000")
    assert bench.ask("ATRV") == "12.6V\r\r>"


def test_identifier_is_stored_once(bench):
    """AT @3 stores twelve characters for AT @2, and only once."""
    bench.setup("AT@3 ABCDEF123456")
    assert bench.ask("AT@2") == "ABCDEF123456\r\r>"
    assert bench.ask("AT@3 ABCDEF123457") == "?\r\r>"


def test_reply_and_prompt_leave_in_one_write(bench):
    """A reply that ends the request arrives as one chunk with its prompt."""
    bench.ask("010C1")
    assert [data for _, data in bench.writes] == [b"41 0C 1A F8 \r\r>"]


def test_busy_until_the_prompt(bench):
    """`busy` tells a runner whether a reply is due."""
    bench.line.feed(b"010C1\r")
    bench.wait(0.005)
    assert bench.adapter.busy
    bench.wait(0.1)
    assert not bench.adapter.busy


SNIPPETS = st.sampled_from(
    [b"AT", b"\r", b"\r", b"01", b"0C", b"1", b"ATZ\r", b"ATMA\r", b"ATBRD23\r", b"ATSP0\r", b"FF",
     b"ATLP\r", b"\x7f\x7f\r", b"0902\r", b"ATH1\r", b"ATCAF0\r", b"SH", b" ", b"ATRTR\r", b"STI\r",
     b"ATTPA0\r", b"ATFCSM1\r", b"ATPPS\r", b"ATSPA9\r", b"ATCEA5\r", b"ATCRA7X", b"\n", b"\0"]
)  # fmt: skip


@pytest.mark.parametrize("profile", sorted(PROFILES))
@settings(max_examples=40, deadline=None)
@given(
    chunks=st.lists(
        st.tuples(st.binary(max_size=12) | SNIPPETS, st.floats(0.0001, 0.3)), max_size=25
    )
)
def test_no_input_crashes_it(make_bench, profile, chunks):
    """Whatever bytes come, whenever: a character, a line and some patience lead to a prompt."""
    bench = make_bench(profile, ecus=2)
    for data, pause_s in chunks:
        bench.line.feed(data)
        bench.wait(pause_s)
    bench.wait(1.5)  # boots and handshakes end, AT LP sleeps
    bench.type("x", within_s=1.5)  # interrupts a request, a search, monitoring, sleep
    answer = bench.ask("x", within_s=2.0)
    if bench.adapter.state is State.LOCKED:
        bench.adapter.power_cycle()
        bench.wait(2.0)
    else:
        assert answer.endswith(("?\r\r>", "?\r\n\r\n>"))
    assert bench.adapter.state is State.READY
    assert not bench.adapter.busy
    bench.ask("ATZ")
    bench.setup("ATE0")
    assert bench.ask("ATI") == PROFILES[profile].banner + "\r\r>"
