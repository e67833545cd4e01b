"""What the encoder needs of MicroPython's heap."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

from server.wire.codec.profile import Profile
from tests import micropython

SETUP = """
import gc, json
from server.wire.codec.profile import Profile
from server.wire.codec.encoder import Encoder
turn = most = before = at = 0
"""
# Each turn is a top-level call: only between those is rubbish collected.
STEP = """
gc.collect()
used = gc.mem_alloc()
if turn == 0:
    with open("/telerig/measured/rows") as file:
        rows = json.load(file)
elif turn == 1:
    before = used
    with open("/telerig/measured/profile", "rb") as file:
        data = file.read()
elif turn == 2:
    profile = Profile.from_bytes(data)
    data = None
elif turn == 3:
    encoder = Encoder(profile, 1)
else:
    most = max(most, used - before)
    for row in rows[at : at + 10]:
        encoder.add(at, row)
        at += 1
    row = None
turn += 1
finished = turn > 4 and at == len(rows)
"""


def encoder_bytes(profile: Profile, rows: Sequence[Sequence[int | None]]) -> int:
    """Give the most bytes that encoder and profile took while they encoded the rows."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "profile").write_bytes(profile.to_bytes())
        (folder / "rows").write_text(json.dumps(rows))
        printed = micropython.run(
            SETUP,
            step=STEP,
            steps=len(rows) + 10,
            finish="print(most)",
            files={f"measured/{part}": folder / part for part in ("profile", "rows")},
            heap_bytes=1 << 22,
        )
    return int(printed[0])
