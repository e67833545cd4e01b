"""What is sent to use up the gateway: refused, in bounded memory, and others are served."""

from __future__ import annotations

import asyncio
import gzip
import random
import subprocess
import sys
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import pytest

import server.ingest.body as body_module
from server.gateway import Gateway
from server.ingest.limits import BATCH_BYTES, JSON_BATCH_BYTES, SINGLE_BYTES
from server.ingest.protobuf_readings import check_implementation
from tests.server.ingest.conftest import NOW_NS, Sender, rows, stored
from tests.server.ingest.logger import Logger

# Body, reader, MB that it may take beside itself. Measured without bounds: 500,000 empty messages
# 23 MB, 9 MB of {} 207 MB, the gzip stream 200 MB.
ATTACKS = {
    "empty messages": ("b'\\x2a\\x00' * 500_000", "read_protobuf", 4),
    "unknown fields": ("b'\\x78\\x01' * 500_000", "read_protobuf", 4),
    "packed steps": (
        "b'\\x2a' + v(1_000_005) + b'\\x22' + v(1_000_001) + b'\\x02' * 1_000_001",
        "read_protobuf",
        20,
    ),
    "unpacked steps": ("b'\\x2a' + v(1_000_000) + b'\\x20\\x02' * 500_000", "read_protobuf", 12),
    "nested groups": ("b'\\x2a' + v(500_000) + b'\\x33' * 500_000", "read_protobuf", 4),
    "names of signals": ("b'\\x2a\\x03\\x0a\\x01x' * 200_000", "read_protobuf", 4),
    "empty objects": (
        "b'{\"readings\":[' + b'{},' * 87_000 + b'{}]}'",
        "read_batch",
        4,
    ),
    "deep arrays": ("b'{\"readings\":' + b'[' * 200_000", "read_batch", 4),
    "deep objects": ("b'{\"a\":' * 40_000", "read_batch", 4),
    "small values": (
        'b\'{"columns":[{"signal":12,"first_time_ns":1,"values":[\' + b"1," * 130_000 + b"1]}]}"',
        "read_batch",
        12,
    ),
    "long text": ("b'{\"vin\":\"' + b'x' * 262_000 + b'\"}'", "read_batch", 4),
    "empty templates": ("b'\\x1a' + v(60_000) + b'\\x22\\x00' * 30_000", "read_uplink", 8),
    "void packets": ("b'\\x08\\x01' + b'\\x2a\\x00' * 30_000", "read_uplink", 4),
    "gzip": ("gzip.compress(bytes(200_000_000))", "inflate", 4),
}
MEASURE = """
import gzip, resource, sys
from server.answers import Refusal
from server.ingest.body import _inflated
from server.ingest.json_readings import read_batch
from server.ingest.limits import BATCH_BYTES
from server.ingest.protobuf_readings import read_protobuf
from server.ingest.uplink import read_uplink as read_an_uplink

def v(number):
    out = b""
    while number >= 128:
        out, number = out + bytes([number % 128 + 128]), number // 128
    return out + bytes([number])

def inflate(body, *rest): _inflated(body, BATCH_BYTES)
def read_uplink(body, *rest): read_an_uplink(body)
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
read, body = {read}, {body}
for warm in (b"x", b"{{}}"):
    try: read(warm, "d", 10**18)
    except Refusal: pass
if read is inflate:
    # Making the bomb took more than taking it may: measured in memory that is given out.
    import tracemalloc
    tracemalloc.start()
before = peak()
try: read(body, "d", 10**18)
except Refusal as refusal: print(refusal.status)
else: print(200)
print(tracemalloc.get_traced_memory()[1] / 2**20 if read is inflate else (peak() - before) / 1024)
"""


@pytest.mark.parametrize("name", ATTACKS)
def test_bombs_take_bounded_memory(name: str) -> None:
    """A body that is made to explode is refused, and takes little more memory than it has bytes."""
    body, read, most_mb = ATTACKS[name]
    script = MEASURE.format(read=read, body=body)
    output = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True
    ).stdout
    status, taken_mb = output.split()
    assert status in ("400", "413")
    assert float(taken_mb) < most_mb


def test_messages_are_parsed_in_c() -> None:
    """The parser whose nesting is bounded is in use; the gateway checks that at start."""
    check_implementation()
    script = "from server.ingest.protobuf_readings import check_implementation as c; c()"
    command = [sys.executable, "-c", script]
    environment = {"PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION": "python"}
    answer = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
    assert answer.returncode != 0
    assert "expected protobuf's implementation upb, found python" in answer.stderr


@pytest.mark.parametrize(
    ("path", "kind", "most_bytes"),
    [
        ("/ingest", "application/json", SINGLE_BYTES),
        ("/ingest/batch", "application/json", JSON_BATCH_BYTES),
        ("/ingest/batch", "application/x-protobuf", BATCH_BYTES),
        ("/uplink", "application/x-protobuf", SINGLE_BYTES),
    ],
)
async def test_bodies_are_bounded(sender: Sender, path: str, kind: str, most_bytes: int) -> None:
    """A body one byte too long is 413, whether its length is told, or it comes in chunks."""
    headers = {"content-type": kind}

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(most_bytes // 1024):
            yield bytes(1024)
        yield b"x"

    for content in (bytes(most_bytes + 1), chunks()):
        answer = await sender.http.post(f"/api/v1{path}", content=content, headers=headers)
        assert answer.status_code == 413
        assert answer.json()["where"] == "body"
        assert str(most_bytes) in answer.json()["expected"]
    answer = await sender.http.post(f"/api/v1{path}", content=b"{" * most_bytes, headers=headers)
    assert answer.status_code == 400


async def test_a_slow_body_is_given_up(
    gateway: Gateway, sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A body that does not come to its end in time is answered with 408 and the connection ends."""
    monkeypatch.setattr(body_module, "BODY_TIMEOUT_S", 0.2)
    place = urlsplit(gateway.url)
    reader, writer = await asyncio.open_connection(place.hostname, place.port)
    writer.write(
        b"POST /api/v1/ingest HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n"
        b"x-api-key: " + sender.key.encode() + b"\r\n\r\n{"
    )
    async with asyncio.timeout(10):
        answer = await reader.read()
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"connection: close" in answer
    writer.close()


async def test_nothing_is_read_without_a_key(gateway: Gateway) -> None:
    """A body without a key is not waited for: the answer is 401 at once."""
    place = urlsplit(gateway.url)
    reader, writer = await asyncio.open_connection(place.hostname, place.port)
    writer.write(b"POST /api/v1/ingest HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n")
    async with asyncio.timeout(5):
        assert (await reader.readline()).startswith(b"HTTP/1.1 401 ")
    writer.close()


async def test_random_bytes_on_every_path(
    gateway: Gateway, sender: Sender, database_url: str
) -> None:
    """Random and damaged bodies are 4xx with a name, never 5xx; they are counted for the device."""
    chance = random.Random(5)
    good = Logger(1)
    good.drive(40)
    uplink = good.uplink()
    refused = 0
    for number in range(60):
        path = ("/ingest", "/ingest/batch", "/uplink")[number % 3]
        body = bytearray(uplink if number % 2 else chance.randbytes(chance.randrange(1, 400)))
        for _ in range(5):
            body[chance.randrange(len(body))] = chance.randrange(256)
        kind = chance.choice(("application/json", "application/x-protobuf"))
        answer = await sender.http.post(
            f"/api/v1{path}", content=bytes(body), headers={"content-type": kind}
        )
        assert answer.status_code < 500, answer.text
        if answer.status_code != 200:
            assert answer.json()["where"]
            refused += 1
    assert refused > 30
    await gateway.ingest.log.close()
    kept = await rows(database_url, "SELECT reason, count FROM device_refusals")
    counts = {row["reason"]: row["count"] for row in kept}
    assert counts["http 400"] + counts.get("http 413", 0) + counts.get("http 403", 0) == refused


async def test_what_waits_for_the_database_is_bounded(
    gateway: Gateway, sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond the bytes that may wait a device gets 429, and everybody 503, with Retry-After."""
    body = {"signal": "RPM", "time_ns": NOW_NS, "value": 1}
    for limit_bytes, status in ((3_000, 429), (500, 503)):
        monkeypatch.setattr(gateway.ingest.log, "_limit_bytes", limit_bytes)
        for path, content in (("/ingest", body), ("/uplink", Logger(1).uplink())):
            answer = await sender.post(path, content)
            assert answer.status_code == status
            assert answer.headers["retry-after"] == "1"
            assert answer.json()["where"] == "database"
    monkeypatch.undo()
    assert (await sender.post("/ingest", body)).status_code == 200


async def test_others_are_served_while_packets_are_decoded(
    gateway: Gateway, sender: Sender
) -> None:
    """A long packet is decoded in many small steps, with room for others between them."""
    logger = Logger(1)
    for number in range(900):
        assert logger.encoder.add(number, [8000, 60, 200] if number % 10 == 3 else [8000, 60]) is (
            None
        )
    packet = logger.encoder.flush()
    assert packet is not None
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    device = await gateway.registry.find("esp-1")
    assert device is not None
    counting = asyncio.create_task(count())
    await gateway.uplinks.take(device, logger.uplink([packet]))
    counting.cancel()
    assert turns > 900 * 2 / 64


async def test_instants_and_values_at_the_edge(sender: Sender, database_url: str) -> None:
    """The least and the greatest value of a signal are taken, the next ones are not."""
    values = [(0.0, 200), (16383.75, 200), (16383.76, 400), (-0.01, 400), (1e308, 400), (-0.0, 200)]
    for number, (value, status) in enumerate(values, 1):
        body = {"boot": 1, "seq": number, "signal": "RPM", "time_ns": NOW_NS, "value": value}
        assert (await sender.post("/ingest", body)).status_code == status, value
    for text in (b"NaN", b"Infinity", b"1e400", b"1" * 400, b"0x10"):
        body_text = b'{"signal":"RPM","time_ns":1,"value":' + text + b"}"
        headers = {"content-type": "application/json"}
        assert (await sender.post("/ingest", body_text, **headers)).status_code == 400, text
    assert len(await stored(database_url)) == 3


def test_a_bomb_is_really_one() -> None:
    """The gzip stream of the attack is small."""
    assert len(gzip.compress(bytes(1_000_000))) < 2_000
