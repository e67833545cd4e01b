// Two recordings on one axis: places, differences, landmarks, pairs of limits.
import test from "node:test";
import assert from "node:assert/strict";

import { Metres, Seconds, driveStart, landmarks, speedOf } from "../../../../reports/view/assets/js/compare/align.js";
import { difference, figures, firstBeyond, placed, valueAt } from "../../../../reports/view/assets/js/compare/difference.js";
import { signalDivergence } from "../../../../reports/view/assets/js/compare/divergence.js";
import { compareFigure } from "../../../../reports/view/assets/js/compare/figure.js";
import { pairedLimits } from "../../../../reports/view/assets/js/compare/tables.js";

const column = (t, v) => ({ t: Float64Array.from(t), v: Float64Array.from(v) });
const line = (x, v) => ({ x: Float64Array.from(x), v: Float64Array.from(v) });
const upTo = (n, f) => Array.from({ length: n }, (_, i) => f(i));

test("seconds count from the beginning of the drive, and back", () => {
  assert.equal(driveStart({ start_s: 90, phases: [{ name: "b", start_s: 120 }, { name: "a", start_s: 100 }] }), 100);
  assert.equal(driveStart({ start_s: 90, phases: [] }), 90);
  const axis = new Seconds(100);
  assert.equal(axis.x(103.5), 3.5);
  assert.equal(axis.t(axis.x(777)), 777);
});

test("metres are the speed summed up; nothing is driven while nothing is known", () => {
  const axis = new Metres(column([0, 10, 20, 50, 60], [36, 36, 36, 36, 36]));
  assert.equal(axis.x(5), 50);
  assert.equal(axis.x(20), 200);
  assert.equal(axis.length, 300);
  assert.ok(Math.abs(axis.t(axis.x(15)) - 15) < 1e-9);
  assert.equal(axis.x(-5), 0);
  assert.equal(axis.x(99), 300);
  assert.ok(Number.isNaN(new Metres(column([], [])).x(1)));
  assert.equal(new Metres(column([0, 1, 2], [36, NaN, 36])).length, 20);
});

test("the best speed there is tells the way", () => {
  const info = (...names) => ({ signals: names.map((name) => ({ name })) });
  assert.equal(speedOf(info("GPS_SPEED", "SPEED")), "SPEED");
  assert.equal(speedOf(info("RPM", "GPS_SPEED")), "GPS_SPEED");
  assert.equal(speedOf(info("RPM")), null);
});

test("landmarks are the first of each name", () => {
  const info = { phases: [{ name: "idle", start_s: 5 }], faults: [{ name: "hole", start_s: 9 }, { name: "hole", start_s: 20 }] };
  const found = landmarks(info, [{ t: 30, kind: "link", text: "obd up" }, { t: 8, kind: "link", text: "obd up" }, { t: 5, kind: "phase", text: "idle" }]);
  assert.deepEqual([...found], [["phase idle", 5], ["fault hole", 9], ["link: obd up", 8]]);
});

test("equal recordings differ nowhere, even at other instants of one line", () => {
  const a = placed(column(upTo(50, (i) => 100 + i), upTo(50, (i) => 2 * i)), new Seconds(100));
  const b = placed(column(upTo(49, (i) => 500.5 + i), upTo(49, (i) => 2 * i + 1)), new Seconds(500));
  for (const other of [a, b]) {
    const found = figures(difference(a, other));
    assert.equal(found.most, 0);
    assert.ok(found.count >= 49);
    assert.ok(Number.isNaN(firstBeyond(difference(a, other), 0.1)));
  }
});

test("what differs: how much, where, and where first beyond a step", () => {
  const a = line(upTo(20, (i) => i), upTo(20, () => 10)), b = line(upTo(20, (i) => i), upTo(20, (i) => (i < 5 ? 10 : i === 12 ? 3 : 9.5)));
  const d = difference(a, b), found = figures(d);
  assert.deepEqual([found.most, found.at, found.count], [7, 12, 20]);
  assert.equal(firstBeyond(d, 0.25), 5);
  assert.equal(firstBeyond(d, 0.5), 12);
  assert.ok(Math.abs(found.rms - Math.sqrt((14 * 0.25 + 49) / 20)) < 1e-12);
});

test("gaps, ends and what is no number are no difference", () => {
  const a = line([0, 1, 2, 3, 60, 61], [0, 0, 0, 0, 0, 0]);
  assert.ok(Number.isNaN(valueAt(a, 30, 8)));
  assert.ok(Number.isNaN(valueAt(a, -1, 8)));
  assert.equal(valueAt(a, 2.5, 8), 0);
  assert.equal(figures(difference(a, line([100, 101], [1, 1]))).count, 0);
  assert.equal(figures(difference(a, line([], []))).count, 0);
  assert.deepEqual([...placed(column([1, 2, 3], [5, NaN, 7]), new Seconds(0)).x], [1, 3]);
});

test("a heading wraps, and a car that stands has one reading for each place", () => {
  const d = difference(line([0, 1], [359, 359]), line([0, 1], [1, 1]), 360);
  assert.equal(d.v[0], -2);
  const axis = new Metres(column([0, 1, 2, 3], [0, 0, 36, 36]));
  const found = placed(column([0, 0.5, 1, 3], [1, 2, 3, 4]), axis);
  assert.deepEqual([...found.x], [0, 15]);
  assert.deepEqual([...found.v], [3, 4]);
});

test("the first signal that parts is named; where nothing is common, that is said", () => {
  const rows = [
    { name: "RPM", resolution: 1, d: line([1, 5, 9], [0, 0, 40]) }, { name: "SPEED", resolution: 1, d: line([1, 5, 9], [0.5, 2, 2]) },
  ];
  assert.match(signalDivergence(rows, "s").text, /SPEED.*at 5 s/);
  assert.match(signalDivergence([rows[0]].map((row) => ({ ...row, d: line([1], [NaN]) })), "s").text, /Nowhere/);
  assert.ok(Number.isNaN(signalDivergence([{ name: "RPM", resolution: 1, d: line([1], [0.2]) }], "s").at));
});

test("limits are paired by measure, phase and place; those of one side stand alone", () => {
  const a = [{ name: "obd.rate", phase: null, max: 1 }, { name: "obd.rate", phase: "town", max: 2 }, { name: "gps.rate", phase: null }];
  const b = [{ name: "obd.rate", phase: "town", max: 3 }, { name: "obd.rate", phase: null, max: 1 }, { name: "can.rate", phase: null }];
  const found = pairedLimits(a, b).map(([one, other]) => [one?.max ?? null, other?.max ?? null, (one ?? other).name]);
  assert.deepEqual(found, [[1, 1, "obd.rate"], [2, 3, "obd.rate"], [null, null, "gps.rate"], [null, null, "can.rate"]]);
});

test("a figure has three lines a signal, axes that do not overlap, bounds once where both have them", () => {
  const row = (name, limits) => ({ name, unit: "ms", a: line([0, 1], [1, NaN]), b: line([0, 1], [1, 2]), d: line([0, 1], [0, NaN]), limits });
  const theme = { series: ["blue", "orange"], bad: "red" };
  const looks = { axisWords: "s", range: [0, 1], names: ["one", "other"], mark: 0.5, theme };
  const { data, layout } = compareFigure([row("x", [[{ max: 50 }], [{ max: 50 }, { min: 3 }]]), row("y", undefined)], looks);
  assert.equal(data.length, 6);
  assert.deepEqual(data[0].y, [1, null]);
  assert.deepEqual(data.map((one) => one.yaxis), ["y", "y", "y2", "y3", "y3", "y4"]);
  const domains = ["yaxis", "yaxis2", "yaxis3", "yaxis4"].map((name) => layout[name].domain);
  for (let i = 1; i < domains.length; i++) assert.ok(domains[i][1] <= domains[i - 1][0] + 1e-9);
  assert.deepEqual(layout.shapes.map((one) => [one.y0, one.line.color, one.yref]), [[50, "red", "y"], [3, "orange", "y"], [0, "red", "paper"]]);
  assert.deepEqual(layout.xaxis.range, [0, 1]);
});
