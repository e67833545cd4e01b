"""Another program on a CAN bus: python-can alone, nothing of ours.

python can_peer.py talk INTERFACE CHANNEL ID HEX PERIOD_S
python can_peer.py count INTERFACE CHANNEL SECONDS       prints {id: frames} as JSON
"""

from __future__ import annotations

import collections
import json
import sys
import time

import can


def talk(bus: can.BusABC, identifier: str, data: str, period_s: str) -> None:
    """Send one message again and again."""
    message = can.Message(
        arbitration_id=int(identifier, 16), data=bytes.fromhex(data), is_extended_id=False
    )
    print("ready", flush=True)
    while True:
        bus.send(message)
        time.sleep(float(period_s))


def count(bus: can.BusABC, duration_s: str) -> None:
    """Count what is heard."""
    print("ready", flush=True)
    heard: collections.Counter[str] = collections.Counter()
    end_s = time.monotonic() + float(duration_s)
    while (left_s := end_s - time.monotonic()) > 0:
        message = bus.recv(left_s)
        if message is not None:
            heard[f"{message.arbitration_id:03X}"] += 1
    print(json.dumps(heard), flush=True)


def main() -> None:
    """Open the bus and do what the first word says."""
    what, interface, channel, *rest = sys.argv[1:]
    with can.Bus(interface=interface, channel=channel) as bus:
        {"talk": talk, "count": count}[what](bus, *rest)


if __name__ == "__main__":
    sys.exit(main())
