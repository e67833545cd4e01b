"""An edge logger of the older kind (S4), as a program that a gateway supervises.

    s4_edge_logger.py PORT BAUD URL VIN

Reads speed and revolutions from an ELM327 at PORT, five times a second, and posts an `EdgeRecord`
for each round to URL/api/telemetry; a field that its exponential smoothing predicted within 2 % of
its range is left out. What it has to say goes to standard error, once a second.
"""

from __future__ import annotations

import sys
import time
import urllib.request

import serial  # type: ignore[import-untyped]

from server.wire.telemetry_pb2 import EdgeRecord

ALPHA = 0.3
PERIOD_S = 0.2
FIELDS = {"speed": (b"010D", 1.0, 5.0), "RPM": (b"010C", 0.25, 160.0)}  # request, step, threshold


def ask(port: serial.Serial, request: bytes) -> bytes:
    """Give the adapter's answer to a request, without its prompt."""
    port.write(request + b"\r")
    answer: bytes = port.read_until(b">")
    if not answer.endswith(b">"):
        raise OSError(f"expected a prompt after {request!r}, found {answer!r}")
    return answer[:-1].strip()


def main() -> None:
    """Log until killed."""
    path, baud, url, vin = sys.argv[1:]
    port = serial.Serial(path, int(baud), timeout=5)
    for request in (b"ATZ", b"ATE0", b"ATS0"):
        ask(port, request)
    levels: dict[str, float] = {}
    sent = skipped = 0
    print("edge logger ready", file=sys.stderr, flush=True)
    while True:
        start_s = time.time()
        record = EdgeRecord(timestamp=start_s, vehicle_vin=vin)
        for name, (request, step, threshold) in FIELDS.items():
            answer = ask(port, request)
            if not answer.startswith(b"41"):
                continue  # SEARCHING..., NO DATA: there is no such field in this record
            record.fields += 1
            value = int(answer[4:], 16) * step
            level = levels.get(name)
            if level is not None and abs(value - level) <= threshold:
                skipped += 1
                continue
            levels[name] = value if level is None else ALPHA * value + (1 - ALPHA) * level
            sent += 1
            if name == "speed":
                record.speed = value
            else:
                record.more[name] = value
        body = record.SerializeToString()
        headers = {"Content-Type": "application/x-protobuf"}
        with urllib.request.urlopen(
            urllib.request.Request(f"{url}/api/telemetry", body, headers), timeout=5
        ) as response:
            response.read()
        if (sent + skipped) % 10 < len(FIELDS):
            print(f"{sent} fields sent, {skipped} skipped", file=sys.stderr, flush=True)
        time.sleep(max(0.0, start_s + PERIOD_S - time.time()))


if __name__ == "__main__":
    main()
