"""Edge codec: bits for each reading of real drives, beside its peers in the same run.

Profiles are trained on some drives and measured on others (leon: 2018-02-23 against the two other
days; twizy: two against two; sti: first half against second). Packets of at most 231 bytes,
everything counted, every packet decoded and compared. K stands alone, D continues from the packet
before, which is acknowledged. Needs the recordings (TELERIG_DATA); without them it says so.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np

from server.training.drives import Drive, load
from server.training.learning import train
from server.training.measure import LIMITS_BITS, Figures
from server.training.measure import measure as measure_drive
from server.wire.codec.profile import Profile
from tests.benchmarks.edge_peers import PEERS, Series, pcodec_is_here
from tests.benchmarks.figures import Beside, Goal, Row

DATA = (
    Path(os.environ.get("TELERIG_DATA", Path(__file__).parents[3] / "shared" / "data"))
    / "drives"
    / "lattice"
)
SETS = {
    "leon": (["leon_b.npz"], ["leon_a.npz", "leon_c.npz"]),
    "twizy": (
        ["twizy_T1_06_30_2021_1.npz", "twizy_T1_07_01_2021.npz"],
        ["twizy_T2_03_29_2021.npz", "twizy_T3_06_07_2021.npz"],
    ),
    "sti": (["sti.npz@first"], ["sti.npz@second"]),
}
MUST, ACKNOWLEDGED = 1.20, 1.08
MOST_US = 50.0
QUICK_ROWS = 3000
PACKET_BYTES = 231


def measure(quick: bool) -> list[Row]:
    """Train and measure each set of drives."""
    if not DATA.is_dir():
        print(f"edge_codec: no recordings at {DATA}; name them by TELERIG_DATA", file=sys.stderr)
        return []
    rows: list[Row] = []
    for name, (training, tested) in SETS.items():
        rows += _measure_set(name, _load(training, quick), _load(tested, quick), quick)
    if not pcodec_is_here():
        print("edge_codec: pcodec is not installed (pip install pcodec)", file=sys.stderr)
    return rows


def _load(names: list[str], quick: bool) -> list[Drive]:
    drives = [load(str(DATA / name)) for name in names]
    for drive in drives if quick else ():
        drive.rows = drive.rows[:QUICK_ROWS]
    return drives


def _measure_set(name: str, training: list[Drive], tested: list[Drive], quick: bool) -> list[Row]:
    profile = train(
        [drive.rows for drive in training],
        training[0].signals(),
        period_ms=training[0].period_ms,
    )
    limit = LIMITS_BITS[name]
    figures = {kind: _total(name, profile, tested, kind) for kind in "KD"}
    found = figures["K"]
    peers = _peers(tested)
    plain = peers["plain protobuf"]
    rows = [
        Row(
            f"{name}: bits a reading, {kind}",
            [figures[kind].bits_per_reading],
            "bit",
            None if quick else Goal(most=round(limit * most, 3)),  # of whole drives
            Beside("best known model", limit),
        )
        for kind, most in (("K", MUST), ("D", ACKNOWLEDGED))
    ]
    rows += [
        Row(
            f"{name}: {peer}",
            [bits],
            "bit",
            beside=Beside("ours, K", found.bits_per_reading),
        )
        for peer, bits in peers.items()
    ]
    fit = 8 * PACKET_BYTES / plain
    rows += [
        Row(f"{name}: bytes of the drives", [found.sent_bytes], "B"),
        Row(
            f"{name}: readings in a packet",
            [found.readings / found.packets],
            "",
            beside=Beside("plain protobuf", fit),
        ),
        Row(f"{name}: profile", [len(profile.to_bytes())], "B", Goal(most=32768)),
        Row(f"{name}: encode", [1e6 * found.encode_s / found.readings], "us", Goal(most=MOST_US)),
        Row(f"{name}: decode", [1e6 * found.decode_s / found.readings], "us", Goal(most=MOST_US)),
    ]
    return rows + _memory(name, profile, tested[0])


def _total(name: str, profile: Profile, drives: list[Drive], kind: str) -> Figures:
    total = Figures(name, kind)
    for drive in drives:
        total.add(measure_drive(profile, drive, kind))
    return total


def _peers(drives: list[Drive]) -> dict[str, float]:
    """Give bits a reading of each peer over all drives."""
    series = [
        Series(
            np.array(drive.rows, dtype=np.int64),
            np.array([float(step) for step in drive.steps]),
            np.array([float(offset) for offset in drive.offsets]),
            drive.period_ms,
        )
        for drive in drives
    ]
    readings = sum(part.steps.size for part in series)
    return {
        name: sum(map(peer, series)) / readings
        for name, peer in PEERS.items()
        if not name.startswith("pcodec") or pcodec_is_here()
    }


def _memory(name: str, profile: Profile, drive: Drive) -> list[Row]:
    """Encoder and profile in MicroPython's heap, where MicroPython is here."""
    import pytest

    from tests.server.wire.codec.memory import encoder_bytes

    try:
        used = encoder_bytes(profile, drive.rows[:400])
    except pytest.skip.Exception as reason:
        print(f"edge_codec: {reason}", file=sys.stderr)
        return []
    return [Row(f"{name}: encoder and profile, MicroPython", [used], "B", Goal(most=65536))]
