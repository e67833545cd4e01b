"""Bytes stay what they are: golden vectors, here and under MicroPython."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from server.training.learning import train
from server.wire.codec.decoder import Decoder
from tests import micropython
from tests.server.wire.codec import golden
from tests.server.wire.codec.drives import BOOT, Row, plan, rows_of
from tests.server.wire.codec.memory import encoder_bytes

NAMES = (golden.TRAINED, golden.COLD)

SETUP = """
import json
from server.wire.codec.profile import Profile
from server.wire.codec.encoder import Encoder
from server.wire.codec.decoder import Decoder
with open({folder!r} + "/profile", "rb") as file:
    profile = Profile.from_bytes(file.read())
with open({folder!r} + "/rows") as file:
    rows = json.load(file)
encoder = Encoder(profile, 0xC0FFEE, 80)
decoder = Decoder(profile, 0xC0FFEE)
at = 0

def show(packet):
    if packet is None:
        return
    print("".join(["%02x" % byte for byte in packet]))
    decoded = decoder.decode(packet)
    decoder.commit(decoded)
    assert decoded.transmitted + decoded.suppressed > 0
"""
STEP = """
for _ in range(10):
    if at < len(rows):
        packet = encoder.add(at, rows[at])
        show(packet)
        if packet and at > len(rows) // 2:
            encoder.acknowledged(encoder.next_seq - 1)
        at += 1
finished = at == len(rows)
"""
FINISH = "show(encoder.flush())"


@pytest.mark.parametrize("name", NAMES)
def test_packets_are_those_of_the_golden_vectors(name: str) -> None:
    """The encoder writes the committed bytes, and the decoder reads them."""
    committed = json.loads((golden.FOLDER / f"{name}.json").read_text())
    assert golden.packets_of(name) == committed
    profile = golden.profile_of(name)
    decoder = Decoder(profile, BOOT)
    decoded = []
    for packet in committed:
        decoded.append(decoder.decode(bytes.fromhex(packet)))
        decoder.commit(decoded[-1])
    assert {d.kind for d in decoded} == {"K", "D"}
    rows: dict[int, Row] = rows_of(decoded)
    for number, row in enumerate(golden.rows_of(name)):
        bounds = [profile.signals[index].bound for index in profile.due(number)]
        for before, after, bound in zip(row, rows[number], bounds, strict=True):
            assert (before is None) == (after is None)
            assert abs((before or 0) - (after or 0)) <= bound


@pytest.mark.parametrize("name", NAMES)
def test_micropython_writes_the_same_bytes(name: str, tmp_path: Path) -> None:
    """The real MicroPython encodes the same rows to the committed packets, and decodes them."""
    rows = tmp_path / "rows.json"
    rows.write_text(json.dumps(golden.rows_of(name)))
    printed = micropython.run(
        SETUP.format(folder="/telerig/golden"),
        step=STEP,
        steps=1000,
        finish=FINISH,
        files={"golden/profile": golden.FOLDER / f"{name}.profile", "golden/rows": rows},
        heap_bytes=1 << 22,
    )
    assert printed == json.loads((golden.FOLDER / f"{name}.json").read_text())


def test_encoder_and_profile_need_little_memory_under_micropython() -> None:
    """A large profile and its encoder stay below 64 KB of MicroPython's heap, and do not grow."""
    rng = random.Random(3)
    rows = [[rng.randrange(40 + 9 * index) for index in range(16)] for _ in range(800)]
    profile = train([rows], plan(16, maximum=500), period_ms=100)
    assert len(profile.to_bytes()) > 25_000
    few, many = (encoder_bytes(profile, rows[:count]) for count in (60, 300))
    assert max(few, many) < 64 * 1024
    assert abs(many - few) < 4000  # the ring of states fills
