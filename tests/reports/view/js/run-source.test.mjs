// Source of a run: questions to the API, columns for the stage, and a run that goes on.
import assert from "node:assert/strict";
import { test } from "node:test";
import { columnOf, marksOf, nanoseconds, open, overviewSignal } from "../../../../reports/view/assets/js/sources/run.js";

const INFO = {
  id: "a-1", live: false, start_s: 100, end_s: 200,
  signals: [{ name: "RPM", default: true }, { name: "SPEED" }, { name: "obd.latency", derived: true, limits: [] }],
  faults: [{ start_s: 110, end_s: 112, text: "pulled" }],
  limits: [
    { id: "limit-0", signal: "obd.latency", outcome: "fail", text: "obd.latency.p95 <= 5 ms", start_s: 100, end_s: 150 },
    { id: "limit-1", signal: null, outcome: "pass", text: "readings.lost == 0", start_s: 100, end_s: 200 },
  ],
};
const LINE = { signal: "SPEED", times_ns: [100000000000, 101500000000], values: [1, null], count: 9, raw: false, states: [0, 3], gaps_ns: [[100000000000, 101500000000]] };

function world(answers = {}) {
  const asked = [];
  const sockets = [];
  const api = {
    async get(path, query) {
      asked.push([path, query]);
      return structuredClone(answers[path] ?? INFO);
    },
    async post(path) {
      asked.push(["POST", path]);
      return {};
    },
    async socket(path, query) {
      const socket = { path, query, close() { this.closed = true; } };
      sockets.push(socket);
      return socket;
    },
  };
  return { asked, sockets, source: open({ api }, { id: "a-1" }) };
}

const settled = () => new Promise((done) => setTimeout(done, 0));

test("instants go out to the nanosecond, and infinity as the ends of time", () => {
  assert.equal(nanoseconds(1777622400.5, 0n), "1777622400500000000");
  assert.equal(nanoseconds(-Infinity, -5n), "-5");
  assert.equal(nanoseconds(undefined, 7n), "7");
});

test("a line becomes a column: seconds, NaN, states, gaps", () => {
  const column = columnOf(LINE);
  assert.deepEqual([...column.t], [100, 101.5]);
  assert.ok(Number.isNaN(column.v[1]));
  assert.deepEqual([...column.s], [0, 3]);
  assert.deepEqual(column.gaps, [[100, 101.5]]);
  assert.deepEqual([column.count, column.raw], [9, false]);
});

test("one question asks for all signals of a window", async () => {
  const path = "/api/runs/a-1/series";
  const { source, asked } = world({ [path]: { series: [LINE] } });
  const found = await source.series(["RPM", "SPEED"], 100, Infinity, 900.4, "truth");
  assert.deepEqual([...found.keys()], ["SPEED"]);
  assert.deepEqual(asked, [[path, { signal: ["RPM", "SPEED"], layer: "truth", start_ns: "100000000000", end_ns: "9223372036854775807", points: 900, wait: 0 }]]);
  assert.equal((await source.series([], 0, 1, 10)).size, 0);
});

test("figures that are still being made are asked for again, and the stage is told", async () => {
  const path = "/api/runs/a-1/series";
  const { source, asked } = world({ [path]: { series: [{ ...LINE, signal: "obd.latency", layer: "figure", pending: true }] } });
  const heard = [];
  source.subscribe((message) => heard.push(message));
  await source.series(["obd.latency"], 100, 200, 900);
  await settled();
  assert.equal(asked.length, 2);
  assert.equal(asked[1][1].wait, undefined);
  assert.deepEqual(heard, [{ type: "reload" }]);
});

test("the scrubber shows speed, faults, and the limits that were broken", async () => {
  const { source } = world({ "/api/runs/a-1/series": { series: [LINE] } });
  const overview = await source.overview();
  assert.equal(overview.series.name, "SPEED");
  assert.deepEqual(overview.marks.map((mark) => [mark.kind, mark.t]), [["fault", 110], ["limit", 100]]);
  assert.equal(overviewSignal([{ name: "esp32:SPEED" }]), "esp32:SPEED");
  assert.equal(overviewSignal([]), null);
  assert.deepEqual(marksOf({}), []);
});

test("the value at the cursor is the last reading before it, of any layer", async () => {
  const line = { ...LINE, signal: "RPM", times_ns: [99e9, 100e9, 130e9], values: [5, 6, 7], states: [0, 2, 0], raw: true };
  const { source, asked } = world({ "/api/runs/a-1/series": { series: [line] } });
  assert.deepEqual([...(await source.at(["RPM", "GONE"], 129.5, "truth"))], [["RPM", { t: 100, v: 6, s: 2 }]]);
  assert.deepEqual(asked[0][1].layer, "truth");
  assert.equal((await source.at(["RPM"], 98)).size, 0, "nothing before it");
});

test("a run without positions has no track", async () => {
  const { source } = world({ "/api/runs/a-1/track": { reported: null, truth: null } });
  assert.equal(await source.track(0, 1, 10), null);
});

test("a finished run opens no socket", async () => {
  const { source, sockets } = world();
  await source.open();
  await settled();
  assert.equal(sockets.length, 0);
});

test("a growing run passes on what it hears, and its limits as parts of Info", async () => {
  const { source, sockets, asked } = world({ "/api/runs/a-1": { ...INFO, live: true } });
  const heard = [];
  source.subscribe((message) => heard.push(message));
  await source.open();
  await settled();
  assert.equal(sockets[0].path, "/api/runs/a-1/live");
  const say = (message) => sockets[0].onmessage({ data: JSON.stringify(message) });
  say({ type: "readings", layer: "reported", rows: [["SPEED", 101, 5, 0]] });
  say({ type: "readings", layer: "truth", rows: [["SPEED", 101, 5.2, 0]] });
  say({ type: "limits", limits: INFO.limits, faults: [], end_s: 150 });
  assert.deepEqual(heard.map((message) => message.type), ["readings", "readings", "info"]);
  assert.deepEqual(heard.slice(0, 2).map((message) => message.layer), ["", "truth"], "strips show what is reported");
  assert.equal(heard[2].info.end_s, 150);
  assert.equal(heard[2].info.signals[2].limits.length, 1);
  const before = asked.length;
  say({ type: "readings", layer: "reported", rows: [["NEW", 102, 5, 0]] });
  await settled();
  assert.equal(asked.length, before + 1, "a new signal asks for the Info again");
  source.close();
  assert.ok(sockets[0].closed);
});

test("a socket that breaks is opened again, and the stage asks anew", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const { source, sockets } = world({ "/api/runs/a-1": { ...INFO, live: true } });
  const heard = [];
  source.subscribe((message) => heard.push(message));
  await source.open();
  await Promise.resolve();
  await Promise.resolve();
  sockets[0].onclose();
  assert.equal(heard[0].connection, "connecting");
  t.mock.timers.tick(500);
  await Promise.resolve();
  await Promise.resolve();
  assert.equal(sockets.length, 2);
  sockets[1].onmessage({ data: JSON.stringify({ type: "state", connection: "up" }) });
  assert.deepEqual(heard.slice(1).map((message) => message.type), ["reload", "state"]);
  source.close();
});

test("after its end a run is asked for once more, and nothing is opened again", async () => {
  const { source, sockets } = world({ "/api/runs/a-1": { ...INFO, live: true } });
  const heard = [];
  source.subscribe((message) => heard.push(message.type));
  await source.open();
  await settled();
  sockets[0].onmessage({ data: JSON.stringify({ type: "end", verdict: "pass", end_s: 200 }) });
  await settled();
  sockets[0].onclose();
  assert.deepEqual(heard, ["info", "reload", "end"]);
  assert.equal(sockets.length, 1);
});
