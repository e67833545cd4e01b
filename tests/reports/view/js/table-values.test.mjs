// Values in words: what stands in a cell says the same as the value.
import test from "node:test";
import assert from "node:assert/strict";

import { address, at, bytes, fill, fits, length, number, plain, shown } from "../../../../reports/view/assets/js/table/values.js";

test("a value is found by its path, and what is not there is undefined", () => {
  const row = { id: 7, body: { name: "x", list: [] } };
  assert.equal(at(row, "body.name"), "x");
  assert.equal(at(row, "body.none.deeper"), undefined);
  assert.equal(at(row, "constructor"), undefined);
  assert.equal(at(row, "."), row);
  assert.equal(at(null, "id"), undefined);
});

test("addresses are escaped, texts are not", () => {
  const row = { device: "a/../b?c=1", name: "Ada & Ben" };
  assert.equal(address("/device/{device}", row), "/device/a%2F..%2Fb%3Fc%3D1");
  assert.equal(address("/device/{device}/keys", { device: ".." }), "/device//keys");
  assert.equal(fill("Delete {name}? {none}", row), "Delete Ada & Ben? ");
  assert.equal(fill("{id} of {device}", { id: 1 }, { device: "car-1", id: 2 }), "1 of car-1");
});

test("an action fits a row that has the values, null counting as none", () => {
  assert.ok(fits({ state: "planned", acked: null }, { state: ["planned", "ended"], acked: [""] }));
  assert.ok(!fits({ state: "running" }, { state: ["planned"] }));
  assert.ok(fits({ live: true }, { live: ["true"] }));
  assert.ok(fits({}, {}));
});

test("numbers are grouped, rounded as declared, and no number is a dash", () => {
  assert.equal(number(1234567), "1\u202f234\u202f567");
  assert.equal(number(1234), "1234");
  assert.equal(number(-0.5), "−0.5");
  assert.equal(number(12.3456, 1), "12.3");
  assert.equal(number(0.1 + 0.2), "0.3");
  assert.equal(number(NaN), "–");
  assert.equal(number(1e21), "1e+21");
});

test("durations and sizes name their unit, also across its edges", () => {
  const wanted = { 0.25: "250 ms", 5.25: "5.3 s", 42: "42 s", 59.6: "1 min 00 s", 3599.7: "1 h 00 min", 86400: "1 d 0 h", 93600: "1 d 2 h" };
  for (const [seconds, text] of Object.entries(wanted)) assert.equal(length(Number(seconds)), text);
  assert.equal(length(-2), "−2.0 s");
  assert.equal(length(null), "–");
  assert.equal(bytes(999), "999 B");
  assert.equal(bytes(1500), "1.50 kB");
  assert.equal(bytes(25e6), "25.0 MB");
});

test("a cell has a word beside its sign, and the exact value behind its text", () => {
  const state = { key: "state", kind: "sign", signs: { fail: { sign: "✖", tone: "bad" }, timed_out: { sign: "⌛", word: "timed out" } } };
  assert.deepEqual(shown(state, { state: "fail" }), { text: "fail", sign: "✖", tone: "bad" });
  assert.equal(shown(state, { state: "timed_out" }).text, "timed out");
  assert.deepEqual(shown(state, { state: "strange" }), { text: "strange", none: false });
  const when = { key: "t", kind: "instant_ns" };
  const cell = shown(when, { t: 1767323045123000000 }, 1767323105000);
  assert.match(cell.text, /^2026-01-0\d \d\d:\d\d:05$/);
  assert.equal(cell.title, "2026-01-02T03:04:05.123Z · 1 min 00 s ago");
  assert.deepEqual(shown({ key: "t", kind: "instant_ns" }, { t: 1 }), { text: "–", none: true });
  assert.deepEqual(shown({ key: "x", empty: "never" }, { x: null }), { text: "never", none: true });
  assert.equal(shown({ key: "x", kind: "words" }, { x: ["a", "b"] }).text, "a, b");
});

test("what is exported is exact", () => {
  assert.equal(plain({ key: "t", kind: "instant_ns" }, { t: 1767323045123000000 }), "2026-01-02T03:04:05.123Z");
  assert.equal(plain({ key: "v", kind: "number", digits: 0 }, { v: 1.25 }), 1.25);
  assert.equal(plain({ key: "v" }, { v: null }), "");
});
