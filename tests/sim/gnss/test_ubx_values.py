"""An M9 is configured by key and value too."""

from __future__ import annotations

import struct

import pytest
import pyubx2
from hypothesis import given
from hypothesis import strategies as st

from sim.gnss import PROFILES
from sim.gnss.commands import UbxCommand, ubx_frame
from sim.gnss.ublox_dialect import UbloxDialect
from sim.gnss.ubx_values import IN_KEYS, MESSAGE_KEYS, OUT_KEYS
from tests.sim.gnss.noted_controls import NotedControls

ACK, NAK = (ubx_frame(5, good, b"\x06\x8a") for good in (1, 0))


def _set(*pairs: bytes) -> tuple[NotedControls, UbloxDialect, list[bytes]]:
    chip, controls = UbloxDialect(PROFILES["ublox_m9"]), NotedControls()
    answer = chip.obey(UbxCommand(6, 0x8A, b"\0\1\0\0" + b"".join(pairs)), controls)
    return controls, chip, answer


@pytest.mark.parametrize("name", sorted(MESSAGE_KEYS))
def test_message_keys_are_those_of_the_interface_description(name: str) -> None:
    """pyubx2's table of keys, made from u-blox's, has the same number for I2C, UART1 and USB."""
    kind = f"UBX_{name.replace('-', '_')}" if "-" in name else f"NMEA_ID_{name}"
    for offset, port in enumerate(("I2C", "UART1", "UART2", "USB", "SPI")):
        key, _ = pyubx2.UBX_CONFIG_DATABASE[f"CFG_MSGOUT_{kind}_{port}"]
        assert MESSAGE_KEYS[name] + offset == key


def test_protocol_keys_are_those_of_the_interface_description() -> None:
    """UBX and NMEA, in and out, of UART1 and USB."""
    for number, port in ((1, "UART1"), (3, "USB")):
        for keys, way in ((IN_KEYS, "INPROT"), (OUT_KEYS, "OUTPROT")):
            for bit, protocol in enumerate(("UBX", "NMEA")):
                key, _ = pyubx2.UBX_CONFIG_DATABASE[f"CFG_{port}{way}_{protocol}"]
                assert keys[number] + bit == key


def test_values_are_set_and_acknowledged() -> None:
    """Rate, baud, a message and a protocol in one VALSET."""
    controls, _, answer = _set(
        struct.pack("<IH", 0x30210001, 200),
        struct.pack("<II", 0x40520001, 38400),
        struct.pack("<IB", 0x20910007, 1),
        struct.pack("<IB", 0x10740002, 0),
        struct.pack("<IB", 0x20110021, 4),  # CFG-NAVSPG-DYNMODEL: has no effect here
    )
    assert controls.asked == [
        ("rate", 5.0), ("baud", 38400), ("NAV-PVT", 1), ("output", False, True),
    ]  # fmt: skip
    assert answer == [ACK]


@pytest.mark.parametrize(
    "pair",
    [
        struct.pack("<IB", 0x30210001, 1),
        struct.pack("<IH", 0x30210001, 10),
        struct.pack("<II", 0x40520001, 1),
        b"\0\0\0\0",
    ],
)
def test_what_is_cut_short_or_impossible_is_refused(pair: bytes) -> None:
    """A value without all its bytes, a rate or baud that the chip has not, a key of no size."""
    assert _set(pair)[2] == [NAK]


def test_values_are_read_back() -> None:
    """VALGET gives what VALSET set; a key that is not known is refused."""
    controls, chip, _ = _set(struct.pack("<IB", 0x20910007, 3))
    keys = struct.pack("<5I", 0x20910007, 0x30210001, 0x40520001, 0x10740001, 0x10740002)
    data, acknowledged = chip.obey(UbxCommand(6, 0x8B, bytes(4) + keys), controls)
    assert acknowledged == ubx_frame(5, 1, b"\x06\x8b")
    answer = pyubx2.UBXReader.parse(data)
    assert answer.CFG_MSGOUT_UBX_NAV_PVT_UART1 == 3
    assert answer.CFG_RATE_MEAS == 1000
    assert answer.CFG_UART1_BAUDRATE == 9600
    assert (answer.CFG_UART1OUTPROT_UBX, answer.CFG_UART1OUTPROT_NMEA) == (1, 1)
    unknown = chip.obey(UbxCommand(6, 0x8B, bytes(4) + struct.pack("<I", 0x20110021)), controls)
    assert unknown == [ubx_frame(5, 0, b"\x06\x8b")]


@given(st.binary(max_size=60))
def test_any_bytes(data: bytes) -> None:
    """Nothing raises; the answer is one acknowledgement."""
    assert len(_set(data)[2]) == 1
