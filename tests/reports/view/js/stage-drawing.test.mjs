// What is drawn: the points of a line, states taken apart, lanes, the picker's search.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Thinning, extremes, trace } from "../../../../reports/view/assets/js/stage/envelope.js";
import { lanesOf, requiredOf, spansOfLink, stacked, under } from "../../../../reports/view/assets/js/stage/head.js";
import { grip } from "../../../../reports/view/assets/js/stage/scrubber.js";
import { rangeFor, statesApart } from "../../../../reports/view/assets/js/stage/strips.js";
import { found, grouped } from "../../../../reports/view/assets/js/stage/picker.js";
import { completed } from "../../../../reports/view/assets/js/stage/source.js";
import { paired, within } from "../../../../reports/view/assets/js/stage/analysis.js";
import * as layouts from "../../../../reports/view/assets/js/stage/layouts.js";

const column = (t, v, more = {}) => ({ t: Float64Array.from(t), v: Float64Array.from(v), s: null, gaps: null, raw: true, ...more });

function pen() {
  const lines = [];
  return { lines, move: (x, y) => lines.push([[x, y]]), line: (x, y) => lines[lines.length - 1].push([x, y]) };
}

test("a line goes through all readings where there is room", () => {
  const out = pen();
  assert.equal(trace(column([0, 1, 2], [5, 6, 7]), 0, 2, 100, Infinity, out), 3);
  assert.deepEqual(out.lines, [[[0, 5], [100, 6], [200, 7]]]);
});

test("of many readings on a pixel the extremes are drawn, and few points", () => {
  const t = [], v = [];
  for (let i = 0; i < 100_000; i++) { t.push(i / 1000); v.push(i === 50_003 ? 99 : i === 50_500 ? -99 : Math.sin(i)); }
  const out = pen();
  const points = trace(column(t, v), 0, 100, 5, Infinity, out);
  assert.ok(points < 500 * 4 + 8, `${points}`);
  const all = out.lines.flat().map(([, y]) => y);
  assert.equal(Math.max(...all), 99);
  assert.equal(Math.min(...all), -99);
  const xs = out.lines.flat().map(([x]) => x);
  for (let i = 1; i < xs.length; i++) assert.ok(xs[i] >= xs[i - 1]);
});

test("no line crosses a gap, a loss, or what is no number", () => {
  const cases = [
    column([0, 1, 10, 11], [1, 1, 1, 1]),
    column([0, 1, 2, 3], [1, 1, 1, 1], { gaps: [[1.2, 1.8]] }),
    column([0, 1, 2, 3, 4], [1, 1, NaN, 1, 1]),
    column([0, 1, 2, 3, 4], [1, 1, 1, 1, 1], { s: Uint8Array.of(0, 0, 3, 0, 0) }),
    column([0, 1, 2, 3, 4], [1, 1, Infinity, 1, 1]),
  ];
  for (const one of cases) for (const scale of [100, 0.001]) {
    const out = pen();
    trace(one, 0, one.t.at(-1), scale, 2, out);
    assert.equal(out.lines.length, 2, JSON.stringify([...one.t, scale]));
  }
});

test("the line goes on beyond both edges of the window", () => {
  const out = pen();
  trace(column([0, 1, 2, 3], [0, 1, 2, 3]), 1.2, 1.8, 100, Infinity, out);
  assert.equal(out.lines[0].length, 2);
  assert.ok(out.lines[0][0][0] < 0 && out.lines[0][1][0] > 60);
});

test("extremes leave out what is not finite or lost", () => {
  assert.deepEqual(extremes(column([0, 1, 2, 3], [1, Infinity, -50, NaN], { s: Uint8Array.of(0, 0, 3, 0) }), 0, 9), { lo: 1, hi: 1 });
  assert.ok(Number.isNaN(extremes(column([], []), 0, 1).lo));
});

test("held readings are apart from measured ones, and the lines meet", () => {
  const found = statesApart(column([0, 1, 2, 3, 4], [1, 2, 2, 2, 5], { s: Uint8Array.of(0, 0, 2, 2, 0) }), 0, 4);
  assert.deepEqual([...found.held.s], [3, 0, 0, 0, 3]);
  assert.deepEqual([...found.sure.s], [0, 0, 3, 3, 0]);
  assert.equal(found.bounded, null);
  assert.equal(statesApart(column([0, 1], [1, 1], { s: Uint8Array.of(0, 3) }), 0, 1), null);
});

test("a limit near the line belongs to the range, one far away does not flatten it", () => {
  const strip = (max) => ({ lines: [{ column: column([0, 1, 2], [10, 12, 11]) }], limits: [{ max, min: null }], range: null });
  assert.ok(rangeFor(strip(13), 0, 2).hi >= 13);
  assert.ok(rangeFor(strip(1000), 0, 2).hi < 30);
});

test("faults have rows of their own; many share rows where they do not meet", () => {
  const faults = [{ start_s: 0, end_s: 10 }, { start_s: 5, end_s: 6 }, { start_s: 7, end_s: 8 }, { start_s: 20, end_s: 21 }];
  assert.deepEqual(stacked(faults).map((row) => row.length), [1, 1, 1, 1]);
  const rows = stacked([...faults, { start_s: 30, end_s: 31 }]);
  assert.deepEqual(rows.map((row) => row.length), [3, 2]);
  assert.equal(stacked(Array.from({ length: 50 }, () => ({ start_s: 0, end_s: 9 }))).length, 4);
});

test("a link's state lasts until the next", () => {
  const events = [{ kind: "link", link: "obd", t: 5, severity: "bad" }, { kind: "link", link: "obd", t: 1, severity: "good" }, { kind: "link", link: "gps", t: 2 }];
  assert.deepEqual(spansOfLink(events, "obd").map((one) => [one.t, one.end]), [[1, 5], [5, Infinity]]);
});

test("lanes are there for what there is, and what lies under a point is found", () => {
  const info = completed({ phases: [{ name: "idle", start_s: 0, end_s: 10 }], faults: [{ name: "f", start_s: 3, end_s: 4 }] });
  const events = [{ kind: "link", link: "obd", t: 1, severity: "bad", text: "lost" }, { kind: "note", t: 7, text: "x" }];
  const lanes = lanesOf(info, events);
  assert.deepEqual(lanes.map((lane) => lane.kind), ["axis", "phases", "faults", "link", "events"]);
  const y = (kind) => lanes.find((lane) => lane.kind === kind).y + 2;
  assert.equal(under(lanes, y("phases"), 5, 0.01, { info, events }).phase.name, "idle");
  assert.equal(under(lanes, y("faults"), 3.5, 0.01, { info, events }).fault.name, "f");
  assert.equal(under(lanes, y("link"), 2, 0.01, { info, events }).event.text, "lost");
  assert.equal(under(lanes, y("events"), 7.02, 0.01, { info, events }).event.text, "x");
  assert.equal(under(lanes, y("events"), 5, 0.01, { info, events }), null);
  assert.equal(lanesOf(completed({}), []).length, 2);
});

test("a requirement is for recovery, or for each of both", () => {
  assert.equal(requiredOf({ required_s: 5 }, "recovered"), 5);
  assert.equal(requiredOf({ required_s: 5 }, "detected"), null);
  assert.equal(requiredOf({ required_s: { detected: 2 } }, "detected"), 2);
  assert.equal(requiredOf({}, "recovered"), null);
});

test("a press on the scrubber takes an edge, the window, or seeks", () => {
  const box = { x: 0, w: 1000 }, view = { first_s: 0, last_s: 100, start: 20, end: 40 };
  assert.deepEqual([200, 400, 300, 700].map((x) => grip(x, box, view)), ["start", "end", "window", "seek"]);
  assert.equal(grip(500, box, { ...view, start: 0, end: 100 }), "seek");
});

const SIGNALS = completed({ signals: [
  { name: "SPEED", label: "Speed", unit: "km/h", group: "obd" }, { name: "obd.latency", unit: "ms", group: "derived" }, { name: "x" },
] }).signals;

test("signals are found by every word of name, unit and group", () => {
  assert.deepEqual(found(SIGNALS, "obd").map((one) => one.name), ["SPEED", "obd.latency"]);
  assert.deepEqual(found(SIGNALS, "km OBD").map((one) => one.name), ["SPEED"]);
  assert.equal(found(SIGNALS, "").length, 3);
  assert.deepEqual(grouped(SIGNALS).map(([name]) => name), ["derived", "obd", "other"]);
});

test("layouts are kept, and show those of their signals that are here", () => {
  const kept = new Map(), storage = { getItem: (key) => kept.get(key) ?? null, setItem: (key, text) => kept.set(key, text) };
  const said = [];
  const stage = { selected: ["a", "b"], layers: new Set(["truth"]), signalsByName: new Map([["b", {}]]), tell: (words) => said.push(words), select(names) { this.selected = names; }, refresh() {} };
  layouts.save(stage, 3, "", storage);
  stage.layers = new Set();
  assert.equal(layouts.load(stage, 3, storage), true);
  assert.deepEqual(stage.selected, ["b"]);
  assert.deepEqual([...stage.layers], ["truth"]);
  assert.equal(layouts.load(stage, 4, storage), false);
  assert.match(said.at(-1), /no layout 4/);
  kept.set("telerig.layouts", "{broken");
  assert.deepEqual(layouts.all(storage), {});
});

test("pairs of two signals take the newest of the other, not older than allowed", () => {
  const found = paired(column([1, 2, 3, 9], [10, 20, 30, 90]), column([0.5, 2.5], [1, 2]), 0, 10, 2);
  assert.deepEqual([found.x, found.y], [[10, 20, 30], [1, 1, 2]]);
});

test("figures bridge no gaps either", () => {
  const gap = within(column([0, 1, 2, 9, 10], [1, 2, 3, 4, 5]), 0, 10, 100, 3);
  assert.deepEqual(gap.v, [1, 2, 3, null, 4, 5]);
  const told = within(column([0, 1, 2, 3], [1, 2, 3, 4], { gaps: [[1.2, 1.8]] }), 0, 10);
  assert.deepEqual(told.v, [1, 2, null, 3, 4]);
});

test("figures get no more points than they can show", () => {
  const t = Array.from({ length: 10_000 }, (_, i) => i);
  assert.ok(within(column(t, t), 0, 1e9, 500).t.length <= 500);
  assert.equal(within(column(t, t), 10, 12).t.length, 3);
});

test("points that lie on the line are left out, and nothing moves by more than the tolerance", () => {
  const out = [], thin = new Thinning((x, y) => out.push([x, y]), (x, y) => out.push([x, y]), 0.3);
  const all = Array.from({ length: 2000 }, (_, i) => [i * 0.5, i === 700 ? 90 : 20 + 15 * Math.sin(i / 60) + (i > 1500 ? 5 : 0)]);
  all.forEach(([x, y], i) => (i ? thin.line(x, y) : thin.move(x, y)));
  thin.end();
  assert.ok(out.length < 300, `${out.length}`);
  assert.deepEqual(out.at(-1), all.at(-1));
  assert.ok(out.some(([, y]) => y === 90));
  let k = 0;
  for (const [x, y] of all) {
    while (k + 2 < out.length && out[k + 1][0] < x) k++;
    const [[x0, y0], [x1, y1]] = [out[k], out[k + 1]];
    assert.ok(Math.abs(y0 + ((y1 - y0) * (x - x0)) / (x1 - x0) - y) < 0.61, `at ${x}`);
  }
});

test("points over one another are all drawn", () => {
  const out = [], thin = new Thinning((x, y) => out.push(y), (x, y) => out.push(y));
  thin.move(0, 0);
  for (const y of [5, -5, 1]) thin.line(0, y);
  thin.line(1, 1);
  thin.end();
  assert.deepEqual(out, [0, 5, -5, 1, 1]);
});
