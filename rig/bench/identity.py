"""What a device says of itself: versions and numbers, for the record."""

from __future__ import annotations

import re
from collections.abc import Mapping

from rig.bench.handshake import WRITE_S, Heard, converse, listen
from rig.bench.voices import BOARD, ELM327, MESHTASTIC, NMEA, SLCAN, UBX, sentences, ubx_checksum
from server.clock import SystemClock
from server.errors import LinkLost
from server.links.link_port import LinkPort
from server.wire import frame as board_frame

ELM_QUESTIONS = {"ATI": b"ATI\r", "AT@1": b"AT@1\r", "ATRV": b"ATRV\r", "STI": b"STI\r"}
"""Version, description and voltage of the ELM327 data sheet; STI: firmware of an STN chip."""
_MON_VER = b"\x0a\x04\x00\x00"
GPS_QUESTIONS = b"\xb5\x62" + _MON_VER + ubx_checksum(_MON_VER) + b"$PMTK605*31\r\n"
"""u-blox UBX-MON-VER and MediaTek PMTK_Q_RELEASE: each receiver takes the one it knows."""
GPS_WINDOW_S = 2.2
RADIO_HANDSHAKE_S = 8.0


def identity_of(port: str, heard: Heard, radio_port: str) -> dict[str, str]:
    """Return what a device says of itself, by the name of the question.

    Args:
        port: device path or pyserial URL.
        heard: who is there, and at what rate.
        radio_port: the port as the gateway's mesh link has it.

    Raises:
        LinkLost: it went away.
    """
    voice = heard.voice
    if voice is ELM327:
        return elm_identity(converse(port, heard.baud, ELM_QUESTIONS))
    if voice in (NMEA, UBX):
        return _receiver(port, heard)
    if voice is SLCAN:
        return slcan_identity(heard.data)
    if voice is BOARD:
        return _board(heard.data)
    if voice is MESHTASTIC:
        return _radio(radio_port)
    return {}


def elm_identity(answers: Mapping[str, bytes]) -> dict[str, str]:
    """Return the answers without echo and prompt; a command that is not known is left out."""
    found = {}
    for name, data in answers.items():
        lines = [line.strip() for line in re.split(r"[\r\n>]+", data.decode("ascii", "replace"))]
        text = " ".join(line for line in lines if line and line.replace(" ", "") != name)
        if text and text != "?":
            found[name] = text
    return found


def _receiver(port: str, heard: Heard) -> dict[str, str]:
    line = LinkPort(port, heard.baud, write_timeout_s=WRITE_S)
    line.open()
    try:
        line.write(GPS_QUESTIONS)
        data = heard.data + listen(line, GPS_WINDOW_S, asked=True, whole=True)
    finally:
        line.close()
    return receiver_identity(data)


def receiver_identity(data: bytes) -> dict[str, str]:
    """Return which sentences a receiver says, whether it has a fix, and its version."""
    said = sentences(data)
    kinds = sorted({sentence[1:6].decode("ascii", "replace") for sentence in said})
    found = {"sentences": " ".join(kinds)} if kinds else {}
    fixes = [s.split(b",") for s in said if s[3:6] == b"RMC"]
    if fixes:
        found["fix"] = "yes" if any(len(f) > 2 and f[2] == b"A" for f in fixes) else "no"
    for sentence in said:
        text = sentence[:-3].decode("ascii", "replace")
        if text.startswith("$PMTK705,"):
            found["version"] = text.removeprefix("$PMTK705,")
    version = _ubx_version(data)
    return {**found, "version": version} if version else found


def _ubx_version(data: bytes) -> str:
    """Software, hardware and extensions of UBX-MON-VER: texts of 30, 10, and 30 bytes each."""
    at = data.find(b"\xb5\x62\x0a\x04")
    if at < 0:
        return ""
    size = int.from_bytes(data[at + 4 : at + 6], "little")
    body = data[at + 6 : at + 6 + size]
    if len(body) != size or size < 40:
        return ""
    texts = [body[:30], body[30:40], *(body[n : n + 30] for n in range(40, size, 30))]
    words = (text.split(b"\0")[0].decode("ascii", "replace").strip() for text in texts)
    return "; ".join(filter(None, words))


def slcan_identity(data: bytes) -> dict[str, str]:
    """Return the version of an slcan adapter, where it tells one."""
    lines = [line.strip(b"\7 ").decode("ascii", "replace") for line in re.split(rb"[\r\n]", data)]
    version = next((line for line in lines if len(line) > 1), "")
    return {"version": version} if version else {}


def _board(data: bytes) -> dict[str, str]:
    for kind, payload in board_frame.Decoder().feed(data):
        if kind == board_frame.HELLO and payload:
            name = payload[1:].decode("utf-8", "replace")
            found = {"protocol": str(payload[0])}
            return {"name": name, **found} if name else found
    return {}


def _radio(port: str) -> dict[str, str]:
    try:
        from server.mesh.radio.client import RadioClient

        client = RadioClient(
            port,
            clock=SystemClock(),
            on_packet=lambda _: None,
            on_event=lambda _: None,
            handshake_s=RADIO_HANDSHAKE_S,
        )
        info = client.open()
    except ImportError:  # the extra 'mesh' is not installed: who it is stays unknown
        return {}
    except LinkLost:
        return {}
    client.close()
    found = {
        "node": f"!{info.node:08x}",
        "name": info.long_name,
        "hardware": info.hardware,
        "firmware": info.firmware,
        "region": info.region,
        "preset": info.preset,
    }
    return {name: value for name, value in found.items() if value}
