"""A Chromium for benchmarks: its processes' CPU time, and pages of known size."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from playwright.sync_api import BrowserContext, Page, sync_playwright

from tests.benchmarks.machine import cpu_s_of

PROGRAM = "chromium"
SIZE = (1280, 800)
# Cleared in each frame and nothing else: what a canvas of that size costs whoever draws on it.
EMPTY_CANVAS = """<!doctype html><body style="margin:0">
<canvas width=1040 height=640></canvas>
<script>
const g = document.querySelector("canvas").getContext("2d");
function draw() {
    g.clearRect(0, 0, 1040, 640);
    g.fillRect(0, 0, 1, 1);
    requestAnimationFrame(draw);
}
draw();
</script>"""


class Chromium:
    """A browser that draws in software, with all its processes."""

    def __init__(self, context: BrowserContext, profile: Path) -> None:
        self.context = context
        self._profile = str(profile)

    def page(self) -> Page:
        """Open a page."""
        return self.context.new_page()

    def processes(self) -> list[int]:
        """Give all its processes."""
        parents, roots = {}, set()
        for folder in Path("/proc").iterdir():
            if not folder.name.isdecimal():
                continue
            with contextlib.suppress(OSError):
                pid = int(folder.name)
                stat = (folder / "stat").read_text(encoding="ascii", errors="replace")
                parents[pid] = int(stat.rpartition(")")[2].split()[1])
                if self._profile in (folder / "cmdline").read_text(errors="replace"):
                    roots.add(pid)
        return [pid for pid in parents if roots & set(_line(pid, parents))]

    def cpu_percent(self, seconds: float) -> float:
        """Give the share of one core that all processes use, over so long."""
        before, began_s = self._cpu_s(), time.monotonic()
        time.sleep(seconds)
        return (self._cpu_s() - before) / (time.monotonic() - began_s) * 100

    def _cpu_s(self) -> float:
        total = 0.0
        for pid in self.processes():
            with contextlib.suppress(OSError):
                total += cpu_s_of(pid)
        return total

    def memory_mb(self, page: Page) -> float:
        """Give what a page's process holds for itself (its private memory), garbage collected."""
        session = self.context.new_cdp_session(page)
        session.send("HeapProfiler.collectGarbage")
        session.detach()
        return max(map(_private_mb, self._renderers()), default=0.0)

    def _renderers(self) -> list[int]:
        found = []
        for pid in self.processes():
            with contextlib.suppress(OSError):
                if "--type=renderer" in Path(f"/proc/{pid}/cmdline").read_text(errors="replace"):
                    found.append(pid)
        return found


def _line(pid: int, parents: dict[int, int]) -> Iterator[int]:
    while pid in parents:
        yield pid
        pid = parents[pid]


def _private_mb(pid: int) -> float:
    total_kb = 0
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith(("Private_Clean:", "Private_Dirty:")):
                total_kb += int(line.split()[1])
    return total_kb / 1024


@contextlib.contextmanager
def chromium(**options: Any) -> Iterator[Chromium]:
    """Run a browser around a block, with a profile of its own."""
    program = shutil.which(PROGRAM)
    if program is None:
        raise RuntimeError(f"expected {PROGRAM} on this machine, found none; install it")
    with (
        tempfile.TemporaryDirectory(prefix="telerig-chromium-") as name,
        sync_playwright() as playwright,
    ):
        context = playwright.chromium.launch_persistent_context(
            name,
            executable_path=program,
            args=["--no-sandbox"],
            viewport={"width": SIZE[0], "height": SIZE[1]},
            service_workers="block",
            **options,
        )
        try:
            yield Chromium(context, Path(name))
        finally:
            context.close()


def wait_for(page: Page, expression: str, patience_s: float = 30) -> None:
    """Wait until an expression is true; a page's security policy forbids Playwright's own way."""
    ends_s = time.monotonic() + patience_s
    while not page.evaluate(expression):
        if time.monotonic() > ends_s:
            raise RuntimeError(f"expected {expression} within {patience_s:g} s")
        time.sleep(0.05)


def empty_canvas_percent(browser: Chromium, seconds: float) -> float:
    """Give what a page costs that clears a canvas in each frame: the limit of any canvas page."""
    page = browser.page()
    try:
        page.set_content(EMPTY_CANVAS)
        time.sleep(2)
        return browser.cpu_percent(seconds)
    finally:
        page.close()
