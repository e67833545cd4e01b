// Clock: what time it is at the gateway, with jumps told from sleep.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Clock } from "../../../../reports/view/assets/js/live/clock.js";

function clock() {
  const world = { now: 0, date: 1e12 };
  return { world, clock: new Clock(() => world.now, () => world.date) };
}

test("an answer is taken to lie between its question and its arrival", () => {
  const { world, clock: it } = clock();
  world.now = 1040;
  assert.equal(it.answer(500, 1000, 1040), 0);
  assert.ok(Math.abs(it.now_s() - 500.02) < 1e-9);
  assert.equal(it.rtt_s, 0.04);
});

test("the sample with the shortest way counts", () => {
  const { world, clock: it } = clock();
  world.now = 1010;
  it.answer(500, 1000, 1010);
  world.now = 2400;
  it.answer(501.3, 2000, 2400);
  assert.ok(Math.abs(it.now_s() - (500 + 0.005 + 1.39)) < 1e-9);
});

test("a clock that was set is a jump", () => {
  const { world, clock: it } = clock();
  world.now = 10; it.answer(500, 0, 10);
  world.now = 1010; world.date += 1000;
  const jump = it.answer(561, 1000, 1010);
  assert.ok(Math.abs(jump - 60) < 0.01, `${jump}`);
  assert.ok(Math.abs(it.now_s() - 561.005) < 0.01);
});

test("a machine that has slept is no jump of the gateway's clock", () => {
  const { world, clock: it } = clock();
  world.now = 10; it.answer(500, 0, 10);
  world.now = 1010; world.date += 3600e3; // the monotonic clock stood still
  assert.equal(it.answer(500 + 3600, 1000, 1010), 0);
  assert.ok(Math.abs(it.now_s() - 4100.005) < 0.01);
});

test("how far this machine's clock is behind is known", () => {
  const { world, clock: it } = clock();
  world.now = 10;
  it.answer(1e9 + 3, 0, 10);
  assert.ok(Math.abs(it.behind_s - 3.005) < 0.001);
});
