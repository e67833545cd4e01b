"""What tells one adapter from another: versions, quirks, radio."""

from __future__ import annotations

import dataclasses

import pytest

from sim.elm327 import PROFILES, State
from sim.elm327.commands import COMMANDS, VERSIONS, CommandTable, compile_syntax


@pytest.fixture
def clone(make_bench):
    """A cheap v2.1 clone on protocol 6."""
    bench = make_bench("clone_v21", ecus=2)
    bench.setup("ATE0", "ATSP6")
    return bench


def test_profiles_are_named_by_their_key():
    """Each profile is found under its own name and refers to a known firmware."""
    assert set(PROFILES) == {"elm327_v15", "elm327_v22", "stn_fast", "bluetooth", "clone_v21"}
    for name, profile in PROFILES.items():
        assert profile.name == name
        assert profile.firmware in VERSIONS
        assert len(profile.parameters) == 48


def test_clone_lacks_half_of_the_commands():
    """The clone's missing keywords all exist, and are about half of them."""
    keywords = {command.keyword for command in COMMANDS}
    missing = PROFILES["clone_v21"].missing
    assert missing <= keywords
    assert 0.4 < len(missing) / len(keywords) < 0.7


def test_clone_writes_the_prompt_apart(clone):
    """OK and the prompt come in two writes (python-OBD #150)."""
    clone.ask("ATH0")
    assert [data for _, data in clone.writes] == [b"OK", b"\r\r>"]
    assert clone.writes[1][0] - clone.writes[0][0] > 0.02


def test_clone_does_not_repeat(clone):
    """A bare CR gives an empty line (python-OBD #66)."""
    assert "41 0C" in clone.ask("010C")
    assert clone.ask("") == "\r>"


def test_clone_cuts_requests(clone):
    """Two data bytes are sent, whatever was asked."""
    clone.ask("0104050B0C")
    assert clone.ecus[0].requests[-1] == b"\x01\x04"


def test_clone_says_not_connected(clone):
    """It has its own word for NO DATA (ELMduino #69)."""
    assert clone.ask("01FF") == "NOT CONNECTED\r\r>"


@pytest.mark.parametrize("command", ["AT BRD 23", "ATFI", "AT CRA 7E8", "AT KW", "ATPPS", "ATBD"])
def test_clone_does_not_know(clone, command):
    """Commands that it lacks are answered with a question mark."""
    assert clone.ask(command) == "?\r\r>"


def test_clone_locks_up_until_the_power_is_cut(clone):
    """AT TP A0 kills it; nothing but a power cycle helps (ELMduino #69)."""
    assert clone.ask("AT TP A0", within_s=5.0) == ""
    assert clone.ask("ATZ", within_s=5.0) == ""
    assert clone.adapter.state is State.LOCKED
    clone.writes.clear()
    clone.adapter.power_cycle()
    clone.wait(2.0)
    assert clone.heard == b"\r\rELM327 v2.1\r\r>"


def test_clone_locks_up_on_a_long_reply(clone):
    """A reply of hundreds of bytes freezes it."""
    clone.ecus[0].answers[b"\x06\x01"] = b"\x46" + bytes(300)
    assert clone.ask("0601", within_s=3.0) == ""
    assert clone.adapter.state is State.LOCKED


def test_clone_searches_late(make_bench):
    """SEARCHING... appears more than a second after the request (python-OBD PR #215)."""
    bench = make_bench("clone_v21")
    bench.setup("ATE0", "ATSP0")
    assert bench.type("0100\r", within_s=1.0) == ""
    assert bench.type("", within_s=1.0) == "SEARCHING...\r41 00 BE 3E B8 11 \r\r>"


def test_stn_answers_its_own_commands(make_bench):
    """STI and STDI identify the chip behind ELM327 v1.4b; an ELM327 does not know them."""
    bench = make_bench("stn_fast")
    bench.setup("ATE0")
    assert bench.ask("ATI") == "ELM327 v1.4b\r\r>"
    assert bench.ask("STI").startswith("STN1110 v")
    assert bench.ask("STDI").startswith("OBDLink")
    assert bench.ask("STXYZ") == "?\r\r>"
    assert make_bench().ask("STI").endswith("?\r\r>")


def test_stn_changes_the_baud_rate_in_decimal(make_bench):
    """STBR takes the rate itself and greets with the STI string."""
    bench = make_bench("stn_fast")
    bench.setup("ATE0")
    bench.type("STBR 115200\r", within_s=0.1)
    assert bench.heard == b"OK\rSTN1110 v4.0.4\r"
    assert bench.type("\r") == "OK\r\r>"
    assert bench.line.baud == 115200


def test_stn_reaches_23_queries_a_second(make_bench):
    """With ECUs at 20 ms and 115200 baud the fast profile answers at least 23 times a second."""
    bench = make_bench("stn_fast", baud=115200, response_s=0.020)
    bench.setup("ATE0", "ATH1", "ATTP6")
    start_s = bench.env.now
    for _ in range(50):
        bench.ask("010C1")
    assert 50 / (bench.env.now - start_s) > 23


def test_bluetooth_delays_vary_and_repeat(make_bench):
    """The radio adds a delay of its own per batch; the same seed gives the same delays."""
    runs = []
    for _ in range(2):
        bench = make_bench("bluetooth")
        bench.setup("ATE0", "ATSP6")
        instants_s = []
        for _ in range(10):
            bench.ask("010C1")
            instants_s.append(bench.env.now)
        runs.append(instants_s)
    periods_s = [b - a for a, b in zip(runs[0], runs[0][1:], strict=False)]
    assert runs[0] == runs[1]
    assert max(periods_s) - min(periods_s) > 0.005
    assert 5 < 1 / (sum(periods_s) / len(periods_s)) < 25


def test_bluetooth_batches_what_comes_close_together(make_bench):
    """Echo and answer travel in one radio batch."""
    bench = make_bench("bluetooth")
    bench.ask("ATI")
    assert [data for _, data in bench.writes] == [b"ATI\rELM327 v1.5\r\r>"]


def test_small_buffer_overflows_sooner(make_bench):
    """The buffer's size is the profile's."""
    tiny = dataclasses.replace(PROFILES["elm327_v15"], tx_buffer_bytes=40)
    bench = make_bench(tiny)
    bench.setup("ATE0", "ATSP6")
    assert bench.ask("0902").endswith("BUFFER FULL\r\r>")


@pytest.mark.parametrize("version", VERSIONS)
def test_every_firmware_has_a_table(version):
    """Newer firmware never loses a command."""
    table = CommandTable(version)
    assert len(table.commands) >= 40
    assert table.find("Z") is not None
    assert table.find("NONSENSE") is None


def test_unknown_firmware_is_refused():
    """A version that does not exist is an error that names the known ones."""
    with pytest.raises(ValueError, match=r"expected one of 1\.0.*got '9\.9'"):
        CommandTable("9.9")


@pytest.mark.parametrize(
    ("syntax", "text", "groups"),
    [
        ("BRD hh", "BRD23", ("23",)),
        ("E b", "E1", ("1",)),
        ("E b", "E2", None),
        ("PP hh SV hh", "PP01SV00", ("01", "00")),
        ("FC SD …5", "FCSD300000", ("300000",)),
        ("FC SD …5", "FCSD3", None),
        ("FC SD …5", "FCSD" + "00" * 6, None),
        ("CRA xxx", "CRA7EX", ("7EX",)),
        ("@3 cccccccccccc", "@3ABCDEF-12345", ("ABCDEF-12345",)),
    ],
)
def test_syntax_notation(syntax, text, groups):
    """The table's notation means what its docstring says."""
    match = compile_syntax(syntax).fullmatch(text)
    assert (match.groups() if match else None) == groups


def test_every_command_is_documented_and_reachable(make_bench):
    """Each row has its line of documentation, and an example of its syntax is answered."""
    bench = make_bench("elm327_v22")
    bench.setup("ATE0", "ATSP6")
    for command in COMMANDS:
        assert command.does
        example = command.syntax.replace("…5", "00").replace("…6", "00")
        for sign, digit in (("h", "1"), ("b", "1"), ("x", "1"), ("c", "A")):
            example = example.replace(sign, digit)
        bench.type(f"AT {example}\r", within_s=2.0)
        bench.type("x", within_s=1.0)  # ends monitoring, wakes it, answers the handshake
        bench.type("x\r", within_s=5.0)
        assert bench.adapter.state is State.READY, command.syntax
        bench.ask("ATWS")
        bench.setup("ATE0", "ATSP6")
