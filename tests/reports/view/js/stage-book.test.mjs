// The data of a stage: live buffers, clocks that jump, recorded columns as fine as needed.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Book, normal } from "../../../../reports/view/assets/js/stage/book.js";
import { Source, completed, limitsOf, stateCode } from "../../../../reports/view/assets/js/stage/source.js";

const settled = () => new Promise((resolve) => setImmediate(resolve));

/** A recording of an hour at 10 Hz that is decimated as a server does it. */
class Recording extends Source {
  asked = [];
  async series(names, start_s, end_s, points, layer) {
    this.asked.push({ names, start_s, end_s, points, layer });
    if (this.fails) throw new Error("no store");
    const from = Math.max(start_s, 0), to = Math.min(end_s, 3600), all = Math.max(0, Math.floor((to - from) * 10));
    const count = Math.min(all, points);
    const t = Float64Array.from({ length: count }, (_, i) => from + (i * (to - from)) / count);
    return new Map(names.map((name) => [name, { t, v: t.map((x) => x * 2), raw: count === all }]));
  }
}

function book(source = new Source(), isWorld = false) {
  const noted = [], problems = new Map();
  let now = 0;
  const made = new Book(source, {
    changed: () => {}, note: (event) => noted.push(event), now: () => now, isWorld,
    problem: (key, error) => (error ? problems.set(key, error) : problems.delete(key)),
  });
  return { made, noted, problems, at: (ms) => { now = ms; } };
}

test("live readings are drawn from one bounded buffer for each signal", () => {
  const { made } = book();
  for (let i = 0; i < 100; i++) made.take([["A", i / 20, i, 0], ["B", i / 20, null, "held"]]);
  assert.equal(made.column("A").t.length, 100);
  assert.equal(made.column("B").s[5], 2);
  assert.equal(made.last_s, 99 / 20);
});

test("a clock that goes forward is noted once, and followed at once", () => {
  const { made, noted, at } = book();
  made.take([["A", 100, 1]]);
  at(50);
  made.take([["A", 4000, 1]]);
  assert.equal(made.last_s, 4000);
  assert.equal(noted.length, 1);
  assert.ok(Math.abs(noted[0].by_s - 3900) < 1e-6);
});

test("a world may go at any pace, and that is no jump of a clock", () => {
  for (const pace of [0.1, 0.5, 1, 2, 400]) {
    const { made, noted, at } = book(new Source(), true);
    assert.equal(made.pace, 1, "not known yet");
    for (let i = 0; i < 400; i++) { at(i * 50); made.take([["A", 1000 + (i * pace) / 20, i]]); }
    assert.ok(Math.abs(made.pace / pace - 1) < 0.01, `${made.pace} at ${pace}`);
    assert.deepEqual(noted, []);
    made.take([["A", 1000, 1]]);
    assert.ok(Math.abs(made.last_s - 1000 - 399 * pace / 20) < 1e-6, "what comes late moves nothing");
  }
});

test("figures that are made anew take the place of what there was", () => {
  const { made, at } = book(new Source(), true);
  const column = (t) => ({ t: Float64Array.from(t), v: Float64Array.from(t, (x) => 2 * x) });
  made.refill(new Map([["obd.latency", column([1, 2])]]));
  at(900);
  assert.equal(made.silence_s("obd.latency"), 0.9);
  made.refill(new Map([["obd.latency", column([1, 1.5, 3])]]));
  assert.deepEqual([...made.column("obd.latency").t], [1, 1.5, 3]);
  assert.deepEqual([...made.column("obd.latency").v], [2, 3, 6]);
  assert.equal(made.silence_s("obd.latency"), 0);
});

test("a clock that goes back is followed after a while, and nothing of the future stays", () => {
  const { made, noted, at } = book();
  for (let i = 0; i < 20; i++) { at(i * 50); made.take([["A", 5000 + i / 20, 1]]); }
  for (let i = 20; i < 80; i++) { at(i * 50); made.take([["A", 100 + i / 20, 2]]); }
  assert.equal(noted.length, 1);
  assert.ok(noted[0].by_s < -4000);
  assert.ok(made.last_s < 200);
  assert.ok(made.column("A").t.at(-1) < 200);
});

test("late readings among new ones are no jump", () => {
  const { made, noted, at } = book();
  for (let i = 0; i < 100; i++) {
    at(i * 50);
    made.take([["A", 1000 + i / 20, 1]]);
    made.take([["A", 500 + i / 20, 1]]);
  }
  assert.deepEqual(noted, []);
  assert.equal(made.last_s, 1000 + 99 / 20);
});

test("rows without an instant are left out", () => {
  const { made } = book();
  assert.ok(Number.isNaN(made.take([["A", NaN, 1], ["A", null, 1], ["A", undefined, 1]])));
  assert.equal(made.column("A").t.length, 0);
});

test("a recording is first drawn whole and coarse, then as fine as the window needs", async () => {
  const source = new Recording(), { made } = book(source);
  const all = { first_s: 0, last_s: 3600, start: 0, end: 3600 };
  made.want([["A", ""]], all, 500, { whole: true });
  await settled();
  assert.equal(source.asked.length, 1);
  assert.equal(made.column("A", "", 0, 3600).t.length, 1000);
  const near = { ...all, start: 100, end: 110 };
  assert.ok(made.column("A", "", 100, 110).t.length, "the coarse one is there at once");
  made.want([["A", ""]], near, 500, { whole: true });
  await settled();
  assert.equal(source.asked.length, 2);
  assert.equal(made.column("A", "", 100, 110).raw, true);
  made.want([["A", ""]], { ...near, start: 101, end: 111 }, 500, { whole: true });
  await settled();
  assert.equal(source.asked.length, 2, "what is there is not asked for again");
});

test("no more is fetched than can be drawn", async () => {
  const source = new Recording(), { made } = book(source);
  const names = Array.from({ length: 40 }, (_, i) => [`S${i}`, ""]);
  made.want(names, { first_s: 0, last_s: 3600, start: 0, end: 3600 }, 900, { whole: true });
  await settled();
  assert.ok(source.asked.every((one) => one.points <= 1800));
  assert.equal(source.asked[0].names.length, 12, "what is seen first comes first");
  assert.equal(source.asked.flatMap((one) => one.names).length, 40);
  assert.ok(made.bytes < 40 * 1800 * 16 + 1);
});

test("layers are asked for and kept apart", async () => {
  const source = new Recording(), { made } = book(source);
  made.want([["A", ""], ["A", "truth"]], { first_s: 0, last_s: 3600, start: 0, end: 3600 }, 100, { whole: true });
  await settled();
  assert.deepEqual(source.asked.map((one) => one.layer), [undefined, "truth"]);
  assert.ok(made.has("A", "truth") && !made.has("A", "wire"));
});

test("a source that fails is said, what is there stays", async () => {
  const source = new Recording(), { made, problems } = book(source);
  const all = { first_s: 0, last_s: 3600, start: 0, end: 3600 };
  made.want([["A", ""]], all, 500, { whole: true });
  await settled();
  source.fails = true;
  made.want([["A", ""], ["B", ""]], { ...all, start: 5, end: 9 }, 500, { whole: true });
  await settled();
  assert.match(problems.get("series ").message, /no store/);
  assert.equal(made.column("A", "", 5, 9).t.length, 1000);
  made.close();
});

test("what comes out of order or as plain lists is put right", () => {
  const found = normal({ t: [3, 1, 2], v: [30, null, 20], s: ["held", 0, "lost"] });
  assert.deepEqual([...found.t], [1, 2, 3]);
  assert.ok(Number.isNaN(found.v[0]) && found.v[2] === 30);
  assert.deepEqual([...found.s], [0, 3, 2]);
  assert.equal(normal({ t: [1, 2, 3], v: [1] }).t.length, 1);
});

test("states are known by name, by code and not at all", () => {
  assert.deepEqual(["measured", "held", 3, 77, null, undefined, "x"].map(stateCode), [0, 2, 3, 0, 0, 0, 0]);
});

test("limits of a run are drawn with the signal that they name, once", () => {
  const info = completed({
    signals: [{ name: "obd.latency", limits: [{ id: "a" }] }], limits: [{ id: "a", signal: "obd.latency" }, { id: "b", signal: "obd.latency" }, { id: "c" }],
  });
  assert.deepEqual(limitsOf(info, "obd.latency").map((one) => one.id), ["a", "b"]);
});

test("what is out of date is shown until its successor has come", async () => {
  const source = new Recording(), { made } = book(source);
  const window = { start: 100, end: 160, first_s: 0, last_s: 3600 };
  const want = () => made.want([["A", ""]], window, 500, { whole: true });
  want();
  await settled();
  want();
  await settled();
  const asked = source.asked.length, before = made.column("A", "", 100, 160);
  made.reload();
  assert.equal(made.column("A", "", 100, 160), before);
  want();
  assert.equal(made.column("A", "", 100, 160), before);
  await settled();
  want();
  await settled();
  assert.notEqual(made.column("A", "", 100, 160), before);
  assert.equal(source.asked.length, asked + 2);
  want();
  assert.equal(source.asked.length, asked + 2);
});
