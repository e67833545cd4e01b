// Words and addresses of the stage: clocks, numbers, ticks, limits, the query of a view.

import assert from "node:assert/strict";
import { test } from "node:test";
import * as scale from "../../../../reports/view/assets/js/stage/scale.js";
import * as limits from "../../../../reports/view/assets/js/stage/limits.js";
import { format, parse } from "../../../../reports/view/assets/js/stage/url.js";

test("an instant is told as time of the run, and as UTC", () => {
  assert.equal(scale.clock(1767225672.345, "sim", 1767225600), "1:12.345");
  assert.equal(scale.clock(1767225672.345, "utc", 0), "00:01:12.345");
  assert.equal(scale.clock(1767225599.5, "sim", 1767225600, 1), "−0:00.5");
  assert.equal(scale.clock(NaN, "sim", 0), "–");
  assert.equal(scale.clock(1e18, "utc", 0), "–");
});

test("rounding carries over minutes and hours", () => {
  assert.equal(scale.duration(59.9996, 3), "1:00.000");
  assert.equal(scale.duration(3599.96, 1), "1:00:00.0");
  assert.equal(scale.duration(-0.0001, 1), "0:00.0");
});

test("spans have the unit that fits", () => {
  assert.deepEqual([0.35, 1.25, 240, 7200].map(scale.span), ["350 ms", "1.25 s", "4 min", "2 h"]);
});

test("a value has the digits of its sensor, always as many", () => {
  assert.equal(scale.digitsOfResolution(0.25), 2);
  assert.equal(scale.digitsOfResolution(1), 0);
  assert.equal(scale.digitsOfResolution(1e-7), 7);
  assert.equal(scale.digitsOfResolution(null), null);
  assert.equal(scale.reading(800, 2), "800.00");
  assert.equal(scale.reading(-3.14159, null), "−3.1416");
  assert.equal(scale.reading(NaN, 2), "no number");
  assert.equal(scale.reading(Infinity, 2), "+∞");
});

test("ticks of time stand on round instants and are not too many", () => {
  for (const length of [0.02, 1, 30, 3600, 90_000, 3e6]) {
    const found = scale.timeTicks(1000, 1000 + length, 900, "sim", 1000);
    assert.ok(found.length >= 2 && found.length < 40, `${length}: ${found.length}`);
    assert.equal(new Set(found.map(([, label]) => label)).size, found.length, `${length}: ${found}`);
  }
});

test("the range of a strip stands still while the data fills it, and shrinks when it does not", () => {
  const first = scale.rangeOf(0, 10);
  assert.ok(first.lo <= 0 && first.hi >= 10);
  assert.equal(scale.rangeOf(1, 9, first), first);
  assert.notEqual(scale.rangeOf(4, 5, first), first);
  assert.ok(scale.rangeOf(5, 5).hi > 5);
  assert.deepEqual(scale.rangeOf(NaN, NaN), { lo: 0, hi: 1 });
});

const limit = { id: "a", name: "obd.latency.each", max: 50, min: null, start_s: 10, end_s: 20, unit: "ms", margin_pct: -12.34, outcome: "fail" };

test("a limit is broken only in the time in which it holds", () => {
  const column = { t: Float64Array.of(5, 11, 12, 13, 25), v: Float64Array.of(99, 60, 61, 40, 99), s: null };
  assert.deepEqual(limits.broken(limit, column, 0, 100), [[11, 12]]);
  assert.deepEqual(limits.broken(limit, column, 30, 100), []);
});

test("where a limit leaves faults out, nothing is broken there", () => {
  const column = { t: Float64Array.of(1, 2, 3, 4, 5, 6), v: Float64Array.of(9, 9, 9, 9, 9, 9), s: null };
  const spans = [[1, 2.5], [4.5, 6]];
  assert.deepEqual(limits.broken({ max: 5, spans, start_s: 1, end_s: 6 }, column, 0, 9), [[1, 2], [5, 6]]);
  assert.equal(limits.holdsAt({ spans }, 3), false);
  assert.equal(limits.activeIn({ spans }, 2.6, 4.4), false);
  assert.equal(limits.holdsAt({}, 3), true);
});

test("readings beyond a percentile are shown where the percentile was not kept", () => {
  assert.equal(limits.isShown({ name: "x.p95", outcome: "pass" }), false);
  assert.equal(limits.isShown({ name: "x.p95", outcome: "fail" }), true);
});

test("a limit at its bound is kept; what is no number breaks nothing", () => {
  assert.equal(limits.breaks(limit, 50), false);
  assert.equal(limits.breaks(limit, 50.001), true);
  assert.equal(limits.breaks(limit, NaN), false);
  assert.equal(limits.breaks({ min: 3 }, 2), true);
});

test("margins and bounds are words with a sign", () => {
  assert.equal(limits.marginText(limit), "−12.3 %");
  assert.equal(limits.marginText({ margin_pct: 4 }), "+4 %");
  assert.equal(limits.marginText({}), "");
  assert.equal(limits.boundsText(limit), "≤ 50 ms");
  assert.equal(limits.boundsText({ min: 0, max: 0 }), "= 0");
});

test("of several limits the one that failed is shown first, then the one with the least room", () => {
  const found = limits.worst([{ outcome: "pass", margin_pct: 1 }, { outcome: "marginal" }, limit]);
  assert.equal(found, limit);
  assert.equal(limits.worst([{ outcome: "pass", margin_pct: 9 }, { outcome: "pass", margin_pct: 2 }]).margin_pct, 2);
  assert.equal(limits.worst([]), null);
});

test("each outcome has a sign of its own", () => {
  const signs = Object.values(limits.OUTCOMES).map((one) => one.sign);
  assert.equal(new Set(signs).size, signs.length);
});

test("limits of percentiles are not broken by single values", () => {
  assert.equal(limits.isOfValues({ name: "obd.latency.p95" }), false);
  assert.equal(limits.isOfValues({ name: "obd.latency.max" }), true);
});

test("the address of a view gives the view back", () => {
  const query = format({
    epoch_s: 1000, t: 1012.345, t2: 1020, win: [1000, 1030], sig: ["SPEED", "obd.latency", "a&c"], cmp: "run:x",
    axis: "utc", usualAxis: "sim", layers: ["truth"], loop: [1001, 1002], speed: 0.5,
  }, "?session=7&t=3&tab=x");
  const found = parse(query);
  assert.equal(new URLSearchParams(query).get("session"), "7");
  assert.equal(new URLSearchParams(query).getAll("t").length, 1);
  assert.deepEqual(found, {
    t: 12.345, t2: 20, win: [0, 30], loop: [1, 2], sig: ["SPEED", "obd.latency", "a&c"], cmp: "run:x", axis: "utc", layers: ["truth"], speed: 0.5,
  });
});

test("nonsense in an address is left out", () => {
  assert.deepEqual(parse("?t=abc&win=5,1&axis=moon&speed=1000&loop=1"), {});
  assert.deepEqual(parse("?win=30"), { length_s: 30 });
  assert.deepEqual(parse("?win=-3&t="), {});
});
