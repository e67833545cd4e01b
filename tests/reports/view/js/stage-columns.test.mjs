// Columns: bounded live buffers, questions over columns.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Growing, between, lowerBound, placeAt, usualStep_s } from "../../../../reports/view/assets/js/stage/columns.js";

const column = (t, v, s = null) => ({ t: Float64Array.from(t), v: Float64Array.from(v), s });

test("a buffer keeps the newest, and no more than it may", () => {
  const growing = new Growing(1000);
  for (let i = 0; i < 25_000; i++) growing.push(i, i * 2);
  assert.equal(growing.size, 1000);
  assert.equal(growing.column.t[0], 24_000);
  assert.equal(growing.column.v[999], 49_998);
  assert.ok(growing.room <= 2000);
});

test("a reading that comes late is put where it belongs", () => {
  const growing = new Growing(100);
  for (const t of [1, 2, 4, 5]) growing.push(t, t);
  growing.push(3, 30);
  assert.deepEqual([...growing.column.t], [1, 2, 3, 4, 5]);
  assert.equal(growing.column.v[2], 30);
});

test("a reading that comes twice is there once", () => {
  const growing = new Growing(100);
  for (const t of [1, 2, 2, 3, 1]) growing.push(t, t);
  assert.deepEqual([...growing.column.t], [1, 2, 3]);
});

test("late readings in a full buffer neither grow nor break it", () => {
  const growing = new Growing(64);
  for (let i = 0; i < 2000; i++) { growing.push(i, i); growing.push(i - 20.5, 0); }
  const { t } = growing.column;
  assert.equal(t.length, 64);
  for (let i = 1; i < t.length; i++) assert.ok(t[i] > t[i - 1]);
});

test("what is no number is kept as such, an instant that is none is left out", () => {
  const growing = new Growing(10);
  growing.push(1, null);
  growing.push(NaN, 5);
  growing.push(Infinity, 5);
  growing.push(2, NaN);
  assert.equal(growing.size, 2);
  assert.ok(Number.isNaN(growing.column.v[0]) && Number.isNaN(growing.column.v[1]));
});

test("older readings are put before what is there, without doubles", () => {
  const growing = new Growing(10);
  for (const t of [10, 11]) growing.push(t, t);
  growing.prepend(column([7, 8, 9, 10, 11], [7, 8, 9, 99, 99]));
  assert.deepEqual([...growing.column.t], [7, 8, 9, 10, 11]);
  assert.equal(growing.column.v[3], 10);
  growing.push(12, 12);
  assert.equal(growing.last_s, 12);
});

test("what lies after an instant can be forgotten", () => {
  const growing = new Growing(10);
  for (const t of [1, 2, 3, 4]) growing.push(t, t);
  growing.cutAfter(2.5);
  assert.deepEqual([...growing.column.t], [1, 2]);
});

test("the reading at an instant is the last one up to it", () => {
  const one = column([1, 2, 2, 3], [1, 2, 2, 3]);
  assert.equal(placeAt(one, 0.9), -1);
  assert.equal(placeAt(one, 2), 2);
  assert.equal(placeAt(one, 99), 3);
  assert.equal(lowerBound(one.t, 2), 1);
});

test("between two instants: extremes and mean of numbers, ends included, losses left out", () => {
  const found = between(column([0, 1, 2, 3, 4], [9, 1, NaN, 5, 99], Uint8Array.from([0, 0, 0, 0, 3])), 1, 4);
  assert.deepEqual([found.min, found.max, found.mean, found.count], [1, 5, 3, 2]);
  assert.equal(between(column([], []), 0, 9).count, 0);
});

test("the usual step is that of most readings", () => {
  assert.ok(Math.abs(usualStep_s(column([0, 0.1, 0.2, 5, 5.1, 5.2], [0, 0, 0, 0, 0, 0]).t) - 0.1) < 1e-9);
  assert.equal(usualStep_s(Float64Array.of(1)), Infinity);
});
