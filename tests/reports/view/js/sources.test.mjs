// Sources of a gateway: columns, tracks, limits, Info, what is asked of the API.
import assert from "node:assert/strict";
import { test } from "node:test";
import * as gateway from "../../../../reports/view/assets/js/sources/gateway.js";
import { LiveSource } from "../../../../reports/view/assets/js/sources/live.js";
import { SessionSource } from "../../../../reports/view/assets/js/sources/session.js";
import { CATALOGUE, HELLO, World, apiOf, rows } from "./world.mjs";

const line = (signal, times_ns, values, more = {}) => ({ signal, id: 1, unit: "", count: times_ns.length, resolution_s: null, times_ns, values, ...more });

test("a line becomes a column; null is NaN; what was left out is known", () => {
  const whole = gateway.column(line("RPM", [1e9, 2e9], [5, null]));
  assert.deepEqual([...whole.t], [1, 2]);
  assert.deepEqual([...whole.v], [5, NaN]);
  assert.equal(whole.raw, true);
  assert.equal(gateway.column(line("RPM", [1e9], [5], { count: 9 })).raw, false);
  assert.equal(gateway.column(line("RPM", [1e9], [5], { resolution_s: 300 })).raw, false);
});

test("a range is asked for with its end, and without what is unknown", () => {
  assert.deepEqual(gateway.range(1.5, 2), { start_ns: "1500000000", end_ns: "2000001000" });
  assert.deepEqual(gateway.range(-Infinity, NaN), {});
});

test("hundreds of signals are asked for in several questions", async () => {
  const names = Array.from({ length: 130 }, (_, i) => `S${i}`);
  const api = apiOf(new World(), { "/x": (query) => ({ series: query.signal.split(",").map((name) => line(name, [1e9], [1])) }) });
  const found = await gateway.series(api, "/x", names, 0, 1, 100);
  assert.equal(api.asked.length, 3);
  assert.equal([...found.values()].every((column) => column.t.length === 1), true);
});

test("a track has whole fixes where they are whole, and interpolates where instants differ", () => {
  const lat = { t: Float64Array.of(1, 2, 4), v: Float64Array.of(10, 11, 13) };
  const lon = { t: Float64Array.of(1, 3, 4), v: Float64Array.of(20, 22, 23) };
  const { t, lat: lats, lon: lons } = gateway.joined(lat, lon);
  assert.deepEqual([...t], [1, 2, 3, 4]);
  assert.deepEqual([...lats], [10, 11, 12, 13]);
  assert.deepEqual([...lons], [20, 21, 22, 23]);
});

test("without a fix there is no track", () => {
  assert.equal(gateway.trackOf(new Map()), null);
});

test("rules of alerts are limits of their device's strips", () => {
  const rule = (id, body) => ({ id, body: { name: "hot", signal: "COOLANT_TEMP", kind: "value", enabled: true, ...body } });
  const limits = gateway.limitsOfRules([
    rule(1, { condition: "gt", threshold: 110 }),
    rule(2, { condition: "lt", threshold: 60, device: "other" }),
    rule(3, { kind: "stale", condition: null, threshold: null }),
    rule(4, { condition: "eq", threshold: 3 }),
  ], "car-1");
  assert.equal(limits.length, 1);
  assert.equal(limits[0].max, 110);
  assert.equal(limits[0].signal, "COOLANT_TEMP");
});

test("names are said in words; names of other forms stay", () => {
  assert.equal(gateway.readable("COOLANT_TEMP"), "Coolant temperature");
  assert.equal(gateway.readable("GPS_SPEED"), "GPS speed");
  assert.equal(gateway.readable("EngineData.Torque"), "EngineData.Torque");
});

function source(world, answers = {}, options = {}) {
  const view = { api: apiOf(world, answers) };
  const made = new LiveSource(view, options, world.env);
  return { source: made, view };
}

test("a live source opens with what is known of its device", async () => {
  const world = new World();
  const latest = [{ signal: "RPM", id: 12, device: "car-1", time_ns: 1.7e18, value: 800, state: 0 }];
  const { source: live } = source(world, { "/api/v1/devices/car-1/latest": { latest } });
  const info = await live.open();
  assert.equal(info.device, "car-1");
  assert.deepEqual(info.signals.map((signal) => [signal.name, signal.unit, signal.group]), [["RPM", "rpm", "obd"]]);
  assert.equal(info.live, true);
  assert.equal(info.has.track, false);
  live.close();
});

test("a live source of a gateway that is away opens without signals, and grows", async () => {
  const world = new World();
  let isAway = true;
  const { source: live } = source(world, {
    "/api/v1/signals": () => (isAway ? Object.assign(new Error(), { status: 0 }) : { signals: CATALOGUE }),
  });
  const opening = live.open();
  await world.pass(3100);
  const info = await opening;
  assert.deepEqual(info.signals, []);
  const told = [];
  live.subscribe((message) => told.push(message));
  isAway = false;
  await world.pass(4000);
  world.last.say({ ...HELLO, server_now_ns: 1.7e18 });
  world.last.say(rows([1, 13, 1.7e18, 50, 1.7e18, 0]));
  await world.pass(600);
  const grown = told.filter((message) => message.type === "info").at(-1).info;
  assert.deepEqual(grown.signals.map((signal) => signal.name), ["SPEED"]);
  live.close();
});

test("a device that is not there is said", async () => {
  const world = new World();
  const { source: live } = source(world, {}, { device: "nobody" });
  await assert.rejects(live.open(), /nobody/);
  live.close();
});

test("two parts of a page share one socket, which ends after the last of them", async () => {
  const world = new World();
  const view = { api: apiOf(world) };
  const one = new LiveSource(view, {}, world.env), two = new LiveSource(view, {}, world.env);
  await Promise.all([one.open(), two.open()]);
  assert.equal(world.sockets.length, 1);
  one.close(); one.close();
  await world.pass(3000);
  assert.equal(world.last.isClosed, false);
  two.close();
  await world.pass(3000);
  assert.equal(world.last.isClosed, true);
});

const SESSION = { id: 7, kind: "manual", state: "ended", device: "car-1", boot: null, vin: null, name: "Lap 1", opened_ns: 1e18, closed_ns: 1e18 + 60e9, started: "", ended: "", duration_s: 60 };
const figures = (signal) => ({ signal, id: 1, unit: "", count: 5, others: 0, min: 0, max: 1, avg: 0.5 });
const answers = (session, signals) => ({
  "/api/v1/sessions/7/statistics": { session, readings: 5, drive: {}, signals: signals.map(figures) },
  "/api/v1/sessions/7/series": (query) => ({ series: query.signal.split(",").map((name) => line(name, [1e18 - 5e9, 1e18 + 50e9], [1, 2])) }),
  "/api/v1/alerts": { alerts: [] },
  "/api/v1/sessions": { sessions: [session], limit: 1, offset: 0 },
});

test("a session begins with its first reading, and says what it has", async () => {
  const view = { api: apiOf(new World(), answers(SESSION, ["SPEED", "LAT", "LON"])) };
  const it = new SessionSource(view, { session: "7" });
  const info = await it.open();
  assert.equal(info.title, "Lap 1");
  assert.equal(info.start_s, 1e9 - 5);
  assert.equal(info.end_s, 1e9 + 60);
  assert.equal(info.has.track, true);
  assert.equal(info.live, false);
  const overview = await it.overview();
  assert.equal(overview.series.name, "SPEED");
  assert.equal(overview.marks.length, 2);
});

test("a session without GPS, and one without readings, open all the same", async () => {
  const some = new SessionSource({ api: apiOf(new World(), answers(SESSION, ["SPEED"])) }, { session: 7 });
  assert.equal((await some.open()).has.track, false);
  const none = new SessionSource({ api: apiOf(new World(), answers(SESSION, [])) }, { session: 7 });
  const info = await none.open();
  assert.deepEqual(info.signals, []);
  assert.equal((await none.overview()).series, null);
});

test("without a number the newest session with readings is shown; a wrong one is said", async () => {
  const empty = { ...SESSION, id: 8 };
  const view = { api: apiOf(new World(), {
    ...answers(SESSION, ["SPEED"]),
    "/api/v1/sessions": { sessions: [{ ...SESSION, id: 9, state: "planned" }, empty, SESSION] },
    "/api/v1/sessions/8/statistics": { session: empty, readings: 0, drive: {}, signals: [] },
  }) };
  assert.equal((await new SessionSource(view, {}).open()).id, "7");
  await assert.rejects(new SessionSource(view, { session: "7x" }).open(), (error) => error.status === 404 && /7x/.test(error.detail));
});

test("the last reading up to an instant is looked for near it, then farther away", async () => {
  const asked = [];
  const api = apiOf(new World(), { "/x": (query) => {
    asked.push(query.signal);
    return { series: asked.length === 1 ? [line("A", [9e9, 10e9], [1, 2])] : [line("B", [1e9], [3])] };
  } });
  const found = await gateway.lastReadings(api, "/x", ["A", "B"], 10);
  assert.deepEqual(asked, ["A,B", "B"]);
  assert.deepEqual([found.get("A"), found.get("B")], [{ t: 10, v: 2 }, { t: 1, v: 3 }]);
});
