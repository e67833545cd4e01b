"""Makes server/wire/profiles/focus_st.profile: what the codec knows of a Focus ST beforehand.

    python -m bench.focus_st_profile [--seeds N]

Drives bench/focus_st.scenario.yaml with an untrained logger, takes the rows out of the records, and
trains on them. The last seed's drive is kept apart, to tell what the profile is worth.
"""

from __future__ import annotations

import argparse
import math
import subprocess
import sys
import tempfile
from pathlib import Path

from firmware_stubs.plan import Plan
from rig.measures.uplinks import http_stream_name
from rig.record.reader import RecordReader
from server.training.learning import train
from server.wire.codec.decoder import Decoder
from server.wire.codec.encoder import Encoder
from server.wire.codec.profile import Profile
from server.wire.telemetry_pb2 import Uplink

HERE = Path(__file__).parent
PROFILE = HERE.parent / "server" / "wire" / "profiles" / "focus_st.profile"

Rows = list[list[int | None]]


def rows_of(folder: Path, profile: Profile) -> Rows:
    """Give the longest run of rows without a gap, from one at which the plan begins anew.

    There is a gap where the board learns the time: its row numbers step onto UTC.
    """
    record = RecordReader(folder)
    found: dict[int, dict[int, list[int | None]]] = {}
    decoders: dict[int, Decoder] = {}
    for chunk in record.wire(http_stream_name(next(iter(record.manifest.devices)))):
        if chunk.direction != ">":
            continue
        message = Uplink.FromString(chunk.data)
        decoder = decoders.setdefault(message.boot, Decoder(profile, message.boot))
        for data in message.packets:
            packet = decoder.decode(bytes(data))
            decoder.commit(packet)
            rows = found.setdefault(message.boot, {})
            rows.update(enumerate(packet.rows, packet.first_row))
    turn = math.lcm(*(signal.divider for signal in profile.signals))
    longest: Rows = []
    for rows in found.values():
        run: Rows = []
        for number in sorted(rows):
            if number - 1 not in rows:
                run = []
            if run or number % turn == 0:
                run.append(rows[number])
            longest = max(longest, run, key=len)
    return longest


def bits_per_reading(profile: Profile, rows: Rows) -> float:
    """Give what packets of full length cost, each by itself, all overhead counted."""
    encoder = Encoder(profile, boot=1)
    packets = [encoder.add(number, row) for number, row in enumerate(rows)] + [encoder.flush()]
    sent = sum(len(packet) for packet in packets if packet is not None)
    return 8 * sent / sum(len(row) for row in rows)


def _progress(what: str, part: float) -> None:
    if sys.stdout.isatty():
        print(f"\r{what} {part:.0%}   ", end="", flush=True)


def main() -> int:
    """Drive, train, write, tell."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=4, help="drives, the last to judge by (4)")
    count: int = parser.parse_args().seeds
    plan = Plan({})
    cold = plan.profile(None)
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "rig.cli", "run", str(HERE / "focus_st.scenario.yaml")]
        command += ["--seeds", str(count), "--runs", folder]
        subprocess.run(command, check=True)
        drives = [rows_of(run, cold) for run in sorted(Path(folder).iterdir()) if run.is_dir()]
    profile = train(
        drives[:-1],
        plan.signals,
        period_ms=plan.period_ms,
        delay_rows=plan.delay_rows,
        report=_progress,
    )
    PROFILE.parent.mkdir(exist_ok=True)
    PROFILE.write_bytes(profile.to_bytes())
    print(f"{PROFILE}: {PROFILE.stat().st_size} bytes")
    for name, one in (("without training", cold), ("trained", profile)):
        print(f"{name}: {bits_per_reading(one, drives[-1]):.2f} bits a reading")
    return 0


if __name__ == "__main__":
    sys.exit(main())
