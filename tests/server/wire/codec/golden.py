"""Golden vectors: rows and the packets that they gave when these files were written.

`python -m tests.server.wire.codec.golden` writes them anew: only when the format changes its
version, for packets of devices in the field must stay readable.
"""

from __future__ import annotations

import json
from pathlib import Path

from server.training.learning import train
from server.wire.codec.encoder import Encoder
from server.wire.codec.profile import Profile, SignalPlan
from tests.server.wire.codec.drives import BOOT, Row, drive, plan

FOLDER = Path(__file__).parent / "golden"
TRAINED, COLD = "trained", "cold"


def profile_of(name: str) -> Profile:
    """Read a golden profile."""
    return Profile.from_bytes((FOLDER / f"{name}.profile").read_bytes())


def rows_of(name: str) -> list[Row]:
    """Give the rows of a golden vector: missing values, jumps and extremes among them."""
    rows = drive(700, seed=42)
    rows[50][3] = rows[51][3] = None
    rows[120] = [20, 900, -5, (1 << 40) - 1, -(1 << 40) + 1]
    rows[121:125] = [[None] * 5 for _ in range(4)]
    if name == COLD:
        profile = profile_of(name)
        rows = [[row[index] for index in profile.due(at)] for at, row in enumerate(rows)]
    return rows


def packets_of(name: str) -> list[str]:
    """Encode a golden vector now: packets that stand alone, and after half ones that continue."""
    rows = rows_of(name)
    encoder = Encoder(profile_of(name), BOOT, limit_bytes=80)
    packets: list[bytes] = []
    for number, row in enumerate(rows):
        packet = encoder.add(number, row)
        if packet is not None:
            packets.append(packet)
            if number > len(rows) // 2:
                encoder.acknowledged(encoder.next_seq - 1)
    last = encoder.flush()
    assert last is not None
    return [packet.hex() for packet in [*packets, last]]


def _write() -> None:
    FOLDER.mkdir(exist_ok=True)
    trained = train(
        [drive(2500, seed=7)],
        plan(5, minimum=0, maximum=8000),
        period_ms=100,
        flash_bytes=8192,
    )
    slow = SignalPlan(5, 1, 4, -40, 1, divider=4, phase=1, bound=3, minimum=-100, maximum=900)
    cold = Profile.cold(100, [*plan(4, maximum=4000), slow], delay_rows=2)
    for name, profile in ((TRAINED, trained), (COLD, cold)):
        (FOLDER / f"{name}.profile").write_bytes(profile.to_bytes())
        (FOLDER / f"{name}.json").write_text(json.dumps(packets_of(name), indent=0) + "\n")


if __name__ == "__main__":
    _write()
