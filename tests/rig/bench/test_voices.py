"""Whose bytes these are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rig.bench.identity import elm_identity, receiver_identity, slcan_identity
from rig.bench.voices import (
    BOARD,
    CLIENT,
    ELM327,
    MESHTASTIC,
    NMEA,
    SLCAN,
    UBX,
    VOICES,
    Voice,
    is_noise,
    recognise,
    ubx_checksum,
)
from server.links.nmea_lines import checksum
from server.mesh.radio.framing import frame as mesh_frame
from server.wire.frame import hello

_BODY = b"GPRMC,080000.00,V,,,,,,,010526,,,N"
RMC = b"$%b*%02X\r\n" % (_BODY, checksum(_BODY))
WRONG_SUM = b"$%b*%02X\r\n" % (_BODY, checksum(_BODY) ^ 1)
_VER = b"\x0a\x04" + (40).to_bytes(2, "little") + b"EXT 3.01".ljust(30, b"\0") + b"0008".ljust(10)
MON_VER = b"\xb5\x62" + _VER + ubx_checksum(_VER)


@pytest.mark.parametrize(
    ("data", "voice"),
    [
        (RMC, NMEA),
        (b"\x00garbage" + RMC, NMEA),
        (MON_VER + RMC, NMEA),
        (MON_VER, UBX),
        (b"ATI\rELM327 v1.5\r\r>", ELM327),
        (b"?\r\r>", ELM327),
        (b"OBDLink SX\r\r>", ELM327),
        (b"rst:0x1 (POWERON_RESET)\r\n" + hello("esp-1"), BOARD),
        (mesh_frame(bytes((7 << 3, 77))), MESHTASTIC),
        (b"V1013\r", SLCAN),
        (b"\7\7b158aa7 github.com/normaldotcom/canable-fw.git\r", SLCAN),
        (b"\7\7\7", SLCAN),
        (b"\r\nMicroPython v1.22 on ESP32\r\n>>> ", None),
        (b"login: ", None),
        (b"", None),
        (WRONG_SUM, None),
    ],
)
def test_who_says_so(data: bytes, voice: Voice | None) -> None:
    """By form and check sum; nobody where that does not suffice."""
    assert recognise(data) is voice


def test_questions_are_no_device() -> None:
    """A gateway at the other end asks; where we have asked ourselves that is our echo."""
    assert recognise(b"ATZ\r", asked=False) is CLIENT
    assert recognise(b"010C1\r", asked=False) is CLIENT
    assert recognise(b"ATI\r") is None


@given(st.binary(max_size=300))
def test_any_bytes(data: bytes) -> None:
    """Whatever comes, it is said who that is, or that nobody knows."""
    assert recognise(data) in (*VOICES, UBX, None)
    assert recognise(data, asked=False) in (*VOICES, UBX, CLIENT, None)
    assert is_noise(data) in (True, False)
    receiver_identity(data)
    slcan_identity(data)
    elm_identity({"ATI": data})


def test_noise() -> None:
    """Text, with what belongs to it, is none; the bytes of another rate are."""
    assert not is_noise(b"")
    assert not is_noise(RMC * 3)
    assert not is_noise(b"ATI\r?\r\r>")
    assert is_noise(bytes(range(0x80, 0xA0)))


def test_what_receivers_say_of_themselves() -> None:
    """u-blox answers in UBX, MediaTek in NMEA."""
    assert receiver_identity(RMC + MON_VER) == {
        "sentences": "GPRMC",
        "fix": "no",
        "version": "EXT 3.01; 0008",
    }
    mediatek = b"$PMTK705,AXN_2.31_3339_13101700,5632,PA6H,1.0*6B\r\n"
    assert receiver_identity(mediatek)["version"].startswith("AXN_2.31_3339")


def test_what_adapters_say_of_themselves() -> None:
    """Without echo, prompt, and what they do not know."""
    answers = {"ATI": b"ATI\rELM327 v2.1\r\r>", "STI": b"STI\r?\r\r>", "ATRV": b"14.2V\r\r>"}
    assert elm_identity(answers) == {"ATI": "ELM327 v2.1", "ATRV": "14.2V"}
    assert slcan_identity(b"\7\7V1013\r") == {"version": "V1013"}
