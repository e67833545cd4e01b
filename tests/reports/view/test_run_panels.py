"""Panels of `/run/<id>`: what they show is what the record holds."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from rig.record.reader import RecordReader
from rig.scenario import load_scenario
from tests.reports.view.accessibility import check_looks
from tests.reports.view.recorded_runs import RecordedRuns
from tests.reports.view.served import ServedView, serving_view
from tests.reports.view.waiting import comes, found_by, says, until

if TYPE_CHECKING:
    from playwright.sync_api import Page

PANELS = (
    "[...document.querySelectorAll('.stage-panel > summary')].map((one) => one.firstChild.data)"
)
ORDER = ["Run", "Limits", "On the wire", "Map", "A reading’s journey", "Events"]


@pytest.fixture(scope="module")
def cut_folder(recorded: RecordedRuns) -> Path:
    """A run whose scenario may be cut: its file lies in a folder of the tests' own."""
    return recorded.runs / recorded.first


@pytest.fixture(scope="module")
def cut_view(cut_folder: Path, child_coverage: Mapping[str, str]) -> Iterator[ServedView]:
    """A `telerig view` over it."""
    with serving_view(cut_folder.parent, child_coverage) as found:
        yield found


def opened(page: Page, view: ServedView, run: str, at_s: float) -> None:
    """Open a run with the cursor at an instant; wait for what its panels ask for."""
    page.goto(f"{view.url}/run/{run}?t={at_s}")
    until(page, "window.telerigView?.drawn > 0")
    until(page, f"({PANELS}).length === {len(ORDER)}")


def show(page: Page, panel: str) -> None:
    """Scroll a panel into sight; only then it asks for anything."""
    page.locator(f".stage-panel-{panel}").scroll_into_view_if_needed()


def test_panels_stand_in_their_order(page: Page, view: ServedView, run_id: str) -> None:
    """As the page declares them, whichever came first; limits have the verdict's margin."""
    opened(page, view, run_id, 20)
    comes(lambda: page.evaluate(PANELS), ORDER)
    verdict = json.loads((view.runs / run_id / "verdict.json").read_text("utf-8"))  # type: ignore[operator]
    judged = {one["limit"]: one for one in verdict["limits"]}
    rows = page.locator(".limits-list li")
    comes(rows.count, len(judged))
    for row in rows.all():
        name = row.locator(".limits-name").evaluate("one => one.firstChild.data")
        margin = row.locator(".limits-margin").inner_text()
        expected = judged.pop(name)
        if expected.get("margin_pct") is None:
            assert margin == ""
            continue
        shown = float(margin.replace("−", "-").replace("%", "").replace("+", ""))
        assert shown == pytest.approx(expected["margin_pct"], rel=0.06)
    assert not judged
    page.check(".stage-panel-limits input")
    until(page, "document.querySelectorAll('.limits-list li').length === 1")
    says(page.locator(".limits-list").first, "obd.coverage")
    check_looks(page)


def test_bytes_at_the_cursor(page: Page, view: ServedView, run_id: str) -> None:
    """The sentence that is shown stands in the record; its fields light the strip of their signal;
    as hex it is the same bytes; a wider look shows more."""
    assert view.runs is not None
    reader = RecordReader(view.runs / run_id)
    stream = "".join(chunk.text for chunk in reader.wire("gps"))
    opened(page, view, run_id, 25.05)
    show(page, "wire")
    until(page, "document.querySelectorAll('.wire-message').length > 2")
    link = page.locator(".wire-link", has=page.locator("summary b:text-is('gps')"))
    shown = link.locator("code").all_inner_texts()
    texts = [one.replace("\\r", "\r").replace("\\n", "\n") for one in shown]
    assert any(text.startswith("$G") for text in texts)
    for text in texts:
        assert text in stream
    field = page.locator("button.wire-field.is-signal").first
    name = field.get_attribute("title")
    assert name is not None
    signal = name.split()[1].rstrip(":")
    field.hover()
    until(page, f"telerigView.stage.hover === '{signal}'")
    # What is lit does not stay lit when its field is replaced under the pointer.
    before = page.locator(".wire-message").count()
    page.select_option("select[aria-label='Around the cursor']", "200")
    until(page, f"document.querySelectorAll('.wire-message').length > {before}")
    page.mouse.move(5, 5)
    until(page, "telerigView.stage.hover === null")
    field = page.locator(f"button.wire-field[data-signal='{signal}']").first
    field.focus()
    page.keyboard.press("Enter")
    until(page, f"telerigView.stage.selected.includes('{signal}')")
    page.select_option("select[aria-label='Bytes as']", "hex")
    is_hex = re.compile("([0-9A-F]{2} )+[0-9A-F]{2}( ….*)?")
    first = link.locator("code").first
    digits = found_by(first.inner_text, is_hex.fullmatch, "pairs of digits").split(" …")[0]
    assert bytes.fromhex(digits).decode("latin-1") in stream
    # The same signal has the focus, though all has been drawn anew.
    until(page, f"document.activeElement.dataset.signal === '{signal}'")
    message = link.locator(".wire-message").first
    offset = message.locator("button").inner_text()
    before = page.evaluate("telerigView.t")
    message.locator("button").click()
    moved_ms = (page.evaluate("telerigView.t") - before) * 1000
    shown_ms = float(re.sub(r"[^0-9.−-]", "", offset).replace("−", "-"))
    assert moved_ms == pytest.approx(shown_ms, abs=1)


def test_a_journey_adds_up(page: Page, view: ServedView, run_id: str) -> None:
    """Hops of the reading at the cursor: those of the API, and their times are the whole way."""
    opened(page, view, run_id, 25)
    show(page, "journey")
    page.select_option(".stage-panel-journey select", "RPM")
    until(page, "document.querySelectorAll('.journey li').length > 2")
    until(page, "document.querySelector('.journey-head').textContent.includes('rpm')")
    t = page.evaluate("telerigView.t")
    asked = view.ask(f"/api/runs/{run_id}/journey?signal=RPM&at_ns={round(t * 1e9)}")
    names = page.locator(".journey-name b").all_inner_texts()
    assert names == [hop["name"] for hop in asked["hops"]]
    whole_ms = (asked["hops"][-1]["to_ns"] - asked["hops"][0]["from_ns"]) / 1e6
    shown = page.inner_text(".journey-head")
    found = re.search(r"([\d.]+) (m?s) in all", shown)
    assert found is not None, shown
    assert float(found[1]) * (1 if found[2] == "ms" else 1000) == pytest.approx(whole_ms, rel=0.01)
    hops = [ms for text in page.locator(".journey-took").all_inner_texts() for ms in took_ms(text)]
    assert sum(hops) == pytest.approx(whole_ms, rel=0.02)


def took_ms(text: str) -> list[float]:
    """Give what a hop's line says, in ms."""
    return [
        float(number) * (1 if unit == "ms" else 1000)
        for number, unit in re.findall(r"([\d.]+) (m?s)\b", text)
    ]


def test_what_the_run_is(page: Page, view: ServedView, run_id: str) -> None:
    """Seed, verdict and trace of the record; the command that repeats it; the way to compare."""
    assert view.runs is not None
    manifest = RecordReader(view.runs / run_id).manifest
    opened(page, view, run_id, 20)
    facts = page.locator(".stage-panel-run dl").inner_text()
    for word in (str(manifest.seed), "fail", manifest.trace_sha256[:12], manifest.scenario):
        assert word in facts
    comes(lambda: page.inner_text(".run-repeat code"), manifest.command)
    page.click(".stage-panel-run a:text('Compare')")
    page.wait_for_url("**/compare?a=run*")
    until(page, "document.querySelector('select[name=a]')?.value.startsWith('run:')")


def test_faults_are_told_as_they_were(page: Page, view: ServedView, run_id: str) -> None:
    """The list of events names the fault; its detection and recovery are those of the API."""
    (fault,) = view.ask(f"/api/runs/{run_id}")["faults"]
    opened(page, view, run_id, 20)
    shown: dict[str, Any] = page.evaluate("telerigView.stage.info.faults[0]")
    for key in ("start_s", "end_s", "detected_s", "recovered_s"):
        assert shown[key] == fault[key]
    assert fault["start_s"] <= fault["detected_s"]
    assert fault["end_s"] <= fault["recovered_s"]


def test_a_mark_is_there_for_others_too(
    page: Page, new_page: Callable[..., Page], cut_view: ServedView, cut_folder: Path
) -> None:
    """A note that is put at the cursor of a run stands at its instant in another browser."""
    opened(page, cut_view, cut_folder.name, 12.5)
    page.keyboard.press("m")
    page.keyboard.type("heard a noise")
    page.keyboard.press("Enter")
    until(page, "telerigView.stage.events.some((one) => one.text === 'heard a noise')")
    other = new_page()
    opened(other, cut_view, cut_folder.name, 20)
    found = "telerigView.stage.events.find((one) => one.text === 'heard a noise')"
    until(other, f"Math.abs({found}?.t - telerigView.stage.epoch_s - 12.5) < 0.002")


def test_a_slow_signal_has_its_real_value_at_the_cursor(
    page: Page, view: ServedView, run_id: str
) -> None:
    """The last reading before the cursor, however long ago, and no sign that it is only near."""
    line = view.ask(f"/api/runs/{run_id}/series?signal=COOLANT_TEMP&points=20000")["series"][0]
    epoch_s = view.ask(f"/api/runs/{run_id}")["epoch_s"]
    opened(page, view, run_id, 25)
    asked = (
        "telerigView.stage.source.at(['COOLANT_TEMP', 'RPM'], telerigView.stage.epoch_s + {at})"
        ".then((found) => [...found].map(([name, one]) => [name, one.t, one.v]))"
    )
    for at_s in (25, 49.99):
        (found,) = [one for one in page.evaluate(asked.format(at=at_s)) if one[0] == "COOLANT_TEMP"]
        pairs = zip(line["times_ns"], line["values"], strict=True)
        expected = [(at, value) for at, value in pairs if at / 1e9 <= epoch_s + at_s][-1]
        assert found[1:] == [expected[0] / 1e9, expected[1]]


def test_a_window_is_cut(
    page: Page, cut_view: ServedView, cut_folder: Path, expected_errors: list[str]
) -> None:
    """A name writes the file beside the scenario; a name that is taken is said in words."""
    expected_errors.append("400")
    opened(page, cut_view, cut_folder.name, 20)
    page.evaluate(
        "telerigView.stage.time.set({start: telerigView.stage.epoch_s + 16, "
        "end: telerigView.stage.epoch_s + 24})"
    )
    until(page, "document.querySelector('.run-cut b').textContent.includes('0:16.0 to 0:24.0')")
    page.fill(".run-cut input", "cut_on_the_page")
    page.keyboard.press("Enter")
    page.wait_for_selector(".run-cut [role=status] code")
    command = page.inner_text(".run-cut [role=status] code")
    path = cut_folder.parent.parent / "scenarios" / "cut_on_the_page.scenario.yaml"
    assert command.endswith("cut_on_the_page.scenario.yaml")
    scenario = load_scenario(path)
    assert [fault.kind for fault in scenario.faults] == ["hang_up"]
    page.click(".run-cut button")
    page.wait_for_selector(".run-cut .tone-bad")
    says(page.locator(".run-cut .tone-bad").first, "choose another name")
