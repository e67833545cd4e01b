// What cards, alerts and the page of links decide, without a page.
import assert from "node:assert/strict";
import { test } from "node:test";
import { age, delay, elapsed, rate } from "../../../../reports/view/assets/js/live/say.js";
import { Latencies } from "../../../../reports/view/assets/js/live/latencies.js";
import { Trend } from "../../../../reports/view/assets/js/live/trend.js";
import { order } from "../../../../reports/view/assets/js/parts/alerts-live.js";
import { chosen } from "../../../../reports/view/assets/js/parts/cards.js";
import { wrong } from "../../../../reports/view/assets/js/parts/links.js";
import { failuresOf } from "../../../../reports/view/assets/js/parts/sources.js";

const hub = (...shorts) => ({ isMany: false, signals: new Map(shorts.map((short, i) => [short, { name: short, short, id: i }])) });

test("cards: what is wanted and there, then others that are there, then what is wanted", () => {
  const names = chosen({}, hub("XYZ", "RPM", "SPEED"));
  assert.deepEqual(names.slice(0, 4), ["SPEED", "RPM", "XYZ", "COOLANT_TEMP"]);
  assert.equal(names.length, 16);
  assert.equal(new Set(names).size, 16);
});

test("cards: hundreds of signals are sixteen cards; those asked for win", () => {
  assert.equal(chosen({}, hub(...Array.from({ length: 300 }, (_, i) => `S${i}`))).length, 16);
  assert.deepEqual(chosen({ cards: "A,B" }, hub("RPM")), ["A", "B"]);
});

test("a trend keeps the extremes of each second, also of what comes late", () => {
  const trend = new Trend(4);
  trend.add(100.1, 5); trend.add(100.9, 1); trend.add(102, 9);
  assert.deepEqual([...trend.lows], [NaN, 1, NaN, 9]);
  trend.add(101.5, -3);
  trend.add(50, -99);
  assert.deepEqual([...trend.lows], [NaN, 1, -3, 9]);
  assert.deepEqual([...trend.highs], [NaN, 5, -3, 9]);
  trend.until(105);
  assert.deepEqual(trend.range, [9, 9]);
  trend.add(103, NaN);
  assert.deepEqual(trend.range, [9, 9]);
});

test("what fires stands before what is over, the newest first", () => {
  const alert = (id, state, fired_ns) => ({ id, state, fired_ns });
  const sorted = [alert(1, "resolved", 9), alert(2, "firing", 1), alert(3, "firing", 5)].sort(order);
  assert.deepEqual(sorted.map((one) => one.id), [3, 2, 1]);
});

test("counters of failures are told from others", () => {
  assert.deepEqual(failuresOf({ frames: 100, timeouts: 2, values_rejected: 1, bytes: 7, errors: 0 }), { count: 3, text: "timeouts: 2, values rejected: 1" });
});

const well = { links: [], pipeline: { refused: 0 } };
test("nothing is wrong where nothing is", () => {
  assert.deepEqual(wrong(well, { database: { state: "ok" } }, { streams: [] }), []);
  assert.deepEqual(wrong(well, {}, null), []);
});

test("what is wrong is said in words", () => {
  const link = (name, state, stale = []) => ({ name, state, reason: "unplugged", attempts: 3, stale });
  const found = wrong(
    { links: [link("obd", "down"), link("gps", "degraded"), link("can", "up", [1, 2])], pipeline: { refused: 5 } },
    { database: { state: "failing", reason: "disk full" } },
    { streams: [{ device: "car-1", state: "refused", reason: "key", dropped: 4 }] },
  );
  assert.equal(found.length, 7);
  assert.match(found.map((one) => one.text).join(" "), /disk full.*obd is down: unplugged.*gps is degraded.*can misses 2.*5 readings.*car-1 does not go on: key.*4 readings/);
});

test("ages, spans, delays and rates stand still", () => {
  assert.deepEqual([age(59.9), age(61), age(3 * 3600), age(1e6), age(NaN), age(-5)], ["59 s", "1 min", "3 h", "11 d", "", "0 s"]);
  assert.deepEqual([elapsed(5), elapsed(754), elapsed(3723)], ["0:05", "12:34", "1:02:03"]);
  assert.deepEqual([delay(3.14), delay(42.6), delay(-0.3)], ["3.1 ms", "43 ms", "< 1 ms"]);
  assert.deepEqual([rate(0.5), rate(42.2), rate(12345)], ["0.5 /s", "42 /s", "12.3 k/s"]);
});

test("delays are those of late, in order", () => {
  const latencies = new Latencies();
  assert.ok(Number.isNaN(latencies.quantile(0.5)));
  for (let i = 0; i < 300; i++) latencies.add(1000);
  for (let i = 0; i < 256; i++) latencies.add(i);
  assert.equal(latencies.quantile(0.5), 128);
  assert.equal(latencies.quantile(0.95), 243);
});
