"""The gateway's CAN link: a saturated bus of 25 messages with 200 signals, read and decoded.

Frames come 4,400 a second (a saturated 500 kbit/s bus has 3,700 to 4,500) from another process
through socketcand, or from another thread over python-can's in-process bus, whose CPU time is taken
off. The link runs in a process of its own; cores are its CPU time divided by the time. Beside it,
in the same run, python-can's client that receives and does nothing else, and cantools alone. Flat
out, the server or the PTY gives what is taken.
"""

from __future__ import annotations

from collections.abc import Sequence

from server.store.embedded import EmbeddedPostgres
from tests.benchmarks.can_blaster import RATE, blaster
from tests.benchmarks.can_reader import Read, cantools_us, decoder_us, read_in_process
from tests.benchmarks.figures import Beside, Goal, Row

SECONDS, QUICK_SECONDS, RUNS = 5, 2, 3
LEAST_FRAMES_S, MOST_CORES = 4000, 0.5
FLAT_OUT, SLCAN_FLAT_OUT, ALONE = 200_000, 40_000, 50_000


def measure(quick: bool) -> list[Row]:
    """Read the same traffic in several ways, in turns."""
    runs = 1 if quick else RUNS
    count = RATE * (QUICK_SECONDS if quick else SECONDS)
    with EmbeddedPostgres(durable=False) as server:
        url = server.start()
        found = [_paced(count, url) for _ in range(runs)]
    rows = _paced_rows({way: [each[way] for each in found] for way in found[0]})
    return rows + _alone(quick, runs) + _flat_out(quick, runs)


def _paced(count: int, url: str) -> dict[str, Read]:
    ways: dict[str, tuple[str, ...]] = {
        "10 Hz": ("link", "10"),
        "all": ("link", "all"),
        "pipeline": ("pipeline", "all"),
        "database": ("database", "all", url),
        "recv": ("recv",),
        "decode": ("decode",),
    }
    found = {name: _read("socketcand", count, RATE, *way) for name, way in ways.items()}
    found["slcan"] = _read("slcan", count, RATE, "link", "all")
    found["virtual"] = read_in_process("link", "virtual", "bench", count, "all")
    return found


def _read(kind: str, count: int, rate: int, way: str, *more: str) -> Read:
    with blaster(kind, count, rate) as place:
        return read_in_process(way, kind, place, count, *more)


def _paced_rows(found: dict[str, Sequence[Read]]) -> list[Row]:
    recv = _median([each.cores for each in found["recv"]])
    decode = _median([each.cores for each in found["decode"]])
    titles = {
        "10 Hz": ("socketcand, 200 signals at 10 Hz", "recv() of python-can alone", recv),
        "all": ("socketcand, all 200 signals of each frame", "recv() and cantools", decode),
        "slcan": ("slcan, all signals of each frame", "recv() and cantools", decode),
        "virtual": ("in-process bus, all signals of each frame", "recv() and cantools", decode),
        "pipeline": (
            "socketcand and pipeline, encoded, all signals",
            "recv() and cantools",
            decode,
        ),
        "database": (
            "socketcand, pipeline and database, all signals",
            "recv() and cantools",
            decode,
        ),
    }
    rows = []
    for name, (title, peer, value) in titles.items():
        reads = found[name]
        rows += [
            Row(
                title,
                [each.cores for each in reads],
                "cores",
                Goal(most=MOST_CORES),
                Beside(peer, value),
            ),
            Row(
                "- frames",
                [each.frames_per_s for each in reads],
                "frames/s",
                Goal(least=LEAST_FRAMES_S),
            ),
            Row(
                "- readings",
                [each.readings / each.frames * each.frames_per_s for each in reads],
                "readings/s",
            ),
            Row("- lost", [float(each.lost) for each in reads], "frames", Goal(most=0)),
        ]
    return rows


def _alone(quick: bool, runs: int) -> list[Row]:
    count = ALONE // 10 if quick else ALONE
    ours = [decoder_us(count) for _ in range(runs)]
    peer = Beside("cantools' decode", _median([cantools_us(count) for _ in range(runs)]))
    return [
        Row(
            "decoder alone, 8 signals to readings",
            [each[0] for each in ours],
            "us/frame",
            beside=peer,
        ),
        Row("decoder alone, signals at 10 Hz", [each[1] for each in ours], "us/frame", beside=peer),
    ]


def _flat_out(quick: bool, runs: int) -> list[Row]:
    rows = []
    for kind, count in (("socketcand", FLAT_OUT), ("slcan", SLCAN_FLAT_OUT)):
        count = count // 10 if quick else count
        ours = [_read(kind, count, 0, "flat", "all") for _ in range(runs)]
        peers = [_read(kind, count, 0, "recv") for _ in range(runs)]
        rows += [
            Row(
                f"{kind} flat out, all signals",
                [each.frames_per_s for each in ours],
                "frames/s",
                beside=Beside("recv() alone", _median([each.frames_per_s for each in peers])),
            ),
            Row(
                "- CPU",
                [each.cpu_us_per_frame for each in ours],
                "us/frame",
                beside=Beside("recv() alone", _median([each.cpu_us_per_frame for each in peers])),
            ),
            Row(
                "- lost",
                [float(each.lost) for each in ours],
                "frames",
                Goal(most=0),
                Beside("recv() alone", max(float(each.lost) for each in peers)),
            ),
        ]
    return rows


def _median(values: Sequence[float]) -> float:
    return sorted(values)[len(values) // 2]
