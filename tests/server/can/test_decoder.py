"""Decoding: cantools' numbers, rates, multiplexers, and what is no value."""

from __future__ import annotations

import math
import struct
from collections import Counter
from pathlib import Path
from typing import Any

import cantools
import pytest
from cantools.database.can import Message, Signal
from cantools.database.conversion import BaseConversion
from hypothesis import given, settings
from hypothesis import strategies as st

from server.can.database import LoadedMessage, load_messages
from server.can.decoder import Decoder
from server.can.frame import EXTENDED, CanFrame
from server.can.plan import make_plan
from server.config_section import Section, Where
from server.readings import Reading
from tests.server.can.fakes import CAR, HEAD, TRUCK, write_dbc

NOW = 1_700_000_000_000_000_000
MS = 1_000_000
WHERE = Where("gateway.toml")

MUXED = (
    HEAD
    + """BO_ 300 Muxed: 8 Car
 SG_ Page M : 0|8@1+ (1,0) [0|0] "" Car
 SG_ Always : 8|8@1+ (1,0) [0|0] "" Car
 SG_ First m0 : 16|8@1+ (1,0) [0|0] "" Car
 SG_ Second m1 : 16|8@1+ (2,0) [0|0] "" Car

"""
)
NESTED = (
    HEAD
    + """BO_ 300 Muxed: 8 Car
 SG_ Page M : 0|8@1+ (1,0) [0|0] "" Car
 SG_ Sub m0M : 8|8@1+ (1,0) [0|0] "" Car
 SG_ Deep m3 : 16|8@1+ (1,0) [0|0] "" Car
 SG_ Flat m1 : 16|8@1+ (1,0) [0|0] "" Car

SG_MUL_VAL_ 300 Sub Page 0-0;
SG_MUL_VAL_ 300 Deep Sub 3-3;
SG_MUL_VAL_ 300 Flat Page 1-2;
"""
)


def decoder_of(folder: Path, text: str = CAR, **keys: Any) -> tuple[Decoder, Counter[str]]:
    """A decoder of a file; all frames count if no rate is given."""
    if "signals" not in keys:
        keys.setdefault("rate_hz", "all")
    section = Section({"dbc": write_dbc(folder, text), **keys}, WHERE)
    counts: Counter[str] = Counter()
    return Decoder(make_plan(section, load_messages(section), ()), counts), counts


def engine(raw_speed: int = 0, raw_oil: int = 0, gear: int = 0, time_ns: int = NOW) -> CanFrame:
    """A frame of EngineData."""
    data = struct.pack("<HBB4x", raw_speed, raw_oil, gear)
    return CanFrame(291, data, time_ns, time_ns + MS)


def named(readings: list[Reading], decoder: Decoder) -> dict[str, float]:
    """Values by name."""
    names = {
        planned.entry.id: planned.entry.name
        for message in decoder.messages.values()
        for planned in message.plan.signals
    }
    return {names[reading.signal]: reading.value for reading in readings}


def test_a_frame_becomes_readings(tmp_path: Path) -> None:
    """Each has the instants of its frame."""
    decoder, counts = decoder_of(tmp_path)
    readings = decoder.decode([engine(4000, 256 - 10, 1)])
    assert named(readings, decoder) == {"EngineSpeed": 1000.0, "OilTemp": -50.0, "Gear": 1.0}
    assert {(reading.time_ns, reading.received_ns) for reading in readings} == {(NOW, NOW + MS)}
    assert counts["frames_known"] == 1


def test_unknown_frames_are_told(tmp_path: Path) -> None:
    """They are kept for whoever wants to name them."""
    decoder, counts = decoder_of(tmp_path)
    assert decoder.decode([CanFrame(0x7FF, b"")]) == []
    assert [frame.can_id for frame in decoder.unknown] == [0x7FF]
    assert counts["frames_unknown"] == 1


def test_beyond_the_file_s_range(tmp_path: Path) -> None:
    """A value out of range is left out; half a step is allowed, for limits are rounded."""
    decoder, counts = decoder_of(tmp_path, CAR.replace("[0|8000]", "[0|7999.9]"))
    assert "EngineSpeed" in named(decoder.decode([engine(32_000)]), decoder)
    assert "EngineSpeed" not in named(decoder.decode([engine(32_001)]), decoder)
    assert counts["values_rejected"] == 1


def test_values_that_say_there_is_none(tmp_path: Path) -> None:
    """SNA in the value table is no gear 15."""
    decoder, counts = decoder_of(tmp_path)
    assert "Gear" not in named(decoder.decode([engine(gear=15)]), decoder)
    assert counts["values_invalid"] == 1


@pytest.mark.parametrize("word", ["Invalid", "not available", "Signal_Not_Available", "SNA"])
def test_words_for_none(tmp_path: Path, word: str) -> None:
    """As people write them; a fault of the car is a value."""
    decoder, _ = decoder_of(tmp_path, CAR.replace('"SNA"', f'"{word}"'))
    assert "Gear" not in named(decoder.decode([engine(gear=15)]), decoder)
    decoder, _ = decoder_of(tmp_path, CAR.replace('"SNA"', '"Fault"'))
    assert "Gear" in named(decoder.decode([engine(gear=15)]), decoder)


def test_too_little_and_too_much_data(tmp_path: Path) -> None:
    """A short frame is left out and counted; what is too much is not looked at."""
    decoder, counts = decoder_of(tmp_path)
    assert decoder.decode([CanFrame(291, b"\x01\x02", NOW)]) == []
    assert (counts["frames_short"], decoder.messages[291].shorter) == (1, 1)
    readings = decoder.decode([CanFrame(292, bytes.fromhex("04D2000000000000FFFF"), NOW)])
    assert named(readings, decoder) == {"VehicleSpeed": 12.34}


@pytest.mark.parametrize(("rate_hz", "jitter_ms"), [(10, 0), (10, 2), (3, 1), (100, 2), (1000, 0)])
def test_so_many_times_a_second_at_most(tmp_path: Path, rate_hz: int, jitter_ms: int) -> None:
    """A message each 10 ms, also with jitter: neither more nor much less than is wanted."""
    decoder, _ = decoder_of(tmp_path, signals={"EngineSpeed": rate_hz})
    times = [
        NOW + (number * 10 + (number * 7 % 5 - 2) * jitter_ms / 2) * MS for number in range(1000)
    ]
    readings = decoder.decode([engine(time_ns=round(time)) for time in times])
    wanted = min(rate_hz, 100) * 10
    assert wanted * 0.9 <= len(readings) <= wanted + 1


def test_rates_go_on_after_a_pause(tmp_path: Path) -> None:
    """What was not sent is not made up for."""
    decoder, _ = decoder_of(tmp_path, signals={"EngineSpeed": 10})
    frames = [engine(time_ns=NOW + k * 10 * MS) for k in range(100)]
    frames += [engine(time_ns=NOW + 60_000 * MS + k * 10 * MS) for k in range(100)]
    assert len(decoder.decode(frames)) <= 22


def test_on_change_and_each_heartbeat(tmp_path: Path) -> None:
    """The same value again is told once a second."""
    decoder, _ = decoder_of(tmp_path, signals={"Gear": "change"})
    frames = [engine(gear=int(k >= 50), time_ns=NOW + k * 10 * MS) for k in range(250)]
    readings = decoder.decode(frames)
    assert [(r.value, (r.time_ns - NOW) // MS) for r in readings] == [(0, 0), (1, 500), (1, 1500)]


def test_multiplexers(tmp_path: Path) -> None:
    """What comes with a page comes with it alone."""
    decoder, counts = decoder_of(tmp_path, MUXED)
    pages = [
        named(decoder.decode([CanFrame(300, bytes((page, 7, 5, 0, 0, 0, 0, 0)), NOW)]), decoder)
        for page in (0, 1, 9)
    ]
    assert pages == [
        {"Page": 0, "Always": 7, "First": 5},
        {"Page": 1, "Always": 7, "Second": 10},
        {"Page": 9, "Always": 7},
    ]
    assert counts["muxes_unknown"] == 1


def test_rates_of_pages_are_their_own(tmp_path: Path) -> None:
    """Two pages in turn, each at its rate: one does not use up the other's."""
    decoder, _ = decoder_of(tmp_path, MUXED, signals={"First": 10, "Second": 10})
    frames = [
        CanFrame(300, bytes((k % 2, 0, 1, 0, 0, 0, 0, 0)), NOW + k * 50 * MS) for k in range(100)
    ]
    counts = Counter(reading.value for reading in decoder.decode(frames))
    assert counts == {1.0: 50, 2.0: 50}


def test_multiplexers_within_multiplexers(tmp_path: Path) -> None:
    """Extended multiplexing, with a range of values."""
    decoder, _ = decoder_of(tmp_path, NESTED)
    found = [
        named(decoder.decode([CanFrame(300, bytes((*data, 0, 0, 0, 0, 0)), NOW)]), decoder)
        for data in ((0, 3, 9), (0, 4, 9), (2, 3, 9))
    ]
    assert found == [
        {"Page": 0, "Sub": 3, "Deep": 9},
        {"Page": 0, "Sub": 4},
        {"Page": 2, "Flat": 9},
    ]


def test_statistics_of_a_message(tmp_path: Path) -> None:
    """How many came, and the longest pause."""
    decoder, _ = decoder_of(tmp_path)
    decoder.decode([engine(time_ns=NOW + k * MS) for k in (0, 10, 35, 40)])
    message = decoder.messages[291]
    assert (message.frames, message.longest_ns, message.last_ns) == (4, 25 * MS, NOW + 40 * MS)


@st.composite
def signal_layouts(draw: st.DrawFn) -> list[Signal]:
    """Signals of any kind, without overlap: bytes are dealt out, and bits within them."""
    signals = []
    first = 0
    while first < 64 and len(signals) < 6:
        order = draw(st.sampled_from(["little_endian", "big_endian"]))
        is_float = draw(st.integers(0, 4)) == 0 and first <= 32
        size = 32 if is_float else draw(st.integers(1, 64 - first))
        lead = draw(st.integers(0, min(7, 64 - first - size)))
        scale = draw(
            st.one_of(
                st.sampled_from([1, -3, 0.25, 0.1, -0.01, 1e-7, 12345]),
                st.floats(-1e6, 1e6).filter(lambda number: abs(number) > 1e-9),
            )
        )
        offset = draw(st.one_of(st.sampled_from([0, -40, 0.5]), st.floats(-1e6, 1e6)))
        start = first + lead
        if order == "big_endian":  # counted from the left of each byte
            start = 8 * (start // 8) + 7 - start % 8
        signals.append(
            Signal(
                f"S{len(signals)}",
                start,
                size,
                order,
                is_signed=draw(st.booleans()),
                conversion=BaseConversion.factory(scale, offset, None, is_float),
            )
        )
        first = 8 * ((first + lead + size + 7) // 8)
    return signals


@settings(max_examples=150, deadline=None)
@given(signal_layouts(), st.data())
def test_numbers_are_cantools_own(signals: list[Signal], data: st.DataObject) -> None:
    """Whatever the signals and the data, values are equal bit for bit."""
    message = Message(0x123, "M", 8, signals)
    payload = data.draw(st.binary(min_size=8, max_size=8))
    section = Section({"rate_hz": "all"}, WHERE)
    plan = make_plan(section, [LoadedMessage(message, "m.dbc")], ())
    decoder = Decoder(plan, Counter())
    found = named(decoder.decode([CanFrame(0x123, payload, NOW)]), decoder)
    expected = message.decode(payload, decode_choices=False)
    assert isinstance(expected, dict)
    wanted = {name: float(value) for name, value in expected.items()}  # type: ignore[arg-type]
    finite = {name: value for name, value in wanted.items() if math.isfinite(value)}
    assert {name: struct.pack("<d", value) for name, value in found.items()} == {
        name: struct.pack("<d", value) for name, value in finite.items()
    }


def test_the_file_s_own_numbers(tmp_path: Path) -> None:
    """The same through a file: encoded by cantools, decoded here."""
    decoder, _ = decoder_of(tmp_path)
    database = cantools.database.load_string(CAR, "dbc")
    data = database.encode_message(
        "EngineData", {"EngineSpeed": 3210.25, "OilTemp": -41, "Gear": "First"}
    )
    readings = decoder.decode([CanFrame(291, data, NOW)])
    assert named(readings, decoder) == {"EngineSpeed": 3210.25, "OilTemp": -41, "Gear": 1}


# -- J1939 -----------------------------------------------------------------------------------------
def group(can_id: int, data: str, time_ns: int = NOW) -> CanFrame:
    """A frame of 29 bits."""
    return CanFrame(can_id | EXTENDED, bytes.fromhex(data), time_ns, time_ns)


@pytest.mark.parametrize("can_id", [0x0CF00400, 0x18F00417, 0x0CF004FE])
def test_a_group_is_known_whatever_its_priority_and_source(tmp_path: Path, can_id: int) -> None:
    """The file has the null address, 0CF004FE: the engine of a truck sends 0CF00400."""
    decoder, counts = decoder_of(tmp_path, TRUCK)
    readings = decoder.decode([group(can_id, "F1 FFFF 401F FFFFFF")])
    assert named(readings, decoder) == {"EngineSpeed": 1000.0, "Retarder": 1.0}
    assert counts["frames_known"] == 1


def test_a_source_that_the_file_names_counts(tmp_path: Path) -> None:
    """TSC1 of the brakes' computer (0B), to whatever destination; not that of another one."""
    decoder, _ = decoder_of(tmp_path, TRUCK)
    frames = [group(can_id, "00 0000 96 00000000") for can_id in (0x0C00000B, 0x0400290B)]
    assert [reading.value for reading in decoder.decode(frames)] == [25.0, 25.0]
    assert decoder.decode([group(0x0C000003, "00 0000 96 00000000")]) == []


def test_of_two_sources_the_first_counts_until_it_is_silent(tmp_path: Path) -> None:
    """Two of them would make one signal of two."""
    decoder, counts = decoder_of(tmp_path, TRUCK)

    def speeds(*sent: tuple[int, str, int]) -> list[float]:
        frames = [group(0x18FEF100 + who, f"FF 00{kph} FFFFFFFFFF", NOW + ms * MS)
                  for who, kph, ms in sent]  # fmt: skip
        return [reading.value for reading in decoder.decode(frames)]

    assert speeds((0x00, "50", 0), (0x21, "51", 50), (0x00, "52", 100)) == [80.0, 82.0]
    assert counts["frames_unknown"] == 1
    assert speeds((0x21, "53", 5200), (0x00, "54", 5300)) == [83.0]


@pytest.mark.parametrize("raw", ["FFFF", "00FF", "FFFE", "00FE"])
def test_what_j1939_calls_no_value_is_none(tmp_path: Path, raw: str) -> None:
    """Not available and error, of whole bytes and of two bits, also without limits in the file."""
    decoder, counts = decoder_of(tmp_path, TRUCK)
    assert decoder.decode([group(0x0CF00400, f"FF FFFF {raw} FFFFFF")]) == []
    assert counts["values_invalid"] == 2
    assert counts["values_rejected"] == 0


def test_other_files_mean_whole_identifiers(tmp_path: Path) -> None:
    """Without VFrameFormat an identifier of 29 bits is one message, and FFFF a number."""
    decoder, counts = decoder_of(tmp_path, TRUCK.split("BA_DEF_")[0])
    assert decoder.decode([group(0x0CF00400, "F1 FFFF 401F FFFFFF")]) == []
    readings = decoder.decode([group(0x0CF004FE, "F1 FFFF FFFF FFFFFF")])
    assert named(readings, decoder)["EngineSpeed"] == 8191.875
    assert counts["frames_unknown"] == 1
