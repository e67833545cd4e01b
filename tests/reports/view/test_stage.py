"""The stage over a source whose readings are known: what is seen is what is there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from tests.reports.view.accessibility import check_axe, check_width
from tests.reports.view.served import ServedView, serving_view
from tests.reports.view.stage_page import EPOCH_S, Staged
from tests.reports.view.waiting import comes, says

if TYPE_CHECKING:
    from playwright.sync_api import Page

NewPage = Callable[..., "Page"]
Stage = Callable[..., Staged]
PHONE = (360, 740)
# Much more red than anything else: violations, and nothing else in a strip.
RED = "(r, g, b, a) => a > 150 && r > 150 && g < 80 && b < 80"
# A line in the colour of the first link.
LINE = "(r, g, b, a) => a > 100 && b > 120 && r < 120"
EVENTS = [
    {"t": 20, "kind": "note", "severity": "info", "text": "first"},
    {"t": 40, "kind": "alert", "severity": "bad", "text": "too hot"},
    {"t": 60, "kind": "link", "link": "obd", "severity": "bad", "text": "lost"},
    {"t": 65, "kind": "link", "link": "obd", "severity": "good", "text": "up"},
]
LIMIT = {
    "id": "a",
    "name": "SIG_0.each",
    "text": "SIG_0.each: {max: 13}",
    "unit": "km/h",
    "max": 13,
    "each": True,
    "start_s": EPOCH_S,
    "end_s": EPOCH_S + 50,
    "signal": "SIG_0",
    "outcome": "fail",
    "value": 15,
    "margin_pct": -15.4,
    "file": "scenarios/hot.scenario.yaml",
    "line": 31,
}


@pytest.fixture(scope="module")
def pages(
    tmp_path_factory: pytest.TempPathFactory, child_coverage: Mapping[str, str]
) -> Iterator[ServedView]:
    """A `telerig view` over an empty folder."""
    with serving_view(tmp_path_factory.mktemp("no-runs"), child_coverage) as found:
        yield found


@pytest.fixture
def stage(page: Page, pages: ServedView) -> Stage:
    """Show the stage over a known source."""

    def make(**options: Any) -> Staged:
        return Staged(page, pages.url, **options)

    return make


def known(signal: int, at_s: float) -> str:
    """Give the value that the source has for an instant, as it is written beside the strip."""
    import math

    at_s = math.floor(at_s * 10 + 1e-6) / 10
    value = math.floor(((signal + 1) * 10 + 5 * math.sin(at_s / 4)) * 100 + 0.5) / 100
    return f"{value:.2f}"


def test_values_beside_the_strips_are_those_of_the_source(stage: Stage) -> None:
    """At the cursor and under the pointer each strip shows the last reading up to that instant."""
    shown = stage()
    for at_s in (0.0, 12.34, 55.55, 99.99):
        shown.seek(at_s)
        expected = {f"SIG_{i}": known(i, at_s) for i in range(3)}
        comes(shown.values, expected)
    box = shown.page.locator(".stage-scroll").bounding_box()
    assert box is not None
    shown.page.mouse.move(box["x"] + 400, box["y"] + 20)
    shown.settle()
    at_s = shown.time("at")
    comes(lambda: shown.values()["SIG_1"], known(1, at_s))
    assert shown.time("at") != shown.time("t")


def test_a_long_recording_shows_exact_values_and_fetches_no_more_than_is_drawn(
    stage: Stage,
) -> None:
    """One hour, decimated: extremes are fetched for the width, the value at the cursor is exact."""
    shown = stage(length_s=3600, signals=10)
    shown.seek(1234.5678)
    comes(lambda: shown.values()["SIG_2"], known(2, 1234.5678))
    most = shown.ask("Math.max(...test.asked.map((one) => one.points))")
    assert most <= 2 * 1280, most
    shown.ask(f"telerigView.stage.time.window({EPOCH_S + 100}, {EPOCH_S + 110})")
    shown.until("telerigView.stage.data('SIG_0').raw === true")
    comes(lambda: shown.ask("(({from, to}) => to - from)(telerigView.stage.data('SIG_0'))"), 100)


MOVES: tuple[tuple[list[str], str, float], ...] = (
    (["ArrowRight"], "t", 51.0),
    (["Shift+ArrowLeft"], "t", 40.0),
    (["Alt+ArrowRight"], "t", 50.1),
    (["Home"], "t", 0.0),
    (["End"], "t", 100.0),
    (["n"], "t", 60.0),
    (["p"], "t", 40.0),
    (["f"], "t", 60.0),
    (["+"], "start", 25.0),
    (["+", "-"], "start", 0.0),
    (["+", "]"], "start", 75.0),
    (["+", "["], "start", -25.0),
    (["+", "0"], "end", 100.0),
    (["c"], "t2", 50.0),
)


def test_keys_move_time(stage: Stage) -> None:
    """Every movement in time has a key."""
    shown = stage(events=EVENTS)
    shown.until("telerigView.stage.events.length === 4")
    for keys, name, expected in MOVES:
        shown.ask("telerigView.stage.time.all()")
        shown.ask("telerigView.stage.time.set({t2: NaN})")
        shown.ask(f"telerigView.stage.time.seek({EPOCH_S + 50})")
        shown.press(*keys)
        comes(partial(shown.time, name), pytest.approx(expected, abs=0.02))


def test_keys_do_everything_else(stage: Stage) -> None:
    """Play, speed, loop, axis, strips, layouts, picker and help need no mouse."""
    shown = stage()
    shown.press(" ")
    shown.until("telerigView.stage.time.playing")
    shown.until("telerigView.t > test.EPOCH_S + 0.05")
    shown.press(" ", ".", ".", "o", "x")
    found = shown.ask(
        "(({playing, speed, loop, axis}) => [playing, speed, !!loop, axis])(telerigView.stage.time)"
    )
    assert found == [False, 5, True, "wall"]
    shown.press("Escape", "ArrowDown", "ArrowDown")
    comes(lambda: shown.ask("telerigView.stage.hover"), "SIG_1")
    shown.press("Delete")
    comes(lambda: shown.ask("telerigView.stage.selected"), ["SIG_0", "SIG_2"])
    shown.press("Shift+Digit4", "s")
    shown.page.keyboard.type("signal 1")
    shown.press("Enter")
    comes(lambda: shown.ask("telerigView.stage.selected"), ["SIG_0", "SIG_2", "SIG_1"])
    shown.until("!document.querySelector('dialog')")
    shown.press("4")
    comes(lambda: shown.ask("telerigView.stage.selected"), ["SIG_0", "SIG_2"])
    shown.press("?")
    says(shown.page.locator("dialog").first, "live: follow what is newest")
    shown.press("Escape")
    shown.until("!document.querySelector('dialog')")


def test_the_address_holds_the_view(stage: Stage) -> None:
    """Cursor, second cursor, window, signals, axis, layers and loop come back after a reload."""
    shown = stage()
    shown.ask(
        """(({time}) => {
            const at = (s) => test.EPOCH_S + s;
            time.window(at(10), at(30));
            time.seek(at(12.5));
            time.set({t2: at(20), axis: 'utc', loop: [at(1), at(2)], speed: 2});
        })(telerigView.stage)"""
    )
    shown.ask("telerigView.stage.select(['SIG_2', 'SIG_0'])")
    shown.ask("telerigView.stage.toggleLayer('truth')")
    shown.until("location.search.includes('layers=truth')")
    shown.until("location.search.includes('t2=20')")
    query = shown.ask("location.search")
    for part in ("sig=SIG_2,SIG_0", "win=10,30", "t=12.5"):
        assert part in query
    shown.ask("(test.mounted.unmount(), test.mount())")
    shown.until("telerigView.drawn > 0")
    comes(lambda: [shown.time(name) for name in ("start", "end", "t", "t2")], [10, 30, 12.5, 20])
    found = shown.ask(
        "(({selected, layers, time}) => [selected, [...layers], time.axis, time.speed])"
        "(telerigView.stage)"
    )
    assert found == [["SIG_2", "SIG_0"], ["truth"], "utc", 2]
    shown.until("telerigView.stage.data('SIG_0', 'truth').t.length > 0")
    comes(lambda: shown.ask("location.search"), query)


def test_panning_leaves_following_and_l_returns(stage: Stage) -> None:
    """Live: a drag pauses the page, not the readings; L shows the newest again."""
    shown = stage(live=True)
    shown.ask("test.feed(400)")
    shown.until(
        "telerigView.mode === 'following' && telerigView.stage.data('SIG_0').t.length === 400"
    )
    box = shown.page.locator(".stage-scroll").bounding_box()
    assert box is not None
    shown.page.mouse.move(box["x"] + 500, box["y"] + 30)
    shown.page.mouse.down()
    shown.page.mouse.move(box["x"] + 650, box["y"] + 30, steps=4)
    shown.page.mouse.up()
    comes(lambda: shown.ask("telerigView.mode"), "paused")
    window = shown.ask("[telerigView.start, telerigView.end]")
    newest = shown.ask("test.feed(5, 0.05, Date.now() / 1000 + 2)")
    shown.frame()
    comes(lambda: shown.ask("[telerigView.start, telerigView.end]"), window)
    comes(lambda: shown.ask("telerigView.stage.book.last_s"), newest)
    shown.press("l")
    comes(lambda: shown.ask("telerigView.mode"), "following")
    comes(lambda: shown.ask("telerigView.end"), newest)


def test_live_values_are_the_newest(stage: Stage) -> None:
    """While it follows, the numbers are those of the newest readings."""
    shown = stage(live=True)
    newest = shown.ask("test.feed(20)")
    shown.until(
        "document.querySelector('.row-value').textContent"
        f" === test.value('SIG_0', {newest}).toFixed(2)"
    )


@pytest.mark.parametrize("how", ["told", "silent"])
def test_a_gateway_that_is_gone_makes_everything_grey_and_comes_back(
    stage: Stage, how: str
) -> None:
    """Told by the source, or noticed by the stage from silence; back by itself."""
    shown = stage(live=True)
    shown.ask("test.feed(20)")
    shown.until("!document.querySelector('.stage-row.is-stale')")
    if how == "told":
        shown.ask("test.emit({type: 'state', connection: 'down', text: 'away'})")
    shown.until("document.querySelectorAll('.stage-row.is-stale').length === 3", patience_s=60)
    says(shown.page.locator(".stage-mode").first, "lost")
    shown.ask("test.feed(2)")
    shown.until("!document.querySelector('.stage-row.is-stale')")
    says(shown.page.locator(".stage-mode").first, "following")


def test_a_limit_is_drawn_where_it_holds_with_margin_sign_and_source(stage: Stage) -> None:
    """Broken parts are red only while the limit holds; its box names file, line and text."""
    shown = stage(info={"limits": [LIMIT]})
    shown.frame()
    shown.until(f"test.pixels(0, 0.02, 0.45, {RED}) > 50")
    comes(lambda: shown.ask(f"test.pixels(0, 0.55, 0.98, {RED})"), 0)
    comes(lambda: shown.ask(f"test.pixels(1, 0.02, 0.98, {RED})"), 0)
    button = shown.page.locator(".row-limit").first
    for part in ("✗", "≤ 13 km/h", "−15.4 %"):
        says(button, part)
    comes(
        lambda: button.get_attribute("aria-label"),
        "Limit SIG_0.each: {max: 13}: fail, margin −15.4 %",
    )
    button.focus()
    shown.press("Enter")
    box = shown.page.locator(".stage-box")
    says(box, "scenarios/hot.scenario.yaml:31", "SIG_0.each: {max: 13}")
    shown.press("Escape")
    comes(shown.page.locator(".stage-box").count, 0)
    # The first instant beyond 13 is that of 10 + 5 sin(t/4) = 13.
    shown.press("Home", "f")
    comes(lambda: shown.time("t"), pytest.approx(2.6, abs=0.11))


def test_gaps_are_not_bridged(stage: Stage) -> None:
    """Where readings are missing, or no numbers, there is no line."""
    shown = stage(gap=[30, 50], nan=[70, 80])
    shown.frame()
    shown.until(f"test.pixels(0, 0.05, 0.25, {LINE}) > 50")
    comes(lambda: shown.ask(f"test.pixels(0, 0.31, 0.49, {LINE})"), 0)
    comes(lambda: shown.ask(f"test.pixels(0, 0.71, 0.79, {LINE})"), 0)
    shown.until(f"test.pixels(0, 0.82, 0.98, {LINE}) > 50")
    shown.seek(45)
    says(shown.page.locator(".row-age >> nth=0"), "old")


def test_two_cursors_show_what_lies_between(stage: Stage) -> None:
    """Delta, least, greatest and mean of each signal between the cursors."""
    shown = stage()
    shown.seek(0)
    shown.ask("telerigView.stage.time.set({t2: test.EPOCH_S + 25.1})")
    shown.until("document.querySelector('.row-stats').textContent.includes('min')")
    words = ("Δ −0.04", "min 5.00", "max 15.00", "mean 10")
    says(shown.page.locator(".row-stats >> nth=0"), *words)


def test_layers_are_drawn_together_and_told_apart(stage: Stage) -> None:
    """Truth beside what was reported: both values, and a strip for the error if it is asked for."""
    shown = stage(signals=1)
    shown.press("a")
    shown.page.get_by_label("Truth").check()
    shown.page.get_by_label("Error strip").check()
    shown.press("Escape")
    shown.seek(20)
    shown.until("document.querySelector('.row-stats').textContent.includes('truth')")
    reported = float(known(0, 20))
    says(shown.page.locator(".row-stats >> nth=0"), f"truth {reported + 1:.2f}")
    comes(
        lambda: shown.ask(
            "[...document.querySelectorAll('.stage-row')].map((row) => row.dataset.key)"
        ),
        ["SIG_0", "SIG_0:error"],
    )
    shown.until("['truth', 'error'].every((one) => test.asked.some(({layer}) => layer === one))")


def test_faults_show_when_they_were_seen_and_over(stage: Stage) -> None:
    """A fault's box has detection and recovery against what is required."""
    fault = {
        "id": "f",
        "name": "drop 30 %",
        "kind": "drop",
        "link": "obd",
        "start_s": EPOCH_S + 40,
        "end_s": EPOCH_S + 50,
        "detected_s": EPOCH_S + 41.5,
        "recovered_s": EPOCH_S + 58,
        "required_s": {"detected": 3, "recovered": 5},
    }
    shown = stage(
        info={
            "faults": [fault],
            "phases": [{"name": "idle", "start_s": EPOCH_S, "end_s": EPOCH_S + 100}],
        }
    )
    lane = shown.ask("telerigView.stage.lanes.find((lane) => lane.kind === 'faults').y + 8")
    box = shown.page.locator(".stage-head").bounding_box()
    assert box is not None
    x = shown.ask("telerigView.stage.box.x + telerigView.stage.box.w * 0.45")
    shown.page.mouse.click(box["x"] + x, box["y"] + lane)
    says(
        shown.page.locator(".stage-box"),
        "✓ after 1.5 s, required ≤ 3 s",
        "✗ after 8 s, required ≤ 5 s",
    )


@pytest.mark.promise("P11")
def test_the_scrubber_seeks_and_moves_the_window(stage: Stage) -> None:
    """A press outside the window goes there; a drag of its edge makes it longer."""
    shown = stage()
    shown.ask("telerigView.stage.time.window(test.EPOCH_S + 10, test.EPOCH_S + 30)")
    shown.frame()
    box = shown.page.locator(".stage-scrub").bounding_box()
    assert box is not None
    at = lambda s: box["x"] + 8 + (box["width"] - 16) * s / 100  # noqa: E731
    shown.page.mouse.click(at(70), box["y"] + 30)
    comes(lambda: shown.time("t"), pytest.approx(70, abs=0.3))
    comes(lambda: [shown.time("start"), shown.time("end")], pytest.approx([60, 80], abs=0.3))
    shown.page.mouse.move(at(80), box["y"] + 30)
    shown.page.mouse.down()
    shown.page.mouse.move(at(90), box["y"] + 30, steps=3)
    shown.page.mouse.up()
    comes(lambda: [shown.time("start"), shown.time("end")], pytest.approx([60, 90], abs=0.4))
    shown.page.mouse.move(at(70), box["y"] + 30)
    shown.page.mouse.down()
    shown.page.mouse.move(at(50), box["y"] + 30, steps=3)
    shown.page.mouse.up()
    comes(lambda: [shown.time("start"), shown.time("end")], pytest.approx([40, 70], abs=0.6))


def test_a_clock_that_jumps_is_told_and_followed(stage: Stage) -> None:
    """Forward at once, back after a moment; the page goes on and says what happened."""
    shown = stage(live=True)
    shown.ask("test.feed(20)")
    shown.ask("test.feed(1, 0.05, Date.now() / 1000 + 3600)")
    shown.until("telerigView.stage.events.some((event) => event.text.includes('forward by 36'))")
    shown.until("telerigView.end > Date.now() / 1000 + 3000")
    shown.ask("test.later = setInterval(() => test.feed(1), 50)")
    shown.until("telerigView.stage.events.some((event) => event.text.includes('back by'))")
    shown.until("telerigView.end < Date.now() / 1000 + 60 && telerigView.mode === 'following'")
    shown.ask("clearInterval(test.later)")
    says(shown.page.locator(".stage-events").first, "the clock went back")


def test_readings_without_number_or_time_and_unknown_signals_do_no_harm(stage: Stage) -> None:
    """NaN, nulls, a time that is none, names that nobody announced: the rest is shown."""
    shown = stage(live=True)
    shown.ask("test.feed(20)")
    shown.ask(
        """(() => {
            const now = Date.now() / 1000 + 0.01;
            const rows = [['SIG_0', now, null, 'measured'], ['SIG_1', NaN, 3], ['SIG_1', null, 3],
                ['SIG_2', now, 1e300, 9], ['NEW', now, 5, 'held']];
            test.emit({type: 'readings', rows});
        })()"""
    )
    shown.until("document.querySelector('.row-value').textContent === 'no number'")
    shown.ask("telerigView.stage.select(['NEW', 'SIG_1', 'GONE'])")
    shown.until("document.querySelector('[data-key=NEW] .row-value').textContent === '5'")
    says(shown.page.locator("[data-key=NEW]").first, "held")
    says(shown.page.locator("[data-key=GONE]").first, "not in this recording")


def test_a_page_without_data_says_so(stage: Stage) -> None:
    """Neither an empty recording nor a live page before the first reading is a blank."""
    says(stage(signals=0).page.locator(".stage-empty"), "no readings")
    shown = stage(signals=0, live=True)
    says(shown.page.locator(".stage-empty").first, "Nothing has come yet")


def test_a_source_that_fails_is_told_and_the_rest_is_shown(stage: Stage) -> None:
    """Series, events and overview may each be missing; when they come back, so does the page."""
    shown = stage(
        fails=["series", "events", "overview"],
        info={"phases": [{"name": "idle", "start_s": EPOCH_S, "end_s": EPOCH_S + 50}]},
    )
    shown.until("document.querySelectorAll('.stage-problem').length >= 2")
    words = ("3 signals cannot be read: the store is away", "no events")
    says(shown.page.locator(".stage-problems"), *words)
    comes(shown.page.locator(".stage-row").count, 3)
    shown.ask("test.fails.clear()")
    shown.until("telerigView.stage.data('SIG_0').t.length > 0")
    shown.until("!document.querySelectorAll('.stage-problem').length")


def test_many_readings_in_a_hidden_page_stay_bounded(stage: Stage) -> None:
    """A page that draws nothing keeps no more than its buffers hold."""
    shown = stage(live=True, signals=4)
    shown.ask(
        """(() => {
            const now = Date.now() / 1000;
            for (let i = 0; i < 60000; i++) {
                const rows = test.names.map((name) => [name, now + i / 1000, i, 0]);
                test.emit({type: 'readings', rows});
            }
        })()"""
    )
    comes(lambda: shown.ask("telerigView.stage.book.column('SIG_0').t.length"), 40_000)
    assert shown.ask("telerigView.bytes") <= 4 * 80_000 * 17
    shown.until("telerigView.lastT > 0 && telerigView.points < 4 * 4 * 1280")


def test_nothing_is_drawn_when_nothing_changes(stage: Stage) -> None:
    """One draw a frame, and only after a change; none after the part has gone."""
    shown = stage()
    shown.seek(10)
    shown.page.mouse.move(2, 2)
    shown.until(
        """new Promise((done) => {
            const before = telerigView.drawn;
            setTimeout(() => done(telerigView.drawn === before), 400);
        })"""
    )
    frames = shown.ask(
        """new Promise((done) => {
            let frames = 0;
            telerigView.stage.on('frame', () => frames++);
            for (let i = 0; i < 50; i++) telerigView.stage.invalidate();
            const after = (n) => (n ? requestAnimationFrame(() => after(n - 1)) : done(frames));
            after(5);
        })"""
    )
    assert frames == 1
    shown.ask("test.mounted.unmount()")
    assert shown.ask("window.telerigView") is None
    assert shown.ask("test.closed") == 1
    assert shown.ask("test.listeners.size") == 0


def test_sizes_and_themes_are_followed(new_page: NewPage, pages: ServedView) -> None:
    """The canvas has the screen's own pixels; colours are read anew when the theme changes."""
    shown = Staged(new_page(device_scale_factor=2), pages.url)
    ratio = "telerigView.stage.canvas.width / telerigView.stage.scroll.clientWidth"
    comes(lambda: shown.ask(ratio), pytest.approx(2, abs=0.01))
    shown.page.set_viewport_size({"width": 900, "height": 600})
    shown.until(
        "Math.abs(telerigView.stage.canvas.width / 2 - telerigView.stage.scroll.clientWidth) < 1"
    )
    light = shown.ask("telerigView.stage.theme.paper")
    shown.page.emulate_media(color_scheme="dark")
    shown.until(f"telerigView.stage.theme.paper !== {light!r}")


def test_a_phone_shows_all_and_takes_fingers(new_page: NewPage, pages: ServedView) -> None:
    """360 px: nothing sticks out; one finger pans, two zoom, a tap puts the cursor."""
    page = new_page(PHONE, has_touch=True, is_mobile=True)
    shown = Staged(page, pages.url, events=EVENTS)
    check_width(page)
    box = page.locator(".stage-scroll").bounding_box()
    assert box is not None
    x, y = box["x"], box["y"] + 60
    page.touchscreen.tap(x + 90, y)
    at_s = shown.time("t")
    assert at_s == pytest.approx(100 * 90 / box["width"], abs=2)
    shown.ask("telerigView.stage.time.window(test.EPOCH_S + 40, test.EPOCH_S + 60)")
    session = page.context.new_cdp_session(page)

    def touch(kind: str, *points: tuple[float, float]) -> None:
        session.send(
            "Input.dispatchTouchEvent",
            {
                "type": kind,
                "touchPoints": [{"x": a, "y": b, "id": i} for i, (a, b) in enumerate(points)],
            },
        )

    touch("touchStart", (x + 200, y))
    for step in range(1, 6):
        touch("touchMove", (x + 200 - 20 * step, y))
    touch("touchEnd")
    shown.until("telerigView.start > test.EPOCH_S + 44")
    before = shown.ask("telerigView.end - telerigView.start")
    touch("touchStart", (x + 120, y), (x + 180, y))
    for step in range(1, 6):
        touch("touchMove", (x + 120 - 12 * step, y), (x + 180 + 12 * step, y))
    touch("touchEnd")
    shown.until(f"telerigView.end - telerigView.start < {before * 0.6}")


def test_the_stage_can_be_read_by_everybody(new_page: NewPage, pages: ServedView) -> None:
    """Contrast, names and roles, in light and dark, with a box, the picker and the help open."""
    for theme in ("light", "dark"):
        page = new_page(theme=theme)
        shown = Staged(page, pages.url, events=EVENTS, info={"limits": [LIMIT]})
        shown.seek(12)
        check_axe(page)
        page.locator(".row-limit").first.click()
        check_axe(page)
        shown.press("Escape", "s")
        check_axe(page)
        shown.press("Escape", "?")
        check_axe(page)


def test_a_panel_is_drawn_with_the_time_and_may_fail_alone(stage: Stage) -> None:
    """Panels see the cursor when it moves; one that throws does not stop the others."""
    shown = stage()
    shown.ask(
        """(() => {
            const panel = (name, draw, key) => telerigView.stage.addPanel({
                name, title: name, key, draw, visible: () => true,
                element: document.createElement('p'),
            });
            test.seen = [];
            panel('good', (stage) => test.seen.push(stage.time.at), 'g');
            panel('bad', () => { throw new Error('broken'); });
        })()"""
    )
    shown.seek(33)
    shown.until(f"test.seen.at(-1) === {EPOCH_S + 33}")
    says(shown.page.locator(".stage-panel-bad").first, "This panel failed: broken")
    shown.press("g")
    shown.until("!document.querySelector('.stage-panel-good').open")


def test_the_signal_lit_by_a_panel_is_lit_in_its_strip(stage: Stage) -> None:
    """Hovering a field of bytes lights up its strip."""
    shown = stage()
    shown.ask("telerigView.stage.hover = 'SIG_1'")
    shown.until("document.querySelector('[data-key=SIG_1]').classList.contains('is-lit')")
    comes(shown.page.locator(".is-lit").count, 1)


def test_a_mark_is_put_at_the_cursor_by_key(stage: Stage) -> None:
    """`m`, some words, Enter: an event at that instant, found again by `p`."""
    shown = stage()
    shown.seek(42)
    shown.press("m")
    shown.page.keyboard.type("heard a noise")
    shown.press("Enter")
    shown.until("telerigView.stage.events.length === 1")
    says(shown.page.locator(".stage-events").first, "heard a noise")
    shown.press("End", "p")
    comes(lambda: shown.time("t"), pytest.approx(42, abs=1e-3))


def test_a_growing_run_is_followed_and_then_replayed(stage: Stage) -> None:
    """While it runs the page follows; at its end the same page is a replay of all of it."""
    shown = stage(
        live=True, kind="run", info={"kind": "run", "start_s": EPOCH_S, "epoch_s": EPOCH_S}
    )
    shown.ask("test.feed(200, 0.05, test.EPOCH_S + 10)")
    shown.until(
        "telerigView.mode === 'following' && telerigView.stage.data('SIG_0').t.length === 200"
    )
    shown.until("document.querySelector('.stage-clock').textContent === '0:10.000'")
    shown.ask("test.emit({type: 'end', end_s: test.EPOCH_S + 10})")
    shown.until("telerigView.mode === 'replay'")
    shown.until("!document.querySelector('.stage-row.is-stale')")
    shown.press("Home")
    comes(lambda: shown.time("last_s"), pytest.approx(10))
