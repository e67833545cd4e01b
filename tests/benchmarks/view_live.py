"""The live page: from a device's clock to the screen, and what the browser costs.

A real gateway with embedded PostgreSQL gets readings of devices over HTTP at 20 Hz, 20 or 100
signals with a position; Chromium without a GPU shows the whole page: cards, strips, map. Painted
is the frame after the one that drew. An empty canvas that is cleared in each frame is the limit
beside it.
"""

from __future__ import annotations

import contextlib
import json
import math
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks.chromium import Chromium, chromium, empty_canvas_percent, wait_for
from tests.benchmarks.figures import Beside, Goal, Row
from tests.benchmarks.machine import cpu_s_of
from tests.reports.view.served import DEVICE, PASSWORD, ServedGateway, serving_gateway

RUNS, RUN_S, QUICK_S, SETTLE_S = 3, 20.0, 6.0, 8.0
RATE_HZ = 20
SECOND = "esp-2"
# In a process of its own: the browser's driver shares this one.
SENDER = """
import json, math, sys, time
sys.path.insert(0, {root!r})
from tests.reports.view.served import ServedGateway
gateway = ServedGateway({url!r}, {secret!r}, {key!r}, None)
names, due = json.loads({names!r}), time.monotonic()
while True:
    due += 1 / {rate}
    time.sleep(max(0.0, due - time.monotonic()))
    t = time.time()
    at = {{"LAT": 48.1 + 0.001 * math.cos(t / 20), "LON": 11.5 + 0.0015 * math.sin(t / 20)}}
    gateway.send([(n, int(t * 1e9), at.get(n, round(20 + 10 * math.sin(t / (1 + i % 7)), 2)))
                  for i, n in enumerate(names)])
"""


@contextlib.contextmanager
def sending(gateway: ServedGateway, count: int) -> Iterator[list[str]]:
    """Send so many signals around a block, positions among them; give their names on the page.

    What the catalogue has no names for comes from a second device.
    """
    known = [str(one["name"]) for one in gateway.ask("/api/v1/signals")["signals"] if one["name"]]
    names = ["LAT", "LON", *(name for name in known if name not in ("LAT", "LON"))]
    sets = {DEVICE: (gateway.key, names[:count])}
    if count > len(names):
        made = gateway.ask("/api/v1/devices", {"id": SECOND})
        sets[SECOND] = (made["key"], names[: count - len(names)])
    processes = [_sender(gateway, key, those) for key, those in sets.values()]
    try:
        if len(sets) == 1:
            yield sets[DEVICE][1]
        else:
            yield [f"{device}:{name}" for device, (_, those) in sets.items() for name in those]
    finally:
        for process in processes:
            process.kill()
            process.wait()


def _sender(gateway: ServedGateway, key: str, names: list[str]) -> subprocess.Popen[bytes]:
    code = SENDER.format(
        root=str(Path(__file__).parents[2]),
        url=gateway.url,
        secret=gateway.secret,
        key=key,
        names=json.dumps(names),
        rate=RATE_HZ,
    )
    return subprocess.Popen([sys.executable, "-c", code])


class Seen:
    """What was measured of one page."""

    def __init__(self) -> None:
        self.drawn_ms: list[float] = []
        self.painted_ms: list[float] = []
        self.draws_hz: list[float] = []
        self.browser_percent: list[float] = []
        self.server_percent: list[float] = []


def look(gateway: ServedGateway, browser: Chromium, count: int, runs: int, run_s: float) -> Seen:
    """Show so many signals, and measure."""
    seen = Seen()
    browser.context.request.post(
        f"{gateway.url}/api/v1/auth/login", data={"name": "viewer", "password": PASSWORD}
    )
    with sending(gateway, count) as names:
        time.sleep(2)
        page = browser.page()
        devices = ",".join(dict.fromkeys(n.partition(":")[0] for n in names if ":" in n)) or DEVICE
        page.goto(f"{gateway.url}/live?device={devices}&win=30&sig={','.join(names)}")
        wait_for(page, "(window.telerigView?.drawn ?? 0) > 20")
        page.evaluate("Object.assign(telerigView, {measure: true, isSameClock: true})")
        time.sleep(SETTLE_S)
        for _ in range(runs):
            page.evaluate("telerigView.reset()")
            server_s, began_s = cpu_s_of(gateway.process.pid), time.monotonic()
            seen.browser_percent.append(browser.cpu_percent(run_s))
            took_s = time.monotonic() - began_s
            used_s = cpu_s_of(gateway.process.pid) - server_s
            seen.server_percent.append(used_s / took_s * 100)
            seen.draws_hz.append(page.evaluate("telerigView.drawn") / took_s)
            seen.drawn_ms.append(page.evaluate("telerigView.latencyP95_ms"))
            seen.painted_ms.append(page.evaluate("telerigView.paintedP95_ms"))
        page.close()
    if not all(map(math.isfinite, seen.painted_ms)):
        raise RuntimeError("expected frames while readings came, got none")
    return seen


def measure(is_quick: bool) -> list[Row]:
    """Measure everything."""
    runs, run_s = (1, QUICK_S) if is_quick else (RUNS, RUN_S)
    with (
        tempfile.TemporaryDirectory() as name,
        serving_gateway(Path(name), {}) as gateway,
        chromium() as browser,
    ):
        limit = statistics.median(empty_canvas_percent(browser, run_s / 2) for _ in range(runs))
        few = look(gateway, browser, 20, runs, run_s)
        many = look(gateway, browser, 100, runs, run_s)
    canvas = Beside("an empty canvas, cleared in each frame", limit)
    frame = Beside("two frames of 60 Hz", 2000 / 60)
    return [
        Row("20 signals: measured to painted, p95", few.painted_ms, "ms", Goal(most=50), frame),
        Row("20 signals: measured to drawn, p95", few.drawn_ms, "ms"),
        Row("20 signals: frames with new readings", few.draws_hz, "/s"),
        Row(
            "20 signals: all processes of the browser",
            few.browser_percent,
            "% of a core",
            Goal(most=35),
            canvas,
        ),
        Row("20 signals: the gateway", few.server_percent, "% of a core"),
        Row("100 signals: measured to painted, p95", many.painted_ms, "ms", None, frame),
        Row(
            "100 signals: all processes of the browser",
            many.browser_percent,
            "% of a core",
            Goal(most=60),
            canvas,
        ),
    ]
