// The map's ground: metres, boxes, nearest points, tracks that grow.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Plane, Sight, aside, boxOf, degrees, metres, nearest, ramp } from "../../../../reports/view/assets/js/map/ground.js";
import { Track } from "../../../../reports/view/assets/js/map/track.js";

const near = (a, b, off) => assert.ok(Math.abs(a - b) <= off, `${a} is not ${b} ± ${off}`);

test("a plane has the ellipsoid's metres", () => {
  // Lengths of a degree at 48.1° (WGS 84, the usual series): 111 192.2 m north, 74 481.0 m east.
  const plane = new Plane(48.1, 11.5);
  near(plane.y(48.2), 11119.22, 0.05);
  near(plane.x(11.6), 7448.1, 0.05);
  near(plane.latOf(plane.y(48.2)), 48.2, 1e-12);
});

test("a way over the date line is short", () => {
  const plane = new Plane(0, 179.9999);
  near(plane.x(-179.9999), 22.26, 0.05);
  near(new Plane(0, -179.9999).lonOf(-22.26), 179.9999, 1e-5);
});

test("a receiver that says 0, 0 does not ruin the picture", () => {
  const xs = Array.from({ length: 100 }, (_, i) => i), ys = xs.map((x) => x / 2);
  xs[50] = -5e6; ys[50] = -1e6;
  const box = boxOf(xs, ys);
  assert.deepEqual([box.x0, box.x1, box.left], [0, 99, 1]);
  assert.equal(boxOf([NaN], [NaN]), null);
});

test("what is fitted is inside, and a zoom keeps its point", () => {
  const sight = new Sight();
  Object.assign(sight, { w: 300, h: 200 });
  sight.fit({ x0: -50, x1: 50, y0: -10, y1: 10 });
  assert.ok(sight.X(-50) >= 20 && sight.X(50) <= 280);
  sight.fit({ x0: -50, x1: 50, y0: -40, y1: 40 }, 20, 30);
  assert.ok(sight.Y(-40) <= 150.001 && sight.Y(40) >= 19.999);
  const x = sight.xAt(70), y = sight.yAt(30);
  sight.zoom(3, 70, 30);
  near(sight.X(x), 70, 1e-9);
  near(sight.Y(y), 30, 1e-9);
});

const plane = new Plane(48, 11);
function track(...fixes) {
  const made = new Track();
  for (const [t, lat, lon] of fixes) made.push(t, lat, lon, NaN, plane);
  return made;
}

test("the nearest point of a click is found, and none far from it", () => {
  const it = track([1, 48, 11], [2, 48.001, 11], [3, 48.002, 11]);
  const sight = Object.assign(new Sight(), { w: 300, h: 300 });
  sight.fit({ x0: 0, x1: 0, y0: 0, y1: it.y[2] });
  assert.equal(nearest(it, sight, sight.X(it.x[1]) + 3, sight.Y(it.y[1]) - 2), 1);
  assert.equal(nearest(it, sight, 5, 5), -1);
});

test("between two fixes it is between them; over a gap it stays at the last one", () => {
  const it = track([0, 48, 11], [1, 48.001, 11], [2, 48.002, 11], [100, 48.1, 11]);
  near(it.at(0.5).lat, 48.0005, 1e-12);
  assert.equal(it.at(50).lat, 48.002);
  assert.equal(it.at(50).old_s, 48);
  assert.equal(it.at(-1), null);
  assert.equal(it.at(NaN), null);
});

test("what is no fix breaks the line", () => {
  const it = track([0, 48, 11], [1, NaN, 11], [2, 91, 11], [3, 48.001, 11]);
  assert.deepEqual([...it.x.slice(0, 4)].map(Number.isNaN), [false, true, true, false]);
  assert.equal(it.at(1), null);
});

test("a track that grows for ever stays bounded and keeps its ends", () => {
  const it = new Track(1000);
  for (let i = 0; i < 5000; i++) it.push(i, 48 + i / 1e6, 11, NaN, plane);
  assert.ok(it.count <= 1000);
  assert.equal(it.t[0], 0);
  assert.equal(it.t[it.count - 1], 4999);
  for (let i = 1; i < it.count; i++) assert.ok(it.t[i] > it.t[i - 1]);
});

test("a clock that goes back cuts off what was later", () => {
  const it = track([10, 48, 11], [11, 48.001, 11], [12, 48.002, 11], [5, 48.5, 11]);
  assert.equal(it.count, 1);
  assert.equal(it.lat[0], 48.5);
});

test("places and lengths are said in words", () => {
  assert.equal(degrees(-11.5, false), "11.500000° W");
  assert.equal(degrees(48, true), "48.000000° N");
  assert.deepEqual([metres(4.44), metres(120.4), metres(1234)], ["4.4 m", "120 m", "1.23 km"]);
  assert.deepEqual([aside(-41.2, false), aside(20, true), aside(-0.5, true)], ["41 m W", "20 m N", "0.5 m S"]);
  assert.equal(ramp(-1), ramp(0));
});
