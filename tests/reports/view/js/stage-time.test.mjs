// The one time of a page: following, paused, replay; window, play, loop.

import assert from "node:assert/strict";
import { test } from "node:test";
import { TimeStore } from "../../../../reports/view/assets/js/stage/time.js";

function replay() {
  const time = new TimeStore();
  time.set({ mode: "replay", first_s: 0, last_s: 100, start: 0, end: 100, t: 0 });
  return time;
}
function live() {
  const time = new TimeStore({ mode: "following" });
  time.set({ first_s: 0, last_s: 100, start: 70, end: 100, t: 100 });
  return time;
}

test("while it follows, the window goes along with what is newest", () => {
  const time = live();
  time.bounds(0, 101.5);
  assert.deepEqual([time.start, time.end, time.t], [71.5, 101.5, 101.5]);
});

test("panning leaves following, and L returns", () => {
  const time = live();
  time.pan(-10);
  assert.equal(time.mode, "paused");
  time.bounds(0, 105);
  assert.deepEqual([time.start, time.end], [60, 90]);
  assert.ok(time.follow());
  assert.equal(time.mode, "following");
  assert.deepEqual([time.start, time.end, time.t], [75, 105, 105]);
});

test("zooming while it follows goes on following, with the newest at the edge", () => {
  const time = live();
  time.zoom(0.5);
  assert.equal(time.mode, "following");
  assert.deepEqual([time.start, time.end], [85, 100]);
});

test("a recording cannot be followed", () => {
  const time = replay();
  assert.equal(time.follow(), false);
  assert.equal(time.mode, "replay");
});

test("the newest going back takes the window with it", () => {
  const time = live();
  time.bounds(0, 40);
  assert.deepEqual([time.start, time.end], [10, 40]);
});

test("seeking puts the cursor within what there is, and the window around it", () => {
  const time = replay();
  time.window(0, 10);
  time.seek(50);
  assert.equal(time.t, 50);
  assert.ok(time.start <= 50 && time.end >= 50);
  assert.equal(time.length_s, 10);
  time.seek(1e9);
  assert.equal(time.t, 100);
  assert.equal(time.seek(NaN), false);
});

test("zooming keeps what is under the cursor in its place", () => {
  const time = replay();
  time.zoom(0.5, 20);
  assert.deepEqual([time.start, time.end], [10, 60]);
});

test("the window does not leave what there is by more than half of itself", () => {
  const time = replay();
  time.window(0, 20);
  time.pan(-1000);
  assert.deepEqual([time.start, time.end], [-10, 10]);
  time.pan(1e6);
  assert.deepEqual([time.start, time.end], [90, 110]);
});

test("the window never becomes nothing, nor endless", () => {
  const time = replay();
  for (let i = 0; i < 60; i++) time.zoom(0.5, 50);
  assert.ok(time.length_s > 0);
  for (let i = 0; i < 90; i++) time.zoom(2, 50);
  assert.ok(Number.isFinite(time.length_s));
});

test("it plays by the wall's time, as fast as is asked, and stops at the end", () => {
  const time = replay();
  time.set({ speed: 10 });
  time.play();
  time.advance(0.5);
  assert.equal(time.t, 5);
  for (let i = 0; i < 30; i++) time.advance(0.5);
  assert.equal(time.t, 100);
  assert.equal(time.playing, false);
});

test("play at the end begins anew", () => {
  const time = replay();
  time.seek(100);
  time.play();
  assert.equal(time.t, 0);
});

test("a loop goes round, also when a frame takes longer than the loop", () => {
  const time = replay();
  time.set({ loop: [10, 12], t: 11 });
  time.play();
  time.advance(1.5);
  assert.ok(Math.abs(time.t - 10.5) < 1e-9);
  time.advance(101);
  assert.ok(time.t >= 10 && time.t < 12);
});

test("while it plays the window scrolls, with the cursor in it", () => {
  const time = replay();
  time.window(0, 10);
  time.seek(0);
  time.play();
  for (let i = 0; i < 500; i++) {
    time.advance(0.1);
    assert.ok(time.t >= time.start - 1e-6 && time.t <= time.end + 1e-6, `${time.t} of ${time.start}..${time.end}`);
  }
  assert.ok(time.start > 30);
});

test("who plays up to the newest of what is live follows it", () => {
  const time = live();
  time.seek(95);
  time.play();
  time.advance(6);
  assert.equal(time.mode, "following");
});

test("the loop is what lies between the cursors, else the window; a second press ends it", () => {
  const time = replay();
  time.set({ t: 30, t2: 20 });
  time.toggleLoop();
  assert.deepEqual(time.loop, [20, 30]);
  time.toggleLoop();
  assert.equal(time.loop, null);
  time.set({ t2: NaN });
  time.window(5, 15);
  time.toggleLoop();
  assert.deepEqual(time.loop, [5, 15]);
});

test("speeds go from a tenth to twenty, and no further", () => {
  const time = replay();
  for (let i = 0; i < 20; i++) time.faster(1);
  assert.equal(time.speed, 20);
  for (let i = 0; i < 20; i++) time.faster(-1);
  assert.equal(time.speed, 0.1);
});

test("what is the same is told to nobody", () => {
  const time = replay();
  let told = 0;
  time.on(() => told++);
  time.set({ t: 0, hover: NaN });
  assert.equal(told, 0);
  time.set({ t: 1, t2: 3 });
  assert.equal(told, 1);
});
